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

/// How a linear sees its input, by name, as the text of the attribute:
/// `i16`, `i8`, or `i4|i2-g32|g64|g128 [-f16|-e4m3] [-integer|-stored]`, with
/// f16 scales and offset integer unless said. Errors (exit 2) say what there
/// is.
Result<std::string> parseActivationName(llvm::StringRef name);

/// The options of `lowbit-quantize`, with its defaults.
struct QuantizeChoice {
  llvm::SmallVector<std::string> roles;
  int64_t firstLayer = 0;
  int64_t lastLayer = -1;
  std::string format;
  std::string solver = "search";
  std::string file;
  /// Of the solver gptq (EncoderOptions).
  std::string order = "activation";
  std::string scales = "search";
  double damp = 0.01;
  std::string activation = "i16";
};

/// Whether these choices go together; independent of any model, so that a
/// recipe is refused when it is read. An error (exit 2) names the two options
/// that disagree and why.
Status checkQuantizeChoice(const QuantizeChoice &choice);

/// An element type of the KV cache by name: `f16`, `f32`, `i8`, and
/// `i4|i2[-g32|-g64|-head]`, the group being 64 unless said.
struct CacheChoice {
  int bits = 16;
  bool isInteger = false;
  /// As in CacheFormat; i4 and i2 only.
  std::optional<int64_t> group;
};

/// The choice of that name. An error (exit 2) says what there is.
Result<CacheChoice> parseCacheName(llvm::StringRef name);

} // namespace lowbit

#endif // LOWBIT_TRANSFORMS_FORMATNAMES_H
