//===- FoldTransforms.cpp - Move transforms into weights ------------------===//

#include "FoldTransforms.h"
#include "WeightChains.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace lowbit;

int64_t lowbit::columnsOf(Value rows) {
  return cast<RankedTensorType>(rows.getType()).getDimSize(1);
}

namespace {

constexpr llvm::StringLiteral up = "up", down = "down";

bool moves(TransformOp op, StringRef direction) {
  auto attr = op->getAttrOfType<StringAttr>(foldAttr);
  return attr && attr.getValue() == direction;
}

/// Says which way the transform that makes `rows` is to move.
static void mark(Value rows, StringRef direction) {
  Operation *op = rows.getDefiningOp();
  op->setAttr(foldAttr, StringAttr::get(op->getContext(), direction));
}

/// Whether T only acts within blocks that divide `size`: then it is the same
/// for every head of that size.
bool actsWithin(const Transform &transform, int64_t size) {
  int64_t block = getBlock(transform);
  return block > 0 && size % block == 0;
}

/// Whether T of values is the same T of what attention makes of them: it acts
/// within heads, or, with a value head for each query head, on columns alone.
bool passesValues(const Transform &transform, AttentionOp attention) {
  return actsWithin(transform, attention.getHeadDim()) ||
         (transform.kind.isDiagonal() &&
          attention.getHeads() == attention.getKvHeads());
}

/// Whether b undoes a (a · b = I), as far as the operations show it.
bool areInverse(const Transform &a, const Transform &b) {
  if (a.kind.getInverseKind() != b.kind ||
      a.matrices.size() != b.matrices.size())
    return false;
  bool orthogonal = a.kind.isOrthogonal();
  return llvm::all_of(llvm::zip_equal(a.matrices, b.matrices), [&](auto pair) {
    auto [x, y] = pair;
    auto undoes = [&](Value from, Value to) {
      Operation *op = to.getDefiningOp();
      return orthogonal
                 ? isa_and_nonnull<TransposeOp>(op) && op->getOperand(0) == from
                 : isa_and_nonnull<InvertOp>(op) && op->getOperand(0) == from;
    };
    return undoes(x, y) || undoes(y, x);
  });
}

/// Whether `linear` multiplies with plain weights, so that a transform can go
/// into them.
bool takesTransforms(LinearOp linear) {
  return isPlainChain(linear.getWeight()) &&
         (!linear.getBias() || isPlainChain(linear.getBias())) &&
         linear.getActivation().getType().isF32();
}

/// Whether the linear's weight is an embedding's table, too.
bool isTied(LinearOp linear) {
  SmallVector<WeightOp> leaves;
  collectLeaves(linear.getWeight(), leaves);
  auto function = linear->getParentOfType<func::FuncOp>();
  for (auto embedding : function.getOps<EmbeddingOp>()) {
    SmallVector<WeightOp> tables;
    collectLeaves(embedding.getTable(), tables);
    for (WeightOp table : tables)
      for (WeightOp leaf : leaves)
        if (table.getParameterAttr() == leaf.getParameterAttr())
          return true;
  }
  return false;
}

} // namespace

bool lowbit::onlyPlainLinearsRead(Value rows) {
  return !rows.use_empty() && llvm::all_of(rows.getUses(), [](OpOperand &use) {
    auto linear = dyn_cast<LinearOp>(use.getOwner());
    return linear && use.getOperandNumber() == 0 && takesTransforms(linear);
  });
}

namespace {

/// One function while transforms move.
class Folder {
public:
  Folder(func::FuncOp function, TiedHead tied, bool signsOnly)
      : function(function), tied(tied), signsOnly(signsOnly) {}

