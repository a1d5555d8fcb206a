//===- RotationSites.cpp - Where rotations go -----------------------------===//

#include "RotationSites.h"
#include "FoldTransforms.h"
#include "lowbit/Numerics/Hadamard.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lowbit;

/// Embeddings, and from there on what is added to what came before: through
/// sums and selections of rows.
static SmallVector<Value> findResidual(func::FuncOp function) {
  llvm::SetVector<Value> stream, made;
  for (auto embedding : function.getOps<EmbeddingOp>()) {
    stream.insert(embedding.getResult());
    made.insert(embedding.getResult());
  }
  SmallVector<AddOp> sums;
  for (size_t i = 0; i < stream.size(); ++i)
    for (Operation *user : stream[i].getUsers()) {
      if (auto sum = dyn_cast<AddOp>(user))
        sums.push_back(sum);
      if (isa<AddOp, SelectRowsOp>(user))
        stream.insert(user->getResult(0));
    }
  for (AddOp sum : sums)
    for (Value operand : sum->getOperands())
      if (!stream.contains(operand))
        made.insert(operand);
  return made.takeVector();
}

RotationSites lowbit::findRotationSites(func::FuncOp function) {
  RotationSites sites;
  sites.residual = findResidual(function);
  if (!sites.residual.empty())
    sites.hidden = columnsOf(sites.residual.front());
  int64_t layer = -1;
  llvm::SetVector<Value> gated;
  function.walk([&](Operation *op) {
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      sites.attentions.push_back(attention);
      layer = attention.getLayer();
    }
    auto linear = dyn_cast<LinearOp>(op);
    if (!linear)
      return;
    // What other passes put in front of the linear does not matter.
    Value rows = linear.getInput();
    while (auto transform = rows.getDefiningOp<TransformOp>())
      rows = transform.getInput();
    if (rows.getDefiningOp<GateOp>() && gated.insert(linear.getInput()))
      sites.gated.push_back({linear.getInput(), layer});
  });
  return sites;
}

Transform lowbit::makeRotation(MLIRContext *context, int64_t columns,
                               int64_t seed) {
  return makeHadamard(context, largestHadamardBlock(columns), seed);
}

int64_t lowbit::rotationSeed(int64_t seed, int64_t layer, int64_t site) {
  return seed < 0 ? -1 : seed + 4 * std::max<int64_t>(layer, 0) + site;
}

void lowbit::insertR1(const RotationSites &sites, const Transform &rotation,
                      const Transform &inverse) {
  for (Value rows : sites.residual)
    insertPair(rows, rotation, inverse);
}

void lowbit::insertR2(AttentionOp attention, const Transform &rotation,
                      const Transform &inverse) {
  insertPair(attention.getValue(), rotation, inverse);
}

void lowbit::insertR3(AttentionOp attention, const Transform &rotation) {
  insertAtUse(attention.getQueryMutable(), rotation);
  insertAtUse(attention.getKeyMutable(), rotation);
}

void lowbit::insertR4(const RotationSites::Gated &gated,
                      const Transform &rotation, const Transform &inverse) {
  insertPair(gated.rows, rotation, inverse);
}
