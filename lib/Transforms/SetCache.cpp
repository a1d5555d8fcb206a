//===- SetCache.cpp - Choose the element type of the KV cache -------------===//

#include "lowbit/Transforms/FormatNames.h"
#include "lowbit/Transforms/Passes.h"
#include "mlir/IR/Builders.h"

namespace lowbit {
#define GEN_PASS_DEF_LOWBITSETCACHE
#include "lowbit/Transforms/Passes.h.inc"
} // namespace lowbit

using namespace mlir;
using namespace lowbit;

namespace {

struct SetCache : lowbit::impl::LowbitSetCacheBase<SetCache> {
  using LowbitSetCacheBase::LowbitSetCacheBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (Status status = checkCacheType(type))
      return emitError(UnknownLoc::get(context), status->message);
    return success();
  }

  void runOnOperation() override {
    Builder builder(&getContext());
    Type cache = type == "i8"    ? Type(builder.getI8Type())
                 : type == "f32" ? Type(builder.getF32Type())
                                 : Type(builder.getF16Type());
    getOperation().walk([&](AttentionOp attention) {
      attention.setCacheAttr(TypeAttr::get(cache));
    });
  }
};

} // namespace
