//===- Ledger.h - What packing did to each tensor ---------------*- C++ -*-===//
//
// One record for each stored tensor: what it was made from, what it costs, what
// it lost. The ledger is the record of a whole run, as JSON for programs and as
// a table for people.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_LEDGER_H
#define LOWBIT_TRANSFORMS_LEDGER_H

#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/JsonField.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lowbit {

/// One stored tensor.
struct LedgerEntry {
  std::string name;
  /// Tensors of the checkpoint that it was made from, from the top down.
  std::vector<std::string> sources;
  /// `q+k+v`, `embedding+head`, `norm`, `bias`; empty where unknown.
  std::string role;
  /// Layer of the model, -1 outside layers.
  int64_t layer = -1;
  /// `int4-g64`, or an element type (`bf16`).
  std::string format;
  /// `nearest`, `search`, `given`; `exact` where nothing was rounded; `copied`
  /// where the bytes were there already.
  std::string solver;
  /// Rows and columns; a vector has one column.
  int64_t rows = 0, columns = 0;
  /// Weights of the checkpoint that are stored here first: without copies and
  /// matrices of transforms.
  int64_t originals = 0;
  /// Stored bytes = payload + padding.
  int64_t bytes = 0, payload = 0, padding = 0;
  /// Σ(w − ŵ)² / Σw²; nothing where it was not measured (copied).
  std::optional<double> weightError;
  /// Σh(w − ŵ)² / Σhw² with the diagonal h of the profile, where it has one.
  std::optional<double> outputError;
  /// Weights that were NaN or infinite (only with --allow-nonfinite).
  int64_t nonfinite = 0;
  /// Seconds of all threads together.
  double seconds = 0;

  /// Complete bits per weight.
  double bits() const {
    return 8.0 * static_cast<double>(bytes) /
           (static_cast<double>(rows) * static_cast<double>(columns));
  }
};

/// What a pass chose at one place, by the errors without and with its
/// transform.
struct LedgerDecision {
  std::string pass, place, choice;
  double errorWithout = 0, errorWith = 0;
};

/// The record as JSON, and back (exit 7 for what is no record).
JsonValue ledgerEntryToJson(const LedgerEntry &entry);
Result<LedgerEntry> ledgerEntryFromJson(const JsonField &field);

/// Figures of a group of tensors.
struct LedgerTotal {
  int64_t tensors = 0, weights = 0, bytes = 0, padding = 0;
  double bits() const {
    return weights == 0 ? 0 : 8.0 * static_cast<double>(bytes) / weights;
  }
};

/// Whether the entry is a linear of a layer (not embedding, head, norm, bias):
/// what the first of the three bit figures counts.
bool isLinearOfLayer(const LedgerEntry &entry);

/// Sums over the linears of layers only, or over everything.
LedgerTotal sumLedger(const std::vector<LedgerEntry> &entries,
                      bool linearsOnly);

/// The ledger as JSON text: `version`, `totals`, `tensors`, `decisions`.
std::string writeLedgerJson(const std::vector<LedgerEntry> &entries,
                            const std::vector<LedgerDecision> &decisions);

/// The ledger as a table: a line for each tensor, then the sums, then a line
/// for each decision.
std::string writeLedgerTable(const std::vector<LedgerEntry> &entries,
                             const std::vector<LedgerDecision> &decisions);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_LEDGER_H
