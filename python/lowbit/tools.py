"""Starts the command-line tools. A failure carries the command, its exit code and what it said."""
import subprocess

from . import locate


class ToolError(RuntimeError):
    """A tool ended with an exit code other than 0 (Spec.md, section 7)."""

    def __init__(self, command, code, stderr):
        super().__init__(f"{' '.join(command)}: exit {code}\n{stderr.strip()}")
        self.command, self.code, self.stderr = command, code, stderr


def run(name, *arguments):
    """Runs a tool; its standard output as text."""
    command = [locate.tool(name), *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise ToolError(command, result.returncode, result.stderr)
    return result.stdout


def compile(model_folder, output, recipe="int4-g64", *arguments):
    """Compiles a Hugging Face folder to an artifact; further arguments go to lowbit-compile (e.g. "--force")."""
    return run("lowbit-compile", model_folder, "-o", output, "--recipe", recipe, *arguments)
