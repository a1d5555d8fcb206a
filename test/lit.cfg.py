"""The lit suite mirrors the rooms. Every lowbit-opt test runs with --verify-roundtrip."""
import os
import platform

import lit.formats

config.name = "lowbit"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "Unit"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = config.build_dir + "/test"
config.environment["PATH"] = os.pathsep.join(
    [config.build_dir + "/bin", config.llvm_tools_dir, os.environ["PATH"]])
config.environment["LOWBIT_BUILD"] = config.build_dir
# A user's trust records and keys are not touched by tests.
config.environment["XDG_CONFIG_HOME"] = config.build_dir + "/test/config"
config.substitutions.append(("%{source}", config.source_dir))
config.substitutions.append(("%{shared}", config.source_dir + "/../shared"))
config.substitutions.append(("%{python}", "/usr/bin/python3"))
config.substitutions.append(("lowbit-opt ", "lowbit-opt --verify-roundtrip "))
if os.path.isdir(config.source_dir + "/../shared/models"):
    config.available_features.add("shared")
with open("/proc/cpuinfo") as cpuinfo:
    flags = cpuinfo.read()
if " avx512_vnni" in flags and " avx512vbmi" in flags:
    config.available_features.add("avx512")
if " avx2" in flags:
    config.available_features.add("avx2")
try:
    import psutil
    lit_config.maxIndividualTestTime = 300
except ImportError:
    pass
