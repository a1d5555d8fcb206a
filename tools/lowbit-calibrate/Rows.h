//===- Rows.h - The text as rows of batches ---------------------*- C++ -*-===//
//
// The ids of a text are cut into windows, each of which begins with BOS where
// the model has one, and the windows into batches that a plan takes. Rows stay
// in the order of the text, so what is summed over them does not depend on how
// they are batched.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_CALIBRATE_ROWS_H
#define LOWBIT_TOOLS_CALIBRATE_ROWS_H

#include <cstdint>
#include <optional>
#include <vector>

namespace lowbit::calibrate {

/// One row: a token at a position of a sequence of the cache.
struct Row {
  int32_t id;
  int32_t sequence;
  int32_t position;
};

/// Rows begin … end − 1.
struct Batch {
  int64_t begin;
  int64_t end;
};

/// All rows of a text, and the batches that they run in.
struct TextRows {
  std::vector<Row> rows;
  std::vector<Batch> batches;
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

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_ROWS_H