  void run() {
    bool changed = true;
    while (changed) {
      changed = false;
      SmallVector<TransformOp> transforms(function.getOps<TransformOp>());
      for (TransformOp op : transforms) {
        if (!isMeant(op))
          continue;
        if (moves(op, up))
          changed |= foldUp(op);
        else if (moves(op, down))
          changed |= foldDown(op);
      }
    }
    dropIdlePairs();
  }

private:
  bool isMeant(TransformOp op) const {
    return !signsOnly || isa<SignsAttr>(op.getTransform());
  }

  //===--------------------------------------------------------------------===//
  // Down: into what reads the rows
  //===--------------------------------------------------------------------===//

  bool foldDown(TransformOp op) {
    bool changed = false;
    SmallVector<std::pair<Operation *, unsigned>> uses;
    for (OpOperand &use : op.getResult().getUses())
      uses.push_back({use.getOwner(), use.getOperandNumber()});
    for (auto [user, number] : uses) {
      // An earlier step may have changed or replaced it.
      if (!llvm::is_contained(op.getResult().getUsers(), user) ||
          user->getOperand(number) != op.getResult())
        continue;
      changed |= foldInto(op, user, number);
    }
    if (op.getResult().use_empty()) {
      op.erase();
      changed = true;
    }
    return changed;
  }

  bool foldInto(TransformOp op, Operation *user, unsigned number) {
    return llvm::TypeSwitch<Operation *, bool>(user)
        .Case([&](LinearOp o) { return intoLinear(op, o); })
        .Case([&](AddOp o) { return throughAdd(op, o); })
        .Case([&](SelectRowsOp o) {
          OpBuilder builder(o);
          auto type = cast<RankedTensorType>(o.getResult().getType());
          auto select = SelectRowsOp::create(
              builder, o.getLoc(), withColumns(type, columnsOf(op.getInput())),
              op.getInput(), o.getIndex());
          return replaceByDown(o, select, getTransform(op));
        })
        .Case([&](RmsNormOp o) { return throughNorm(op, o); })
        .Case([&](AttentionOp o) { return throughAttention(op, o, number); })
        .Case([&](GateOp o) {
          if (number != 1 || !op.getTransform().isDiagonal() ||
              o.getGate() == o.getUp())
            return false;
          OpBuilder builder(o);
          auto gate =
              GateOp::create(builder, o.getLoc(), o.getGate(), op.getInput());
          return replaceByDown(o, gate, getTransform(op));
        })
        .Case([&](RotaryOp o) {
          if (!commutesWithRotary(op, o))
            return false;
          OpBuilder builder(o);
          auto rotary =
              RotaryOp::create(builder, o.getLoc(), o.getType(), op.getInput(),
                               o.getRows(), o.getFrequenciesAttr());
          return replaceByDown(o, rotary, getTransform(op));
        })
        .Case([&](TransformOp o) {
          if (!moves(o, up) || o.getResult().use_empty() ||
              !areInverse(getTransform(op), getTransform(o)))
            return false;
          // Erased when its own turn comes: it may be in the list still.
          o.getResult().replaceAllUsesWith(op.getInput());
          return true;
        })
        .Default([](Operation *) { return false; });
  }

  bool intoLinear(TransformOp op, LinearOp linear) {
    if (!takesTransforms(linear))
      return false;
    OpBuilder weights = weightBuilder(function);
    Transform turned = transpose(weights, linear.getLoc(), getTransform(op));
    linear.getWeightMutable().assign(
        applyToWeight(weights, linear.getLoc(), linear.getWeight(), 1, turned));
    linear.getInputMutable().assign(op.getInput());
    return true;
  }

  /// (a · T) + (b · T) = (a + b) · T.
  bool throughAdd(TransformOp op, AddOp add) {
    auto lhs = add.getLhs().getDefiningOp<TransformOp>();
    auto rhs = add.getRhs().getDefiningOp<TransformOp>();
    if (!lhs || !rhs || !moves(lhs, down) || !moves(rhs, down) ||
        getTransform(lhs) != getTransform(rhs))
      return false;
    OpBuilder builder(add);
    auto sum =
        AddOp::create(builder, add.getLoc(), lhs.getInput(), rhs.getInput());
    return replaceByDown(add, sum, getTransform(op));
  }

