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
    Result<CacheChoice> parsed = parseCacheName(type);
    if (!parsed)
      return emitError(UnknownLoc::get(context), parsed.error().message);
    choice = *parsed;
    return success();
  }

  void runOnOperation() override {
    Builder builder(&getContext());
    Type cache = choice.isInteger    ? Type(builder.getIntegerType(choice.bits))
                 : choice.bits == 32 ? Type(builder.getF32Type())
                                     : Type(builder.getF16Type());
    getOperation().walk([&](AttentionOp attention) {
      attention.setCacheAttr(TypeAttr::get(cache));
      if (choice.group)
        attention.setCacheGroup(*choice.group);
      else
        attention.removeCacheGroupAttr();
    });
  }

  CacheChoice choice;
};

} // namespace
