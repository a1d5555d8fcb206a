"""Artifacts through the C library. Logits come as NumPy arrays where NumPy is installed, else as memoryviews."""
import ctypes
import json
import weakref

from . import locate

_P = ctypes.POINTER


class LowbitError(RuntimeError):
    """The runtime's error: `code` is the exit code of Spec.md, section 7."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class _ModelOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("weights", ctypes.c_int32), ("trust", ctypes.c_int32),
                ("variant", ctypes.c_int32), ("threads", ctypes.c_int32), ("device", ctypes.c_char_p),
                ("schedule", ctypes.c_uint64)]


class _Facts(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("vocabulary", ctypes.c_int64), ("context", ctypes.c_int64),
                ("rows", ctypes.c_int64), ("logits", ctypes.c_int64), ("sequences", ctypes.c_int64),
                ("bos", ctypes.c_int32), ("eos_count", ctypes.c_int32), ("variant", ctypes.c_int32),
                ("mapped", ctypes.c_int32), ("file_bytes", ctypes.c_int64), ("weight_bytes", ctypes.c_int64),
                ("parameters", ctypes.c_int64), ("linear_bits", ctypes.c_double), ("model_bits", ctypes.c_double)]


class _ContextOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("threads", ctypes.c_int32), ("sequences", ctypes.c_int32),
                ("context", ctypes.c_int64), ("width", ctypes.c_int32)]


class _Row(ctypes.Structure):
    _fields_ = [("sequence", ctypes.c_int32), ("position", ctypes.c_int32), ("id", ctypes.c_int32)]


class _Sampler(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("temperature", ctypes.c_double), ("top_k", ctypes.c_int64),
                ("top_p", ctypes.c_double), ("min_p", ctypes.c_double)]


class _GenerateOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("sampler", _Sampler), ("max_tokens", ctypes.c_int64),
                ("seed", ctypes.c_uint64), ("request", ctypes.c_uint64), ("ignore_end", ctypes.c_int32)]


class _GenerateResult(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("stop", ctypes.c_int32), ("prompt_tokens", ctypes.c_int64),
                ("tokens", ctypes.c_int64), ("prompt_seconds", ctypes.c_double), ("token_seconds", ctypes.c_double)]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, _P(ctypes.c_char), ctypes.c_size_t)


def _load():
    library = ctypes.CDLL(locate.library())
    error = ctypes.c_void_p
    for name in ("model_open", "context_create", "inspect", "verify", "tokenize", "detokenize", "sequence_create",
                 "sequence_free", "sequence_truncate", "step", "generate", "parameter_shape", "run_linear",
                 "model_replace_parameter", "stored_bytes", "quantize", "pack", "unpack"):
        getattr(library, "lowbit_" + name).restype = error
    library.lowbit_error_code.argtypes = [error]
    library.lowbit_error_message.argtypes = [error]
    library.lowbit_error_message.restype = ctypes.c_char_p
    library.lowbit_error_free.argtypes = [error]
    library.lowbit_free.argtypes = [ctypes.c_void_p]
    library.lowbit_model_close.argtypes = [ctypes.c_void_p]
    library.lowbit_context_free.argtypes = [ctypes.c_void_p]
    library.lowbit_context_positions.argtypes = [ctypes.c_void_p]
    library.lowbit_context_positions.restype = ctypes.c_int64
    library.lowbit_model_eos.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    return library


_library = None


def _lib():
    """The library, loaded at first use: importing the package starts nothing."""
    global _library
    if _library is None:
        _library = _load()
    return _library


def _check(error):
    if not error:
        return
    lib = _lib()
    code, message = lib.lowbit_error_code(error), lib.lowbit_error_message(error).decode("utf-8", "replace")
    lib.lowbit_error_free(error)
    raise LowbitError(code, message)


def _take_text(pointer):
    text = ctypes.string_at(pointer)
    _lib().lowbit_free(pointer)
    return text.decode("utf-8")


def _floats(array):
    return array.ctypes.data_as(_P(ctypes.c_float))


def _path(path):
    return str(path).encode("utf-8", "surrogateescape")


def inspect(path):
    """What is in an artifact, without executing anything."""
    text = ctypes.c_void_p()
    _check(_lib().lowbit_inspect(_path(path), ctypes.byref(text)))
    return json.loads(_take_text(text))


def verify(path, threads=0):
    """Checks every digest of an artifact; LowbitError names the first chunk that differs."""
    _check(_lib().lowbit_verify(_path(path), ctypes.c_int32(threads)))


class Model:
    """An opened artifact: its tokenizer and what contexts run."""

    def __init__(self, path, trust=False, variant=-1, weights="automatic", device="cpu", schedule=0):
        lib = _lib()
        options = _ModelOptions()
        lib.lowbit_model_options_init(ctypes.byref(options))
        options.trust, options.variant = int(trust), variant
        options.weights = {"automatic": 0, "copy": 1, "map": 2}[weights]
        options.device, options.schedule = device.encode(), schedule
        handle = ctypes.c_void_p()
        _check(lib.lowbit_model_open(_path(path), ctypes.byref(options), ctypes.byref(handle)))
        self._handle = handle
        self._finalizer = weakref.finalize(self, lib.lowbit_model_close, handle)
        facts = _Facts(size=ctypes.sizeof(_Facts))
        lib.lowbit_model_get_facts(handle, ctypes.byref(facts))
        self.facts = {name: getattr(facts, name) for name, _ in _Facts._fields_[1:]}
        self.eos = [lib.lowbit_model_eos(handle, i) for i in range(facts.eos_count)]

    def tokenize(self, text, add_special=True, parse_special=False):
        """Ids of a text."""
        data = text.encode("utf-8")
        ids, count = _P(ctypes.c_int32)(), ctypes.c_size_t()
        _check(_lib().lowbit_tokenize(self._handle, data, ctypes.c_size_t(len(data)), int(add_special),
                                      int(parse_special), ctypes.byref(ids), ctypes.byref(count)))
        result = ids[:count.value]
        _lib().lowbit_free(ids)
        return result

    def detokenize(self, ids, skip_special=True):
        """Text of ids."""
        array = (ctypes.c_int32 * len(ids))(*ids)
        text, size = ctypes.c_void_p(), ctypes.c_size_t()
        _check(_lib().lowbit_detokenize(self._handle, array, ctypes.c_size_t(len(ids)), int(skip_special),
                                        ctypes.byref(text), ctypes.byref(size)))
        data = ctypes.string_at(text, size.value)
        _lib().lowbit_free(text)
        return data.decode("utf-8")

    def shape(self, parameter):
        """(rows, columns) of a parameter, named as in the manifest."""
        rows, columns, size = ctypes.c_int64(), ctypes.c_int64(), ctypes.c_int64()
        _check(_lib().lowbit_parameter_shape(self._handle, parameter.encode("utf-8"), ctypes.byref(rows),
                                             ctypes.byref(columns), ctypes.byref(size)))
        return rows.value, columns.value

    def replace(self, parameter, packed):
        """Replaces the packed bytes of a parameter in this process; no context may be in a call meanwhile."""
        data = bytes(packed)
        _check(_lib().lowbit_model_replace_parameter(self._handle, parameter.encode("utf-8"), data,
                                                     ctypes.c_size_t(len(data))))

    def context(self, **options):
        """A context: threads, cache and sequences of its own."""
        return Context(self, **options)

    def logits(self, ids, **options):
        """f32 logits [tokens, vocabulary] of one sequence."""
        import numpy
        context = self.context(sequences=1, **options)
        sequence = context.sequence()
        out = numpy.empty((len(ids), self.facts["vocabulary"]), numpy.float32)
        step = min(self.facts["rows"], self.facts["logits"])
        for begin in range(0, len(ids), step):
            part = ids[begin:begin + step]
            rows = [(sequence, begin + i, token) for i, token in enumerate(part)]
            out[begin:begin + len(part)] = context.step(rows, range(len(part)))
        return out

    def generate(self, prompt, **options):
        """Text after a prompt; options as Context.generate's."""
        context = self.context(sequences=1)
        return "".join(context.stream(context.sequence(), self.tokenize(prompt), **options))


