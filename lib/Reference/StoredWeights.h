//===- StoredWeights.h - Bytes of a parameter to a Weight -------*- C++ -*-===//
#ifndef LOWBIT_REFERENCE_STOREDWEIGHTS_H
#define LOWBIT_REFERENCE_STOREDWEIGHTS_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Reference/Weight.h"

namespace lowbit::reference {

/// An empty weight of the shape of `type`.
Weight shapedWeight(mlir::RankedTensorType type);

/// What every decoder refuses (exit 3): a buffer of another size than `needed`,
/// and a scale that no solver writes, at `place` ("row 3, group 0").
Status checkSize(Bytes bytes, uint64_t needed, llvm::StringRef name);
Status checkScale(float scale, llvm::StringRef name, const std::string &place);

/// What every encoder refuses (exit 3): a number that is not finite.
Status checkFinite(const Weight &input, llvm::StringRef name);

/// A row-major tensor of f32, f16 or bf16, widened. `bytes` has its size.
Weight decodeRowMajor(mlir::RankedTensorType type, Bytes bytes);

/// A float matrix in tiles of 16 rows: `[tile][k][row in tile]`, each tile
/// padded to 64 bytes.
Result<Weight> decodeFloatTiles(mlir::RankedTensorType type, Bytes bytes,
                                llvm::StringRef name);

/// How the interpreter knows a format: one entry for each attribute, in the
/// file that is written from its section of Spec.md.
struct FormatDecoder {
  bool (*owns)(FormatInterface format);
  /// A matrix from its tiles. Exit 3 where the buffer has another size or holds
  /// what no solver writes; `name` is the parameter's.
  Result<Weight> (*decode)(mlir::RankedTensorType type, Bytes bytes,
                           llvm::StringRef name);
  /// Rounds a float matrix to the format of `type` with the solver `nearest`.
  /// Exit 3 where a weight is not finite or a scale overflows, exit 4 where the
  /// format has no such solver.
  Result<Weight> (*quantizeNearest)(const Weight &input,
                                    mlir::RankedTensorType type,
                                    llvm::StringRef name);
};

/// The entry of a format, or null.
const FormatDecoder *findDecoder(FormatInterface format);

/// The step s that `nearest` chooses for a group of numbers, rounded to f32
/// before; scales in f16.
double nearestStep(IntAttr format, llvm::ArrayRef<double> group);

/// `#lowbit.int`, `#lowbit.micro`, `#lowbit.levels`, `#lowbit.free`:
/// IntegerFormat.cpp; nearest of the first in QuantizeNearest.cpp, of the next
/// two in QuantizeElements.cpp.
Result<Weight> decodeIntegerTiles(mlir::RankedTensorType type, Bytes bytes,
                                  llvm::StringRef name);
Result<Weight> quantizeIntegers(const Weight &input,
                                mlir::RankedTensorType type,
                                llvm::StringRef name);
Result<Weight> quantizeElements(const Weight &input,
                                mlir::RankedTensorType type,
                                llvm::StringRef name);

/// `#lowbit.trellis`: TrellisFormat.cpp.
Result<Weight> decodeTrellisTiles(mlir::RankedTensorType type, Bytes bytes,
                                  llvm::StringRef name);

} // namespace lowbit::reference

#endif // LOWBIT_REFERENCE_STOREDWEIGHTS_H
