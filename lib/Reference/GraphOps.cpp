//===- GraphOps.cpp - Operations on rows, one element at a time -*- C++ -*-===//

#include "GraphOps.h"
#include "Steps.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;
using namespace lowbit::reference;

template <typename T>
std::vector<T> reference::embedding(llvm::ArrayRef<int32_t> ids,
                                    const Weight &table) {
  std::vector<T> y;
  y.reserve(ids.size() * table.columns);
  for (int32_t id : ids)
    for (int64_t k = 0; k < table.columns; ++k)
      y.push_back(table.value<T>(id, k));
  return y;
}

template <typename T>
std::vector<T> reference::rmsNorm(RowsView<T> x, const Weight &gain, T eps) {
  std::vector<T> y;
  y.reserve(x.rows * x.columns);
  for (int64_t row = 0; row < x.rows; ++row) {
    T ms = sum16Fma(x.row(row), x.row(row), x.columns) / T(x.columns);
    T r = T(1) / std::sqrt(ms + eps);
    for (int64_t k = 0; k < x.columns; ++k)
      y.push_back((x.row(row)[k] * r) * gain.value<T>(0, k));
  }
  return y;
}

template <typename T>
std::vector<T> reference::gate(RowsView<T> gate, RowsView<T> up) {
  std::vector<T> y;
  y.reserve(gate.rows * gate.columns);
  for (int64_t i = 0; i < gate.rows * gate.columns; ++i) {
    T g = gate.data[i];
    T silu = g / (T(1) + exponential(-g));
    y.push_back(silu * up.data[i]);
  }
  return y;
}

template <typename T>
std::vector<T> reference::add(RowsView<T> a, RowsView<T> b) {
  std::vector<T> y;
  y.reserve(a.rows * a.columns);
  for (int64_t i = 0; i < a.rows * a.columns; ++i)
    y.push_back(a.data[i] + b.data[i]);
  return y;
}

template <typename T>
std::vector<T> reference::slice(RowsView<T> x, int64_t offset, int64_t width) {
  std::vector<T> y;
  y.reserve(x.rows * width);
  for (int64_t row = 0; row < x.rows; ++row)
    y.insert(y.end(), x.row(row) + offset, x.row(row) + offset + width);
  return y;
}

template <typename T>
std::vector<T> reference::selectRows(RowsView<T> x,
                                     llvm::ArrayRef<int32_t> index) {
  std::vector<T> y;
  y.reserve(index.size() * x.columns);
  for (int32_t row : index)
    y.insert(y.end(), x.row(row), x.row(row) + x.columns);
  return y;
}

template <typename T>
std::vector<T> reference::rotary(RowsView<T> x, llvm::ArrayRef<RowPlace> places,
                                 llvm::ArrayRef<float> frequencies) {
  std::vector<T> y(x.data, x.data + x.rows * x.columns);
  int64_t pairs = frequencies.size();
  for (int64_t row = 0; row < x.rows; ++row)
    for (int64_t i = 0; i < pairs; ++i) {
      double angle = double(places[row].position) * double(frequencies[i]);
      T cos = T(std::cos(angle)), sin = T(std::sin(angle));
      for (int64_t head = 0; head < x.columns; head += 2 * pairs) {
        T a = x.row(row)[head + i], b = x.row(row)[head + pairs + i];
        T *turned = &y[row * x.columns + head];
        turned[i] = mulAdd(a, cos, -(b * sin));
        turned[pairs + i] = mulAdd(b, cos, a * sin);
      }
    }
  return y;
}

#define INSTANTIATE(T)                                                         \
  template std::vector<T> reference::embedding(llvm::ArrayRef<int32_t>,        \
                                               const Weight &);                \
  template std::vector<T> reference::rmsNorm(RowsView<T>, const Weight &, T);  \
  template std::vector<T> reference::gate(RowsView<T>, RowsView<T>);           \
  template std::vector<T> reference::add(RowsView<T>, RowsView<T>);            \
  template std::vector<T> reference::slice(RowsView<T>, int64_t, int64_t);     \
  template std::vector<T> reference::selectRows(RowsView<T>,                   \
                                                llvm::ArrayRef<int32_t>);      \
  template std::vector<T> reference::rotary(                                   \
      RowsView<T>, llvm::ArrayRef<RowPlace>, llvm::ArrayRef<float>);
INSTANTIATE(float)
INSTANTIATE(double)
