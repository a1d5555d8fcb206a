//===- ForeignFormat.h - What a file is that is not ours --------*- C++ -*-===//
#ifndef LOWBIT_CHECKPOINT_FOREIGNFORMAT_H
#define LOWBIT_CHECKPOINT_FOREIGNFORMAT_H

#include "lowbit/Checkpoint/Bytes.h"

#include <string_view>

namespace lowbit {

/// A hint for an error line, by a file's first bytes: ` (this is a Git LFS
/// pointer: run git lfs pull)`, HTML, zip or pickle (PyTorch), GGUF, gzip;
/// empty where nothing is recognized. Looks only, opens nothing.
std::string_view foreignFormatHint(Bytes file);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_FOREIGNFORMAT_H