  /// norm(x · T) = norm(x) · T for orthogonal T and a gain that T does not mix.
  bool throughNorm(TransformOp op, RmsNormOp norm) {
    Transform transform = getTransform(op);
    if (!transform.kind.isOrthogonal())
      return false;
    bool keepsGain = transform.kind.isDiagonal() || getFill(norm.getGain());
    Transform inFront;
    Value gain = norm.getGain();
    if (!keepsGain) {
      if (!isPlainChain(gain) || !onlyPlainLinearsRead(norm.getResult()))
        return false;
      if (tied == TiedHead::Untie || !feedsTiedHead(norm))
        return foldScale(norm);
      std::tie(gain, inFront) = scaleInBasis(norm, transform);
    }
    OpBuilder builder(norm);
    Value rows = RmsNormOp::create(builder, norm.getLoc(), op.getInput(), gain,
                                   norm.getEpsAttr());
    if (inFront) {
      // It takes the scale's part, and stays.
      rows = applyToRows(builder, norm.getLoc(), rows, inFront);
    }
    return replaceByDown(norm, rows.getDefiningOp(), transform);
  }

  /// Ones for the norm's gain, and M = T · diag(γ) · T⁻¹ to stand behind it:
  /// norm_γ(x · T) = norm₁(x) · T · diag(γ) = norm₁(x) · M · T.
  std::pair<Value, Transform> scaleInBasis(RmsNormOp norm,
                                           const Transform &transform) {
    OpBuilder weights = weightBuilder(function);
    Location loc = norm.getLoc();
    int64_t n = columnsOf(norm.getInput());
    Type f32 = weights.getF32Type();
    Value diagonal = ExpandDiagonalOp::create(
        weights, loc, RankedTensorType::get({n, n}, f32), norm.getGain());
    Transform turned = transpose(weights, loc, transform);
    Value matrix = applyToWeight(weights, loc, diagonal, 0, turned);
    matrix =
        applyToWeight(weights, loc, matrix, 1, invert(weights, loc, transform));
    return {ones(weights, norm), makeDense(matrix, MatrixKind::General)};
  }

  static Value ones(OpBuilder &weights, RmsNormOp norm) {
    return FillOp::create(weights, norm.getLoc(),
                          RankedTensorType::get({columnsOf(norm.getInput())},
                                                weights.getF32Type()),
                          weights.getF32FloatAttr(1.0f));
  }

  bool throughAttention(TransformOp op, AttentionOp attention,
                        unsigned number) {
    Transform transform = getTransform(op);
    if (!passesValues(transform, attention))
      return false;
    if (number == 2) {
      // A value may be the key as well; then the result's users must wait.
      attention.getValueMutable().assign(op.getInput());
      return putBehind(attention, transform);
    }
    auto query = attention.getQuery().getDefiningOp<TransformOp>();
    auto key = attention.getKey().getDefiningOp<TransformOp>();
    if (number > 1 || !actsWithin(transform, attention.getHeadDim()) ||
        !query || !key || !moves(query, down) || !moves(key, down) ||
        !transform.kind.isOrthogonal() ||
        getTransform(query) != getTransform(key))
      return false;
    // Scores do not change: (q · T) · (k · T)ᵀ = q · kᵀ.
    attention.getQueryMutable().assign(query.getInput());
    attention.getKeyMutable().assign(key.getInput());
    return true;
  }

  bool commutesWithRotary(TransformOp op, RotaryOp rotary) {
    auto pairs = static_cast<int64_t>(rotary.getFrequencies().size());
    return op.getTransform().isDiagonal() &&
           actsWithin(getTransform(op), pairs);
  }

  static RankedTensorType withColumns(RankedTensorType type, int64_t columns) {
    return RankedTensorType::get({type.getDimSize(0), columns},
                                 type.getElementType());
  }

