"""lowbit from Python: compile with the tools, run with the runtime library.

    import lowbit
    lowbit.compile("path/to/model", "model.lowbit", recipe="int4-g64")
    model = lowbit.Model("model.lowbit")
    print(model.generate("Once upon a time", max_tokens=64))

Nothing here computes: the tools compile, the C library (lowbit_runtime.h) runs.
"""
from .artifact import Context, LowbitError, Model, inspect, verify
from .formats import IntegerFormat
from .tools import ToolError, compile

__all__ = ["Context", "IntegerFormat", "LowbitError", "Model", "ToolError", "compile", "inspect", "verify"]
__version__ = "0.1.0"
