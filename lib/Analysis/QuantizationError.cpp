//===- QuantizationError.cpp - What rounding would cost -------------------===//

#include "lowbit/Analysis/QuantizationError.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

Result<std::vector<double>>
lowbit::roundWeight(const std::vector<double> &weight, int64_t rows,
                    int64_t columns, const RoundingChoice &choice,
                    const std::vector<double> &importance,
                    const std::string &name) {
  std::vector<float> narrow(weight.begin(), weight.end());
  std::vector<float> weights(importance.begin(), importance.end());
  EncoderOptions options;
  options.solver = choice.solver;
  options.importance = weights.empty() ? nullptr : weights.data();
  std::unique_ptr<TileEncoder> encoder =
      choice.format->makeEncoder(columns, options);
  std::optional<TilePlaces> places = choice.format->places(rows, columns);
  if (!places)
    return unsupported(name, "", "is too large for its format");
  int64_t height = places->tileRows;
  auto tileAt = [&](int64_t first) {
    TileInput input;
    input.weights = narrow.data() + first * columns;
    input.stride = input.columns = columns;
    input.rows = std::min(height, rows - first);
    input.firstRow = first;
    return input;
  };
  TensorScan scan;
  for (int64_t first = 0; choice.format->needsScan() && first < rows;
       first += height) {
    TensorScan part;
    if (auto defect = encoder->scan(tileAt(first), part))
      return badInput(name, "", describe(*defect));
    scan.merge(part);
  }
  TensorFacts facts = choice.format->facts(scan);
  std::vector<float> rounded(narrow.size());
  std::vector<uint8_t> bytes(places->tileBytes);
  for (int64_t first = 0; first < rows; first += height) {
    TileInput input = tileAt(first);
    ErrorSums ignored;
    auto defect = encoder->encode(input, facts, bytes.data(), ignored);
    if (!defect)
      defect = choice.format->decode(bytes.data(), input.rows, columns, first,
                                     facts, &rounded[first * columns]);
    if (defect)
      return badInput(name, "", describe(*defect));
  }
  return std::vector<double>(rounded.begin(), rounded.end());
}

std::vector<double> lowbit::roundRows(const std::vector<double> &rows,
                                      int64_t columns, int64_t bits,
                                      int64_t group) {
  std::vector<double> result(rows.size());
  auto limit = static_cast<double>((int64_t(1) << (bits - 1)) - 1);
  int64_t width = group == 0 ? columns : group;
  for (size_t row = 0; row < rows.size(); row += columns)
    for (int64_t first = 0; first < columns; first += width) {
      int64_t count = std::min(width, columns - first);
      const double *x = &rows[row + first];
      double amax = 0;
      for (int64_t i = 0; i < count; ++i)
        amax = std::max(amax, std::fabs(x[i]));
      double scale = amax / limit;
      for (int64_t i = 0; i < count && scale > 0; ++i)
        result[row + first + i] = std::rint(x[i] / scale) * scale;
    }
  return result;
}

double lowbit::squaredDistance(const std::vector<double> &a,
                               const std::vector<double> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

double lowbit::momentError(const std::vector<double> &a,
                           const std::vector<double> &b, int64_t columns,
                           const std::vector<double> &moments) {
  double sum = 0;
  std::vector<double> delta(columns);
  for (size_t row = 0; row < a.size(); row += columns) {
    for (int64_t i = 0; i < columns; ++i)
      delta[i] = a[row + i] - b[row + i];
    for (int64_t i = 0; i < columns; ++i) {
      double product = 0;
      for (int64_t j = 0; j < columns; ++j)
        product += moments[i * columns + j] * delta[j];
      sum += delta[i] * product;
    }
  }
  return sum;
}

double lowbit::diagonalError(const std::vector<double> &a,
                             const std::vector<double> &b,
                             const std::vector<double> &diagonal) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    sum += diagonal[i % diagonal.size()] * (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}