  /// `old` becomes `made` · T, T still on its way down.
  bool replaceByDown(Operation *old, Operation *made,
                     const Transform &transform) {
    OpBuilder builder(old);
    Value moved =
        applyToRows(builder, old->getLoc(), made->getResult(0), transform);
    mark(moved, down);
    old->getResult(0).replaceAllUsesWith(moved);
    old->erase();
    return true;
  }

  /// The same for an operation that was changed in place.
  bool putBehind(Operation *changed, const Transform &transform) {
    OpBuilder builder(changed->getContext());
    builder.setInsertionPointAfter(changed);
    Value result = changed->getResult(0);
    Value moved = applyToRows(builder, changed->getLoc(), result, transform);
    mark(moved, down);
    result.replaceAllUsesExcept(moved, moved.getDefiningOp());
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Up: into what makes the rows
  //===--------------------------------------------------------------------===//

  bool foldUp(TransformOp op) {
    if (op.getResult().use_empty()) {
      op.erase();
      return true;
    }
    Operation *maker = op.getInput().getDefiningOp();
    if (!maker || !op.getInput().hasOneUse())
      return false;
    return llvm::TypeSwitch<Operation *, bool>(maker)
        .Case([&](LinearOp o) { return intoLinearRows(op, o); })
        .Case([&](EmbeddingOp o) {
          if (!isPlainChain(o.getTable()))
            return false;
          OpBuilder weights = weightBuilder(function);
          o.getTableMutable().assign(applyToWeight(
              weights, o.getLoc(), o.getTable(), 1, getTransform(op)));
          return takePlaceOf(op, o);
        })
        .Case([&](RmsNormOp o) {
          if (!op.getTransform().isDiagonal() || !isPlainChain(o.getGain()))
            return false;
          OpBuilder weights = weightBuilder(function);
          o.getGainMutable().assign(applyToWeight(
              weights, o.getLoc(), o.getGain(), 0, getTransform(op)));
          return takePlaceOf(op, o);
        })
        .Case([&](GateOp o) { return aboveGate(op, o); })
        .Case([&](AttentionOp o) {
          if (!passesValues(getTransform(op), o))
            return false;
          OpBuilder builder(o);
          o.getValueMutable().assign(moveUp(builder, op, o.getValue()));
          return takePlaceOf(op, o);
        })
        .Case([&](RotaryOp o) {
          if (!commutesWithRotary(op, o))
            return false;
          OpBuilder builder(o);
          o.getInputMutable().assign(moveUp(builder, op, o.getInput()));
          return takePlaceOf(op, o);
        })
        .Default([](Operation *) { return false; });
  }

  bool intoLinearRows(TransformOp op, LinearOp linear) {
    if (!takesTransforms(linear))
      return false;
    OpBuilder weights = weightBuilder(function);
    Transform transform = getTransform(op);
    linear.getWeightMutable().assign(applyToWeight(
        weights, linear.getLoc(), linear.getWeight(), 0, transform));
    if (linear.getBias())
      linear.getBiasMutable().assign(applyToWeight(
          weights, linear.getLoc(), linear.getBias(), 0, transform));
    return takePlaceOf(op, linear);
  }

  /// (silu(g) · u) · D = silu(g) · (u · D); a gather copies both.
  bool aboveGate(TransformOp op, GateOp gate) {
    bool isGather = isa<GatherAttr>(op.getTransform());
    if (!isGather && !op.getTransform().isDiagonal())
      return false;
    OpBuilder builder(gate);
    if (isGather) {
      // Online copies of both would cost more than one of their product.
      for (Value rows : {gate.getGate(), gate.getUp()}) {
        auto linear = rows.getDefiningOp<LinearOp>();
        if (!linear || !rows.hasOneUse() || !takesTransforms(linear))
          return false;
      }
      Value made = GateOp::create(builder, gate.getLoc(),
                                  moveUp(builder, op, gate.getGate()),
                                  moveUp(builder, op, gate.getUp()));
      op.getResult().replaceAllUsesWith(made);
      op.erase();
      gate.erase();
      return true;
    }
    gate.getUpMutable().assign(moveUp(builder, op, gate.getUp()));
    return takePlaceOf(op, gate);
  }

  static Value moveUp(OpBuilder &builder, TransformOp op, Value rows) {
    Value moved = applyToRows(builder, op.getLoc(), rows, getTransform(op));
    mark(moved, up);
    return moved;
  }

  /// The changed `maker` makes the transform's result now.
  static bool takePlaceOf(TransformOp op, Operation *maker) {
    maker->getResult(0).setType(op.getResult().getType());
    op.getResult().replaceAllUsesWith(maker->getResult(0));
    op.erase();
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Both
  //===--------------------------------------------------------------------===//

  /// A pair of which no half found a place does nothing but cost time.
  void dropIdlePairs() {
    for (TransformOp op :
         llvm::make_early_inc_range(function.getOps<TransformOp>())) {
      auto first = op.getInput().getDefiningOp<TransformOp>();
      if (!first || !isMeant(op) || !moves(first, up) || !moves(op, down) ||
          !areInverse(getTransform(first), getTransform(op)))
        continue;
      op.getResult().replaceAllUsesWith(first.getInput());
      op.erase();
    }
    SmallVector<TransformOp> left(function.getOps<TransformOp>());
    for (TransformOp op : llvm::reverse(left))
      if (op.getResult().use_empty())
        op.erase();
  }

public:
  static bool feedsTiedHead(RmsNormOp norm) {
    return llvm::any_of(norm.getResult().getUsers(), [](Operation *user) {
      auto linear = dyn_cast<LinearOp>(user);
      return linear && isTied(linear);
    });
  }

  /// norm_γ(x) · Wᵀ = norm₁(x) · (W · diag(γ))ᵀ.
  bool foldScale(RmsNormOp norm) {
    OpBuilder weights = weightBuilder(function);
    Transform scale = makeDiagonal(norm.getGain());
    for (Operation *user : norm.getResult().getUsers()) {
      auto linear = cast<LinearOp>(user);
      linear.getWeightMutable().assign(applyToWeight(
          weights, linear.getLoc(), linear.getWeight(), 1, scale));
    }
    norm.getGainMutable().assign(ones(weights, norm));
    return true;
  }

private:
  func::FuncOp function;
  TiedHead tied;
  bool signsOnly;
};

} // namespace

void lowbit::insertPair(Value value, const Transform &transform,
                        const Transform &inverse) {
  Location loc = value.getLoc();
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  Value first = applyToRows(builder, loc, value, transform);
  Value second = applyToRows(builder, loc, first, inverse);
  mark(first, up);
  mark(second, down);
  value.replaceAllUsesExcept(second, first.getDefiningOp());
}

void lowbit::insertAtUse(OpOperand &use, const Transform &transform) {
  Operation *user = use.getOwner();
  OpBuilder builder(user);
  use.set(applyToRows(builder, user->getLoc(), use.get(), transform));
}

void lowbit::foldTransforms(func::FuncOp function, TiedHead tied) {
  Folder(function, tied, /*signsOnly=*/false).run();
}

void lowbit::foldSigns(func::FuncOp function) {
  Folder(function, TiedHead::Untie, /*signsOnly=*/true).run();
}

void lowbit::foldNormScales(func::FuncOp function, TiedHead tied) {
  Folder folder(function, tied, /*signsOnly=*/false);
  for (RmsNormOp norm : function.getOps<RmsNormOp>()) {
    if (getFill(norm.getGain()) == 1.0f || !isPlainChain(norm.getGain()) ||
        !onlyPlainLinearsRead(norm.getResult()) ||
        (tied == TiedHead::Keep && Folder::feedsTiedHead(norm)))
      continue;
    folder.foldScale(norm);
  }
}
