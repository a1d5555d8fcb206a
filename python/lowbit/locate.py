"""Where the tools and the runtime library are: LOWBIT_BUILD, the checkout's build folder, or the system's."""
import os
import pathlib
import shutil


def folders():
    """Build folders to look in, best first."""
    if "LOWBIT_BUILD" in os.environ:
        yield pathlib.Path(os.environ["LOWBIT_BUILD"])
    yield pathlib.Path(__file__).resolve().parents[2] / "build"


def tool(name):
    """Path of a tool; FileNotFoundError names where it was looked for."""
    tried = [folder / "bin" / name for folder in folders()]
    for path in tried:
        if path.exists():
            return str(path)
    found = shutil.which(name)
    if found:
        return found
    raise FileNotFoundError(f"{name}: not in {', '.join(map(str, tried))} and not on PATH")


def library():
    """Path of the runtime library, or its bare name for the system's loader."""
    for folder in folders():
        path = folder / "lib" / "liblowbit_runtime.so"
        if path.exists():
            return str(path)
    return "liblowbit_runtime.so"
