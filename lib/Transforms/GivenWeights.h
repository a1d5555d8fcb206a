//===- GivenWeights.h - Codes and scales from a file ------------*- C++ -*-===//
//
// What the solver `given` reads. For a tensor W of the checkpoint the file has
// `W.codes` U8 [rows, columns], `W.scales` F16 or F8_E4M3 [rows, groups], for
// offset `stored` `W.zeros` U8 [rows, groups], and for E4M3 scales `W.factor`
// F32 [1].
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H
#define LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H

#include "WeightRows.h"
#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/Numerics/IntegerTile.h"

namespace lowbit {

/// The given tensors of one parameter; read by any thread.
class GivenWeights {
public:
  /// Finds and checks the tensors of all leaves in `path`. Exit 3 names the
  /// tensor and what it must be; exit 4 where several leaves with a factor
  /// were stacked.
  static Result<GivenWeights> open(const std::string &path,
                                   const IntegerFormat &format,
                                   const std::vector<WeightLeaf> &leaves,
                                   int64_t columns);

  /// Takes rows first … first + count − 1 (count ≤ 16) to `tile`.
  std::optional<Defect> take(int64_t first, int64_t count,
                             IntegerTile &tile) const;

  float factor() const { return tensorFactor; }

private:
  struct Leaf {
    int64_t firstRow, rows;
    Bytes codes, scales, zeros;
  };

  explicit GivenWeights(Safetensors file) : file(std::move(file)) {}
  Status addLeaf(const WeightLeaf &leaf);

  Safetensors file;
  IntegerFormat format;
  int64_t columns = 0, groups = 0;
  float tensorFactor = 1.0f;
  std::vector<Leaf> leaves;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H
