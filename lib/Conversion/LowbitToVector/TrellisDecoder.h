//===- TrellisDecoder.h - The decode shape `trellis` ------------*- C++ -*-===//
//
// From a vector of a strand (Spec.md, 1.3) to the numbers of its steps: 64
// bytes are 4 groups of 16 rows with 4 columns each, V times. A vector is taken
// in pieces as wide as the machine's registers:
//
//   auto c = decoder.indices(vector, piece, /*isLast=*/false);
//   Value numbers = decoder.lookup(c[j], u);    // table_u[c] + 128, group j
//
// As the index of a step lies in one byte but for a shift of its 64-bit word,
// this is a load, the same load a byte on, and for each group an and, a xor, a
// shift and the lookup.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_TRELLISDECODER_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_TRELLISDECODER_H

#include "lowbit/Conversion/KernelBuilder.h"
#include "lowbit/Numerics/TrellisFormat.h"
#include <array>

namespace lowbit {

class TrellisDecoder {
public:
  TrellisDecoder(KernelBuilder &k, const TrellisCode &code)
      : k(k), code(code) {}

  /// Bytes of a piece for the variant that `k` emits: 64, 32 or 16.
  static int64_t pieceBytes(const TargetInfo &target);
  /// Indices of the 4 groups in piece `piece` of the vector at `vector`, as i8
  /// lanes; their two upper bits mean nothing. `isLast`: nothing follows.
  std::array<Value, 4> indices(Value vector, int64_t piece, bool isLast);
  /// table_u[c] + 128 for each lane of indices.
  Value lookup(Value indices, int u);

private:
  /// 64 entries looked up by an instruction of `bytes` lanes.
  Value lookupNarrow(Value indices, int u, int64_t bytes);
  Value byteConstant(int value, int64_t bytes);
  /// Entries first … first + count − 1 of table u, plus 128, repeated to
  /// `bytes` lanes.
  Value entries(int u, int first, int count, int64_t bytes);
  Value call(llvm::StringRef intrinsic, Value like, ValueRange operands);

  KernelBuilder &k;
  const TrellisCode &code;
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_TRELLISDECODER_H
