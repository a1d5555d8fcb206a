//===- FormatNames.h - Formats by the names that recipes use ----*- C++ -*-===//
//
// The way back from FormatInterface::getShortName. The names themselves are
// those of Numerics (WeightFormat.h).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TRANSFORMS_FORMATNAMES_H
#define LOWBIT_TRANSFORMS_FORMATNAMES_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"

namespace lowbit {

/// The format with that name. Errors (exit 2) name what is not
/// understood and what there is.
Result<FormatPtr> parseFormatName(llvm::StringRef name);

/// The options of `lowbit-quantize`, with its defaults.
struct QuantizeChoice {
  llvm::SmallVector<std::string> roles;
  int64_t firstLayer = 0;
  int64_t lastLayer = -1;
  std::string format;
  std::string solver = "search";
  std::string file;
  std::string activation = "i16";
};

/// Whether these choices go together; independent of any model, so that a
/// recipe is refused when it is read. An error (exit 2) names the two options
/// that disagree and why.
Status checkQuantizeChoice(const QuantizeChoice &choice);

/// The same for `lowbit-set-cache`.
Status checkCacheType(llvm::StringRef type);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_FORMATNAMES_H
