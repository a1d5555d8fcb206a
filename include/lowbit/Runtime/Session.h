//===- Session.h - Sequences that grow by batches of rows -------*- C++ -*-===//
//
// A session has its own threads, buffers and cache. Sequences are independent:
// a batch mixes rows of any of them, and the result of a row depends on its own
// sequence only.
//
//   auto session = Session::create(model, {});
//   auto sequence = (*session)->addSequence();
//   auto logits = (*session)->step({{*sequence, 0, bos}}, {0});
//
// One call at a time; the C API holds a lock.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_SESSION_H
#define LOWBIT_RUNTIME_SESSION_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Executor.h"
#include "lowbit/Runtime/Model.h"
#include "lowbit/Runtime/PageTable.h"
#include "lowbit/Runtime/ThreadPool.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lowbit {

/// How a session is made.
struct SessionOptions {
  /// As clampThreads takes them.
  int64_t threads = 0;
  /// Positions of one sequence; 0 is as many as model and plan have.
  int64_t context = 0;
  /// Sequences at once, 1 … limits.sequences.
  int64_t sequences = 1;
  /// Bit width of nested models; −1 is the largest that the plan has.
  int64_t width = -1;
};

/// One row of a batch: token `id` at `position` of `sequence`.
struct BatchRow {
  int32_t sequence;
  int32_t position;
  int32_t id;
};

/// See the head of this file.
class Session {
public:
  /// Exit 2 for options out of range, 6 where memory or threads are missing.
  static Result<std::unique_ptr<Session>>
  create(std::shared_ptr<const Model> model, const SessionOptions &options);

  const Model &model() const { return *opened; }
  ThreadPool &pool() { return *threads; }
  /// Positions that one sequence can have.
  int64_t context() const { return positions; }
  /// Rows, and rows with logits, that one step can have.
  int64_t maxRows() const { return opened->plan().limits.rows; }
  int64_t maxLogits() const { return opened->plan().limits.logits; }
  int64_t vocabulary() const { return opened->manifest().model.vocabulary; }

  /// Starts a sequence; exit 2 where all are in use.
  Result<int32_t> addSequence();
  /// Ends one; exit 2 where there is no such sequence.
  Status removeSequence(int32_t sequence);
  /// Positions that are filled; exit 2 as above.
  Result<int64_t> length(int32_t sequence) const;
  /// Forgets the positions from `length` on; exit 2 where it has fewer.
  Status truncate(int32_t sequence, int64_t length);

  /// Runs a batch. The rows of a sequence must be at consecutive positions, in
  /// order, and the first at most at the sequence's length; a smaller one
  /// replaces what was there, and the sequence then ends with the last row.
  /// Returns the logits of the rows in `selected`, in that order, [selected]
  /// [vocabulary], valid until the next call. Exit 2 for rows out of range
  /// (nothing has changed then), 5 where a mapped file was changed, 6 where no
  /// pages are left.
  Result<const float *> step(const std::vector<BatchRow> &rows,
                             const std::vector<int32_t> &selected);

  /// Appends `ids` to a sequence in chunks of at most maxRows, and returns the
  /// logits after the last. Exit 2 where they do not fit into the context.
  Result<const float *> append(int32_t sequence,
                               const std::vector<int32_t> &ids);

  /// Runs the linear of a parameter alone on f32 rows x [rows][columns], giving
  /// y [rows][outputs]; columns and outputs must be those of the parameter
  /// (exit 2). See LinearStep.
  Status runLinear(const std::string &parameter, const float *x, int64_t rows,
                   int64_t columns, float *y, int64_t outputs);

  /// Accumulators of the plan, see Executor.
  uint8_t *accumulator(const std::string &name, int64_t &bytes) {
    return executor->accumulator(name, bytes);
  }

private:
  Session() = default;
  Status checkSequence(int64_t sequence) const;
  Status checkRows(const std::vector<BatchRow> &rows,
                   const std::vector<int32_t> &selected);
  Status growSequences(const std::vector<BatchRow> &rows);

  std::shared_ptr<const Model> opened;
  std::unique_ptr<ThreadPool> threads;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<PageTable> pages;
  int64_t positions = 0;
  int64_t width = 0;
  /// By sequence: the position that its next row in a batch must have; −1
  /// outside checkRows.
  std::vector<int64_t> expected;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_SESSION_H
