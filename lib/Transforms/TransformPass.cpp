//===- TransformPass.cpp - What passes of transforms share ----------------===//

#include "TransformPass.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lowbit;

SmallVector<func::FuncOp> lowbit::getGraphs(ModuleOp module) {
  SmallVector<func::FuncOp> graphs;
  for (auto function : module.getOps<func::FuncOp>())
    if (!function.isExternal() && function.getBody().hasOneBlock())
      graphs.push_back(function);
  return graphs;
}

LogicalResult lowbit::parseTiedHead(MLIRContext *context, StringRef pass,
                                    StringRef text, TiedHead &choice) {
  if (text != "untie" && text != "keep")
    return emitError(UnknownLoc::get(context))
           << pass << ": tied '" << text << "' is not known, must be untie or "
           << "keep";
  choice = text == "keep" ? TiedHead::Keep : TiedHead::Untie;
  return success();
}

LogicalResult lowbit::parseWords(MLIRContext *context, StringRef pass,
                                 StringRef option, ArrayRef<std::string> given,
                                 ArrayRef<llvm::StringLiteral> known,
                                 SmallVectorImpl<StringRef> &chosen) {
  chosen.clear();
  if (given.empty())
    chosen.append(known.begin(), known.end());
  for (const std::string &word : given) {
    const auto *found = llvm::find(known, word);
    if (found == known.end())
      return emitError(UnknownLoc::get(context))
             << pass << ": " << option << " '" << word
             << "' is not known, must be of " << llvm::join(known, ", ");
    chosen.push_back(*found);
  }
  return success();
}

LogicalResult lowbit::checkSeed(MLIRContext *context, StringRef pass,
                                int64_t seed, bool mayBeNone) {
  constexpr int64_t limit = int64_t(1) << 62;
  if (seed <= limit && seed >= (mayBeNone ? -1 : 0))
    return success();
  return emitError(UnknownLoc::get(context))
         << pass << ": seed " << seed << " must be from "
         << (mayBeNone ? -1 : 0) << " to " << limit;
}
