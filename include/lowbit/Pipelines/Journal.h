//===- Journal.h - How far an interrupted compilation came ------*- C++ -*-===//
//
// A text file beside the partial output, `.NAME.journal`: its first line says
// what is being made (a fingerprint), each further line that one tensor is
// complete: its number, the digest of its bytes, its ledger record. A kill
// leaves at worst half a line, which does not count. On resume the bytes are
// compared with the digests: what a power cut lost is made again.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_JOURNAL_H
#define LOWBIT_PIPELINES_JOURNAL_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Descriptor.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Transforms/Ledger.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lowbit {

/// What decides the bytes of an output: names and values (digests, mostly).
using Fingerprint = std::vector<std::pair<std::string, std::string>>;

/// The journal of one output. Move-only; its file stays until `remove`.
class Journal {
public:
  /// The path of the journal of an output.
  static std::string pathFor(const std::string &output);

  /// Begins a new journal, replacing an old one. Exit 5.
  static Result<Journal> create(const std::string &output,
                                const Fingerprint &fingerprint);

  /// Takes up the journal that is there; nothing where there is none. Exit 7
  /// where it is of another job: the line lists the fields that differ, with
  /// their values where those are no digests.
  static Result<std::optional<Journal>> resume(const std::string &output,
                                               const Fingerprint &fingerprint);

  /// Whether the journal that is there, if any, agrees with as much of its
  /// fingerprint as is known; errors as those of `resume`.
  static Status check(const std::string &output, const Fingerprint &known);

  /// The records of complete tensors, by number; `bytesOf` gives a tensor's
  /// bytes, whose digest must match.
  std::vector<std::optional<LedgerEntry>>
  complete(size_t tensors,
           const std::function<Bytes(size_t index)> &bytesOf) const;

  /// Notes that a tensor is complete. Exit 5.
  Status append(size_t index, Bytes bytes, const LedgerEntry &entry);

  /// Removes the file: the output is published, or given up.
  void remove();

private:
  Journal() = default;

  std::string path;
  Descriptor file;
  /// Lines after the first, of a journal that was taken up.
  std::vector<std::string> lines;
};

} // namespace lowbit

#endif // LOWBIT_PIPELINES_JOURNAL_H
