//===- Session.cpp - Sequences that grow by batches of rows ---------------===//
#include "lowbit/Runtime/Session.h"

#include "lowbit/Runtime/LinearStep.h"

#include <algorithm>

using namespace lowbit;

static Error usage(const std::string &what) { return {ExitCode::Usage, what}; }

static Status inRange(const char *name, int64_t value, int64_t lo, int64_t hi) {
  if (value >= lo && value <= hi)
    return {};
  return usage(std::string(name) + ": " + std::to_string(value) +
               " is not in " + std::to_string(lo) + "…" + std::to_string(hi));
}

/// The bit width to run at: the one asked for, or the largest.
static Result<int64_t> chooseWidth(const Plan &plan, int64_t asked) {
  int64_t largest = 0;
  std::string known;
  for (const PlanEntry &entry : plan.entries) {
    if (entry.width == asked)
      return asked;
    largest = std::max(largest, entry.width);
    if (entry.minRows == 1)
      known += " " + std::to_string(entry.width);
  }
  if (asked < 0)
    return largest;
  if (largest == 0)
    return usage("width: is " + std::to_string(asked) +
                 ", but the model is not nested: it has one width");
  return usage("width: " + std::to_string(asked) +
               " is not in the plan, which has" + known);
}

Result<std::unique_ptr<Session>>
Session::create(std::shared_ptr<const Model> model,
                const SessionOptions &options) {
  const PlanLimits &limits = model->plan().limits;
  int64_t most = std::min(model->manifest().model.context,
                          limits.pagesPerSequence * pagePositions);
  if (auto error = inRange("context", options.context, 0, most))
    return *error;
  if (auto error = inRange("sequences", options.sequences, 1, limits.sequences))
    return *error;
  auto width = chooseWidth(model->plan(), options.width);
  if (!width)
    return width.error();
  auto pool = ThreadPool::create(clampThreads(options.threads));
  if (!pool)
    return pool.error();
  std::unique_ptr<Session> session(new Session());
  session->opened = std::move(model);
  session->threads = std::move(*pool);
  session->width = *width;
  session->positions = options.context ? options.context : most;
  session->expected.assign(options.sequences, -1);

  const Model &m = *session->opened;
  int64_t pages =
      std::min(limits.pages,
               options.sequences * PageTable::pagesFor(session->positions));
  auto executor = Executor::create(
      {m.plan(), m.kernels(), m.variant(),
       [&](const std::string &tensor) { return m.weight(tensor); }, pages,
       m.artifact().path(), m.emulated()},
      session->threads->size());
  if (!executor)
    return executor.error();
  session->executor = std::move(*executor);
  for (const char *name : {"ids", "rows", "select", "page_table"})
    if (!session->executor->input(name))
      return Error{ExitCode::Mismatch,
                   m.artifact().path() + ": plan: has no input " + name};
  session->pages = std::make_unique<PageTable>(
      session->executor->input("page_table"), options.sequences,
      limits.pagesPerSequence, pages);
  return session;
}

Status Session::checkSequence(int64_t sequence) const {
  if (pages->isAlive(sequence))
    return {};
  return usage("sequence: there is no sequence " + std::to_string(sequence));
}

Result<int32_t> Session::addSequence() {
  if (auto sequence = pages->add())
    return *sequence;
  return usage("sequences: all " + std::to_string(expected.size()) +
               " are in use");
}

Status Session::removeSequence(int32_t sequence) {
  if (auto error = checkSequence(sequence))
    return error;
  pages->remove(sequence);
  return {};
}

Result<int64_t> Session::length(int32_t sequence) const {
  if (auto error = checkSequence(sequence))
    return *error;
  return pages->length(sequence);
}

Status Session::truncate(int32_t sequence, int64_t length) {
  if (auto error = checkSequence(sequence))
    return error;
  if (auto error = inRange("length", length, 0, pages->length(sequence)))
    return error;
  pages->resize(sequence, length);
  return {};
}

