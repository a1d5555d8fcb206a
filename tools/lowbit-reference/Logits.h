//===- Logits.h - Token ids in, logits out ----------------------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_TOOL_LOGITS_H
#define LOWBIT_REFERENCE_TOOL_LOGITS_H

#include "lowbit/Reference/Interpreter.h"

#include <string>
#include <vector>

namespace lowbit {

/// Reads decimal ids, separated by white space or commas. Exit 3 for anything
/// else in the file.
Result<std::vector<int32_t>> readIds(const std::string &path);

/// Runs `ids` as one sequence and writes the logits of every row to `path`, a
/// NumPy file of f32 `[ids][vocabulary]`. An existing file is replaced.
Status writeLogits(Interpreter &interpreter, const std::vector<int32_t> &ids,
                   const std::string &path);

} // namespace lowbit

#endif // LOWBIT_REFERENCE_TOOL_LOGITS_H
