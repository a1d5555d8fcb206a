//===- GivenWeights.h - Codes and scales from a file ------------*- C++ -*-===//
//
// The solver `given`: a safetensors file that holds, for each checkpoint tensor
// W, the tensors that the format lists (WeightFormat::givenTensors), for
// example W.codes, W.scales, W.zeros and W.factor.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H
#define LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H

#include "lowbit/Analysis/WeightRows.h"
#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/Numerics/WeightFormat.h"

namespace lowbit {

/// The given tensors of one parameter; read by any thread.
class GivenWeights {
public:
  /// Finds and checks the tensors of all leaves in `path`. Exit 3 names the
  /// tensor and what it must be; exit 4 where several leaves with facts of
  /// their own were stacked.
  static Result<GivenWeights> open(const std::string &path, FormatPtr format,
                                   const std::vector<WeightLeaf> &leaves,
                                   int64_t columns);

  /// Encodes the rows that `input` stands for; see WeightFormat::encodeGiven.
  std::optional<Defect> encode(const TileInput &input, const float *importance,
                               uint8_t *bytes, ErrorSums &sums) const;

  /// What the tensors say of the whole weight.
  const TensorFacts &facts() const { return tensorFacts; }

private:
  struct Leaf {
    int64_t firstRow, rows;
    /// Parallel to `tensors`.
    std::vector<Bytes> parts;
  };

  explicit GivenWeights(Safetensors file) : file(std::move(file)) {}
  Status addLeaf(const WeightLeaf &leaf);

  Safetensors file;
  FormatPtr format;
  std::vector<GivenTensor> tensors;
  TensorFacts tensorFacts;
  std::vector<Leaf> leaves;
};

} // namespace lowbit

#endif // LOWBIT_LIB_TRANSFORMS_GIVENWEIGHTS_H
