//===- CalibrationText.h - A text as rows of batches ------------*- C++ -*-===//
//
// The ids of a text are cut into windows, each of which begins with BOS where
// the model has one, and the windows into batches that a plan takes (Spec.md,
// section 9). Rows stay in the order of the text, so what is summed over them
// does not depend on threads.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_CALIBRATIONTEXT_H
#define LOWBIT_PIPELINES_CALIBRATIONTEXT_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Manifest.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// Tokens that are taken where none are asked for.
constexpr int64_t defaultCalibrationTokens = 65536;

/// Most rows of a batch, and the window where the user does not choose one.
constexpr int64_t calibrationRows = 512;

/// One row: a token at a position of a sequence of the cache.
struct TextRow {
  int32_t id;
  int32_t sequence;
  int32_t position;
};

/// Rows begin … end − 1.
struct TextBatch {
  int64_t begin;
  int64_t end;
};

/// All rows of a text, and the batches that they run in.
struct TextRows {
  std::vector<TextRow> rows;
  std::vector<TextBatch> batches;
};

/// How a text is cut.
struct RowLimits {
  /// Tokens of a window, BOS included: at least 2.
  int64_t context;
  /// Most rows of a batch.
  int64_t rows;
  /// Sequences that the cache holds.
  int64_t sequences;
};

/// Cuts `ids`. Windows of at most `rows` tokens run several at a time, longer
/// ones in pieces, one after the other.
TextRows cutText(const std::vector<int32_t> &ids, std::optional<int32_t> bos,
                 const RowLimits &limits);

/// Exit 2 where a number of tokens or a window that was given (0: was not) is
/// out of range; the line names the option, `prefix` and `tokens` or `context`.
Status checkTextRange(int64_t tokens, int64_t context,
                      const std::string &prefix);

/// The window for a model of `positions` positions where `context` is asked for
/// (0: none is), and how many of them a batch of `calibrationRows` rows holds.
/// Exit 4 for a model of one position, 2 for a window of more than `positions`.
Result<RowLimits> chooseRowLimits(int64_t positions, int64_t context,
                                  const std::string &model);

/// A text to calibrate on.
struct CalibrationText {
  TextRows rows;
  /// SHA-256 of the file, hexadecimal.
  std::string digest;
  /// Tokens of the text that were taken.
  int64_t tokens = 0;
};

/// Reads the file at `path`, encodes it with `tokenizer` (the bytes of a
/// tokenizer.json; no special tokens are parsed) and cuts the first `tokens`
/// tokens (0: as many as `defaultCalibrationTokens`, or all where it has
/// fewer). Errors: exit 3 for files that are no text or have too few tokens
/// (the line names `flag`), 5 for files that cannot be read.
Result<CalibrationText>
readCalibrationText(const std::string &path, const std::string &tokenizer,
                    const ManifestModel &model, const RowLimits &limits,
                    int64_t tokens, const std::string &flag);

} // namespace lowbit

#endif // LOWBIT_PIPELINES_CALIBRATIONTEXT_H
