//===- WeightRoles.h - Which part a weight plays in the graph ---*- C++ -*-===//
//
// What a linear or an embedding is for, found from the use-def graph alone and
// never from a name: the linear whose result reaches an attention's query
// operand is a query projection, whatever the checkpoint calls it. After
// fusion one linear plays several parts.
//
//   WeightRoles roles(function);
//   const WeightUse *use = roles.lookup(linear);
//   if (use && (use->roles & (QueryRole | KeyRole)))
//     … use->layer …
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_ANALYSIS_WEIGHTROLES_H
#define LOWBIT_ANALYSIS_WEIGHTROLES_H

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace mlir {
class Operation;
} // namespace mlir

namespace lowbit {

/// Roles as bits: a fused linear has several.
enum WeightRole : uint32_t {
  EmbeddingRole = 1u << 0,
  QueryRole = 1u << 1,
  KeyRole = 1u << 2,
  ValueRole = 1u << 3,
  OutputRole = 1u << 4,
  GateRole = 1u << 5,
  UpRole = 1u << 6,
  DownRole = 1u << 7,
  HeadRole = 1u << 8,
  /// A linear that is none of these.
  OtherRole = 1u << 9,
  AttentionRoles = QueryRole | KeyRole | ValueRole | OutputRole,
  FfnRoles = GateRole | UpRole | DownRole,
  AllRoles = (1u << 10) - 1,
};

/// The roles that a recipe's word names: `embedding`, `head`, `attention`,
/// `ffn`, `q`, `k`, `v`, `o`, `gate`, `up`, `down`, `all`; none where it is no
/// such word.
std::optional<uint32_t> parseRole(llvm::StringRef name);

/// The single roles of `roles` by name, joined with `+`: `q+k+v`. Norms and
/// everything else without a role: an empty string.
std::string describeRoles(uint32_t roles);

/// What one linear or embedding is for.
struct WeightUse {
  uint32_t roles = 0;
  /// Layer of the attention that it belongs to or follows; -1 outside layers
  /// (embedding, head).
  int64_t layer = -1;
};

/// The uses of all linears and embeddings of a function.
class WeightRoles {
public:
  /// `function` is a `func.func` (or any op that holds graph ops).
  explicit WeightRoles(mlir::Operation *function);

  /// The use of a `lowbit.linear` or `lowbit.embedding`; null for other ops.
  const WeightUse *lookup(mlir::Operation *op) const;

private:
  llvm::DenseMap<mlir::Operation *, WeightUse> uses;
};

} // namespace lowbit

#endif // LOWBIT_ANALYSIS_WEIGHTROLES_H