Status Session::checkRows(const std::vector<BatchRow> &rows,
                          const std::vector<int32_t> &selected) {
  if (auto error =
          inRange("rows", static_cast<int64_t>(rows.size()), 1, maxRows()))
    return error;
  if (auto error =
          inRange("selected rows", static_cast<int64_t>(selected.size()), 0,
                  maxLogits()))
    return error;
  for (int32_t row : selected)
    if (auto error = inRange("selected row", row, 0,
                             static_cast<int64_t>(rows.size()) - 1))
      return error;
  std::fill(expected.begin(), expected.end(), -1);
  for (const BatchRow &row : rows) {
    if (auto error = checkSequence(row.sequence))
      return error;
    if (auto error = inRange("token", row.id, 0, vocabulary() - 1))
      return error;
    int64_t &next = expected[row.sequence];
    int64_t lowest = next < 0 ? 0 : next;
    int64_t highest = next < 0 ? pages->length(row.sequence) : next;
    if (auto error = inRange("position", row.position, lowest, highest))
      return error;
    if (row.position >= context())
      return usage("position: " + std::to_string(row.position) +
                   " is beyond the context of " + std::to_string(context()));
    next = int64_t(row.position) + 1;
  }
  return {};
}

/// Gives every sequence of the batch its pages, or none.
Status Session::growSequences(const std::vector<BatchRow> &rows) {
  int64_t needed = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    if (expected[i] >= 0)
      needed += PageTable::pagesFor(expected[i]) -
                PageTable::pagesFor(pages->length(static_cast<int32_t>(i)));
  if (needed > pages->freePages())
    return Error{ExitCode::Memory,
                 "cache: " + std::to_string(needed) + " more pages needed, " +
                     std::to_string(pages->freePages()) + " free"};
  // Shrink before growing, so that what one gives up another can have.
  for (bool grow : {false, true})
    for (size_t i = 0; i < expected.size(); ++i) {
      auto sequence = static_cast<int32_t>(i);
      if (expected[i] >= 0 && (expected[i] > pages->length(sequence)) == grow)
        pages->resize(sequence, expected[i]);
    }
  return {};
}

Result<const float *> Session::step(const std::vector<BatchRow> &rows,
                                    const std::vector<int32_t> &selected) {
  if (auto error = checkRows(rows, selected))
    return *error;
  // Before anything reads a mapped weight: a file cut short kills the process.
  if (opened->weightsAreMapped())
    if (auto error = opened->artifact().checkUnchanged())
      return *error;
  if (auto error = growSequences(rows))
    return *error;
  int32_t *ids = executor->input("ids");
  int32_t *places = executor->input("rows");
  for (size_t i = 0; i < rows.size(); ++i) {
    ids[i] = rows[i].id;
    places[2 * i] = rows[i].sequence;
    places[2 * i + 1] = rows[i].position;
  }
  std::copy(selected.begin(), selected.end(), executor->input("select"));
  if (auto error = executor->run(*threads, static_cast<int64_t>(rows.size()),
                                 static_cast<int64_t>(selected.size()), width))
    return *error;
  return executor->logits();
}

Status Session::runLinear(const std::string &parameter, const float *x,
                          int64_t rows, int64_t columns, float *y,
                          int64_t outputs) {
  auto step = LinearStep::find(*opened, parameter, width);
  if (!step)
    return step.error();
  if (auto error = inRange("rows", rows, 0, int64_t(1) << 24))
    return error;
  if (auto error =
          inRange("columns", columns, step->columns(), step->columns()))
    return error;
  if (auto error =
          inRange("outputs", outputs, step->outputs(), step->outputs()))
    return error;
  return step->run(*threads, x, rows, y);
}

Result<const float *> Session::append(int32_t sequence,
                                      const std::vector<int32_t> &ids) {
  auto start = length(sequence);
  if (!start)
    return start.error();
  auto count = static_cast<int64_t>(ids.size());
  if (count == 0)
    return usage("tokens: there are none to append");
  if (count > context() - *start)
    return usage("tokens: " + std::to_string(count) + " after " +
                 std::to_string(*start) + " exceed the context of " +
                 std::to_string(context()));
  std::vector<BatchRow> rows;
  for (int64_t at = 0;; at += maxRows()) {
    rows.clear();
    for (int64_t i = at; i < std::min(count, at + maxRows()); ++i)
      rows.push_back({sequence, static_cast<int32_t>(*start + i), ids[i]});
    bool isLast = at + maxRows() >= count;
    std::vector<int32_t> selected;
    if (isLast)
      selected.push_back(static_cast<int32_t>(rows.size()) - 1);
    auto logits = step(rows, selected);
    if (!logits || isLast)
      return logits;
  }
}
