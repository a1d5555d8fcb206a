//===- Weights.h - Weights as kernels read them -----------------*- C++ -*-===//
//
// Either copied into memory of huge pages (faster to read, independent of the
// file from then on) or mapped (nothing to wait for, shared among processes).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_WEIGHTS_H
#define LOWBIT_RUNTIME_WEIGHTS_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Artifact.h"
#include "lowbit/Runtime/Memory.h"

#include <cstdint>

namespace lowbit {

/// How weights get into memory. Automatic copies where they fit into three
/// quarters of the available memory, and maps otherwise.
enum class WeightsMode { Automatic, Copy, Map };

/// The weights of one artifact. Move-only; mapped ones need the artifact.
class Weights {
public:
  Weights() = default;

  /// Copies on all threads of `pool`, or maps. Exit 5 where the file cannot be
  /// read, 6 where an explicit copy does not fit.
  static Result<Weights> load(const Artifact &artifact, WeightsMode mode,
                              ThreadPool &pool);

  /// The bytes at `offset` of the file, which must lie among the weights.
  const uint8_t *at(uint64_t offset) const { return start + (offset - begin); }
  /// The same for writing; null where weights are mapped.
  uint8_t *writableAt(uint64_t offset) {
    return areMapped() ? nullptr : copy.data() + (offset - begin);
  }
  bool areMapped() const { return copy.data() == nullptr; }

private:
  Memory copy;
  const uint8_t *start = nullptr;
  uint64_t begin = 0;
};

} // namespace lowbit

#endif // LOWBIT_RUNTIME_WEIGHTS_H
