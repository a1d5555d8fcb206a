//===- HostTensor.h - A tensor that the interpreter holds -------*- C++ -*-===//
//
// Rows of activations, ids and positions, as plain vectors. Strict mode
// computes in float, F64 mode in double; indices are int32_t in both.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_REFERENCE_HOSTTENSOR_H
#define LOWBIT_REFERENCE_HOSTTENSOR_H

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

namespace lowbit {

/// A dense row-major tensor. `shape` has one or two sizes and their product is
/// the number of values.
struct HostTensor {
  std::vector<int64_t> shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<int32_t>>
      values;

  /// The values as T, which must be the type that is held.
  template <typename T> const std::vector<T> &as() const {
    return std::get<std::vector<T>>(values);
  }
  /// Whether the values are of type T.
  template <typename T> bool holds() const {
    return std::holds_alternative<std::vector<T>>(values);
  }
  /// Size of the first dimension.
  int64_t rows() const { return shape.front(); }
  /// Product of the other dimensions: 1 for a vector.
  int64_t columns() const {
    int64_t product = 1;
    for (size_t i = 1; i < shape.size(); ++i)
      product *= shape[i];
    return product;
  }
  /// Value `index` as a double, whatever is held.
  double at(int64_t index) const {
    return std::visit(
        [&](const auto &vector) { return static_cast<double>(vector[index]); },
        values);
  }
};

/// A tensor of `shape` with these values.
template <typename T>
HostTensor hostTensor(std::vector<int64_t> shape, std::vector<T> values) {
  return {std::move(shape), std::move(values)};
}

} // namespace lowbit

#endif // LOWBIT_REFERENCE_HOSTTENSOR_H
