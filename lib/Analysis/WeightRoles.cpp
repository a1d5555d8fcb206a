//===- WeightRoles.cpp - Which part a weight plays in the graph -----------===//

#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/IR/Lowbit.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallVector.h"

using namespace mlir;
using namespace lowbit;

namespace {

struct RoleName {
  llvm::StringLiteral name;
  uint32_t roles;
};

/// Single roles in the order in which they are printed, then groups.
constexpr RoleName roleNames[] = {
    {"embedding", EmbeddingRole},
    {"q", QueryRole},
    {"k", KeyRole},
    {"v", ValueRole},
    {"o", OutputRole},
    {"gate", GateRole},
    {"up", UpRole},
    {"down", DownRole},
    {"head", HeadRole},
    {"other", OtherRole},
    {"attention", AttentionRoles},
    {"ffn", FfnRoles},
    {"all", AllRoles},
};

/// Whether `op` hands the rows of its first operand on, so that what its result
/// is used for is what the operand is used for.
bool passesRowsOn(Operation *op) {
  return isa<SliceOp, RotaryOp, TransformOp>(op);
}

/// Adds what `result` of a linear is used for.
void addRolesOfUses(Value result, WeightUse &use) {
  SmallVector<Value> pending = {result};
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    for (OpOperand &operand : value.getUses()) {
      Operation *user = operand.getOwner();
      if (passesRowsOn(user)) {
        pending.push_back(user->getResult(0));
      } else if (auto attention = dyn_cast<AttentionOp>(user)) {
        // Operands 0, 1, 2 are query, key, value.
        use.roles |= QueryRole << operand.getOperandNumber();
        use.layer = attention.getLayer();
      } else if (isa<GateOp>(user)) {
        use.roles |= operand.getOperandNumber() == 0 ? GateRole : UpRole;
      } else if (isa<func::ReturnOp>(user)) {
        use.roles |= HeadRole;
      }
    }
  }
}

/// Adds what the input of a linear says about it.
void addRoleOfInput(LinearOp linear, WeightUse &use) {
  Operation *producer = linear.getInput().getDefiningOp();
  while (producer && passesRowsOn(producer))
    producer = producer->getOperand(0).getDefiningOp();
  if (auto attention = dyn_cast_or_null<AttentionOp>(producer)) {
    use.roles |= OutputRole;
    use.layer = attention.getLayer();
  } else if (isa_and_nonnull<GateOp>(producer)) {
    use.roles |= DownRole;
  }
}

} // namespace

std::optional<uint32_t> lowbit::parseRole(llvm::StringRef name) {
  for (const RoleName &entry : roleNames)
    if (entry.name == name)
      return entry.roles;
  return std::nullopt;
}

std::string lowbit::describeRoles(uint32_t roles) {
  std::string text;
  for (const RoleName &entry : roleNames) {
    // A power of two: a single role.
    if ((entry.roles & (entry.roles - 1)) != 0 || !(roles & entry.roles))
      continue;
    if (!text.empty())
      text += '+';
    text += entry.name;
  }
  return text;
}

WeightRoles::WeightRoles(Operation *function) {
  int64_t lastLayer = -1;
  function->walk([&](Operation *op) {
    if (auto attention = dyn_cast<AttentionOp>(op))
      lastLayer = attention.getLayer();
    if (isa<EmbeddingOp>(op))
      uses[op] = {EmbeddingRole, -1};
    auto linear = dyn_cast<LinearOp>(op);
    if (!linear)
      return;
    WeightUse use;
    addRolesOfUses(linear.getResult(), use);
    addRoleOfInput(linear, use);
    if (use.roles & FfnRoles)
      use.layer = lastLayer;
    if (use.roles == 0)
      use = {OtherRole, lastLayer};
    uses[op] = use;
  });
}

const WeightUse *WeightRoles::lookup(Operation *op) const {
  auto found = uses.find(op);
  return found == uses.end() ? nullptr : &found->second;
}
