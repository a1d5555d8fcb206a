"""Grouped integers on NumPy arrays: quantize, pack and unpack to the bytes that the compiler writes."""
import ctypes

from . import artifact

_SCALES = {"f16": 0, "e4m3": 1}
_OFFSETS = {"integer": 0, "half": 1, "stored": 2}
_SOLVERS = {"nearest": 0, "search": 1}


class _Format(ctypes.Structure):
    _fields_ = [("bits", ctypes.c_int32), ("group", ctypes.c_int32), ("scale", ctypes.c_int32),
                ("offset", ctypes.c_int32)]


def _choice(choices, name, value):
    if value not in choices:
        raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    return choices[value]


class IntegerFormat:
    """Grouped integers (Spec.md, section 1.1); group 0 is a whole row."""

    def __init__(self, bits, group=64, scale="f16", offset="integer"):
        self.bits, self.group, self.scale, self.offset = bits, group, scale, offset
        self._format = _Format(bits, group, _choice(_SCALES, "scale", scale), _choice(_OFFSETS, "offset", offset))

    def _call(self, name, *arguments):
        function = getattr(artifact._lib(), "lowbit_" + name)
        artifact._check(function(ctypes.byref(self._format), *arguments))

    def stored_bytes(self, rows, columns):
        """Bytes of a matrix in the tiled layout."""
        size = ctypes.c_int64()
        self._call("stored_bytes", ctypes.c_int64(rows), ctypes.c_int64(columns), ctypes.byref(size))
        return size.value

    def groups(self, columns):
        """Groups of a row."""
        return -(-columns // self.group) if self.group else 1

    def quantize(self, weights, solver="search", importance=None):
        """Packed bytes of f32 weights [rows, columns]; importance is one value for each column."""
        import numpy
        weights = _matrix(weights, numpy.float32)
        rows, columns = weights.shape
        if importance is not None:
            importance = numpy.ascontiguousarray(importance, numpy.float32)
            if importance.shape != (columns,):
                raise ValueError(f"importance: has shape {importance.shape}, must have {(columns,)}")
        packed = numpy.empty(self.stored_bytes(rows, columns), numpy.uint8)
        self._call("quantize", ctypes.c_int32(_choice(_SOLVERS, "solver", solver)), _at(weights),
                   ctypes.c_int64(rows), ctypes.c_int64(columns), _at(importance), _at(packed))
        return packed

    def pack(self, codes, scales, zeros=None, factor=1.0):
        """Packed bytes of codes [rows, columns], scales [rows, groups] (f16, or the bytes of E4M3 as u8), zero points
        [rows, groups] for offset stored, and the factor of E4M3 scales."""
        import numpy
        codes = _matrix(codes, numpy.uint8)
        rows, columns = codes.shape
        shape = (rows, self.groups(columns))
        if self.scale == "f16":
            scales = numpy.ascontiguousarray(scales, numpy.float16).view(numpy.uint16)
        else:
            scales = numpy.asarray(scales, numpy.uint8).astype(numpy.uint16)
        zeros = numpy.ascontiguousarray(zeros, numpy.uint8) if zeros is not None else None
        for name, array in (("scales", scales), ("zeros", zeros)):
            if array is not None and array.shape != shape:
                raise ValueError(f"{name}: has shape {array.shape}, must have {shape}")
        packed = numpy.empty(self.stored_bytes(rows, columns), numpy.uint8)
        self._call("pack", _at(codes), _at(scales), _at(zeros), ctypes.c_float(factor), ctypes.c_int64(rows),
                   ctypes.c_int64(columns), _at(packed))
        return packed

    def unpack(self, packed, rows, columns):
        """f32 weights [rows, columns] of packed bytes."""
        import numpy
        packed = numpy.ascontiguousarray(packed, numpy.uint8)
        if packed.shape != (self.stored_bytes(rows, columns),):
            raise ValueError(f"packed: has shape {packed.shape}, must have {(self.stored_bytes(rows, columns),)}")
        weights = numpy.empty((rows, columns), numpy.float32)
        self._call("unpack", _at(packed), ctypes.c_int64(rows), ctypes.c_int64(columns), _at(weights))
        return weights


def _matrix(array, kind):
    import numpy
    array = numpy.ascontiguousarray(array, kind)
    if array.ndim != 2:
        raise ValueError(f"a matrix has 2 dimensions, not {array.ndim}")
    return array


def _at(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)