class Context:
    """Runs batches. Calls on one context wait for each other."""

    def __init__(self, model, threads=0, sequences=1, context=0, width=-1):
        lib = _lib()
        options = _ContextOptions()
        lib.lowbit_context_options_init(ctypes.byref(options))
        options.threads, options.sequences, options.context, options.width = threads, sequences, context, width
        handle = ctypes.c_void_p()
        _check(lib.lowbit_context_create(model._handle, ctypes.byref(options), ctypes.byref(handle)))
        self.model, self._handle = model, handle
        self._finalizer = weakref.finalize(self, lib.lowbit_context_free, handle)

    @property
    def positions(self):
        """Positions of a sequence."""
        return _lib().lowbit_context_positions(self._handle)

    def sequence(self):
        """A new, empty sequence."""
        sequence = ctypes.c_int32()
        _check(_lib().lowbit_sequence_create(self._handle, ctypes.byref(sequence)))
        return sequence.value

    def free(self, sequence):
        """Gives a sequence's cache pages back."""
        _check(_lib().lowbit_sequence_free(self._handle, ctypes.c_int32(sequence)))

    def truncate(self, sequence, length):
        """Forgets the positions from `length` on."""
        _check(_lib().lowbit_sequence_truncate(self._handle, ctypes.c_int32(sequence), ctypes.c_int64(length)))

    def step(self, rows, selected):
        """Runs rows of (sequence, position, id); the logits of the selected rows, copied."""
        batch = (_Row * len(rows))(*[_Row(*row) for row in rows])
        wanted = (ctypes.c_int32 * len(selected))(*selected)
        logits = _P(ctypes.c_float)()
        _check(_lib().lowbit_step(self._handle, batch, ctypes.c_size_t(len(rows)), wanted,
                                  ctypes.c_size_t(len(selected)), ctypes.byref(logits)))
        shape = (len(selected), self.model.facts["vocabulary"])
        size = 4 * shape[0] * shape[1]
        data = ctypes.string_at(logits, size) if size else b""
        try:
            import numpy
        except ImportError:
            return memoryview(data).cast("f", shape) if size else memoryview(data)
        return numpy.frombuffer(data, numpy.float32).reshape(shape)

    def linear(self, parameter, x):
        """The linear of one parameter alone on f32 rows [n, columns], as the model runs it: f32 [n, outputs]."""
        import numpy
        outputs, columns = self.model.shape(parameter)
        x = numpy.ascontiguousarray(x, numpy.float32)
        if x.ndim != 2:
            raise ValueError(f"x: has {x.ndim} dimensions, must have 2")
        y = numpy.empty((len(x), outputs), numpy.float32)
        _check(_lib().lowbit_run_linear(self._handle, parameter.encode("utf-8"), _floats(x), ctypes.c_int64(len(x)),
                                        ctypes.c_int64(x.shape[1]), _floats(y), ctypes.c_int64(outputs)))
        return y

    def stream(self, sequence, ids, max_tokens=-1, temperature=0.0, top_k=0, top_p=1.0, min_p=0.0, seed=0,
               ignore_end=False):
        """Pieces of text as they were made after the ids."""
        lib = _lib()
        options = _GenerateOptions()
        lib.lowbit_generate_options_init(ctypes.byref(options))
        options.sampler.temperature, options.sampler.top_k = temperature, top_k
        options.sampler.top_p, options.sampler.min_p = top_p, min_p
        options.max_tokens, options.seed, options.ignore_end = max_tokens, seed, int(ignore_end)
        pieces, result = [], _GenerateResult(size=ctypes.sizeof(_GenerateResult))

        def keep(_user, _token, text, size):
            pieces.append(ctypes.string_at(text, size).decode("utf-8") if size else "")
            return 1

        array = (ctypes.c_int32 * len(ids))(*ids)
        _check(lib.lowbit_generate(self._handle, ctypes.c_int32(sequence), array, ctypes.c_size_t(len(ids)),
                                   ctypes.byref(options), _Callback(keep), None, ctypes.byref(result)))
        return pieces
