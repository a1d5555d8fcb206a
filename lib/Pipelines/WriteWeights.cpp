//===- WriteWeights.cpp - Weights into their places in a file -------------===//

#include "WriteWeights.h"
#include "Sequential.h"

using namespace lowbit;

namespace {

/// Puts tensors where the container says, and notes each in the journal.
class FileSink : public WeightSink {
public:
  FileSink(const WeightTarget &target, uint8_t *mapped, Journal &journal,
           std::vector<std::optional<LedgerEntry>> &entries, Progress *progress)
      : target(target), mapped(mapped), journal(journal), entries(entries),
        progress(progress) {}

  uint8_t *bytes(size_t index) override {
    return mapped + target.container.offset(target.firstWeight + index);
  }
  Status finished(size_t index, LedgerEntry entry) override {
    uint64_t size = target.container.bytes(target.firstWeight + index);
    if (Status status = journal.append(index, {bytes(index), size}, entry))
      return status;
    entries[index] = std::move(entry);
    return std::nullopt;
  }
  void progressed(int64_t weights) override {
    if (progress)
      progress->advance(weights);
  }

private:
  const WeightTarget &target;
  uint8_t *mapped;
  Journal &journal;
  std::vector<std::optional<LedgerEntry>> &entries;
  /// Null where weights are not what the bar counts.
  Progress *progress;
};

/// The journal of an interrupted run, where it is of this job and its file has
/// the right size; else a new one.
Result<Journal> openJournal(const WeightTarget &target, bool sameSize) {
  if (target.resume && target.file.resumed()) {
    auto journal = Journal::resume(target.file.path(), target.fingerprint);
    if (!journal)
      return journal.error();
    if (*journal && sameSize)
      return std::move(**journal);
  }
  return Journal::create(target.file.path(), target.fingerprint);
}

} // namespace

Result<std::vector<LedgerEntry>>
lowbit::writeWeights(Materializer &materializer, WeightTarget &target,
                     Progress &progress, SequentialCalibration *sequential) {
  const Container &container = target.container;
  bool sameSize = target.file.size() == container.fileBytes();
  Result<Journal> journal = openJournal(target, sameSize);
  if (!journal) {
    // Nothing of the other job is lost.
    if (journal.error().code == ExitCode::Mismatch)
      target.file.keepForResume();
    return journal.error();
  }
  auto giveUp = [&](const Error &error) {
    if (error.code == ExitCode::Stopped)
      target.file.keepForResume();
    else
      journal->remove();
    return error;
  };
  if (Status status = target.file.reserve(container.fileBytes()))
    return giveUp(*status);
  Result<uint8_t *> mapped = target.file.map();
  if (!mapped)
    return giveUp(mapped.error());

  size_t count = materializer.parameters().size();
  std::vector<std::optional<LedgerEntry>> entries =
      journal->complete(count, [&](size_t index) {
        size_t section = target.firstWeight + index;
        return Bytes{*mapped + container.offset(section),
                     container.bytes(section)};
      });
  container.write(*mapped);
  std::vector<bool> done(count);
  int64_t kept = 0;
  for (size_t i = 0; i < count; ++i)
    if (entries[i]) {
      done[i] = true;
      kept += entries[i]->rows * entries[i]->columns;
    }
  if (!sequential)
    progress.begin("packing weights", materializer.weights());
  if (kept > 0) {
    progress.note("resumed: " + std::to_string(kept) + " of " +
                  std::to_string(materializer.weights()) +
                  " weights are packed already");
    progress.advance(kept);
  }
  FileSink sink(target, *mapped, *journal, entries,
                sequential ? nullptr : &progress);
  Status status = sequential
                      ? sequential->run(materializer, sink, done, progress)
                      : materializer.run(sink, done);
  progress.end();
  if (status)
    return giveUp(*status);
  std::vector<LedgerEntry> ledger;
  for (std::optional<LedgerEntry> &entry : entries)
    ledger.push_back(std::move(*entry));
  journal->remove();
  return ledger;
}
