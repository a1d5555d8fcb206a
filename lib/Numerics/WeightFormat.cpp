//===- WeightFormat.cpp - What every stored format offers -------*- C++ -*-===//
#include "lowbit/Numerics/WeightFormat.h"

#include "FormatFamily.h"
#include "lowbit/Numerics/ErrorFeedback.h"
#include "lowbit/Numerics/Float.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace lowbit {

FeedbackOrder WeightFormat::feedbackOrder(const MomentsView &h,
                                          const EncoderOptions &options) const {
  return options.order == "activation" ? activationOrder(h, 1)
                                       : columnOrder(h.columns, 1);
}

TileEncoder::~TileEncoder() = default;
WeightFormat::~WeightFormat() = default;

std::optional<Defect> TileEncoder::scan(const TileInput &, TensorScan &) {
  assert(false && "this format needs no scan");
  return std::nullopt;
}

int64_t WeightFormat::tileRows() const { return 16; }

/// "a, b or c".
static std::string joinNames(const std::vector<std::string> &names,
                             const std::string &conjunction) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i != 0)
      text += i + 1 == names.size() ? " " + conjunction + " " : ", ";
    text += names[i];
  }
  return text;
}

std::string WeightFormat::whyNoSolver() const {
  return "it is made by " + joinNames(solvers(), "or");
}

TensorFacts WeightFormat::facts(const TensorScan &) const { return {}; }

void WeightFormat::writeTrailer(const TensorFacts &, uint8_t *) const {}

std::vector<GivenTensor> WeightFormat::givenTensors(int64_t) const {
  return {};
}

std::optional<Defect>
WeightFormat::encodeGiven(const std::vector<const uint8_t *> &,
                          const TileInput &, const float *, uint8_t *,
                          ErrorSums &) const {
  assert(false && "this format cannot be given");
  return std::nullopt;
}

std::optional<Defect>
WeightFormat::givenFacts(const std::vector<const uint8_t *> &,
                         TensorFacts &) const {
  return std::nullopt;
}

std::optional<Defect> WeightFormat::readTrailer(const uint8_t *,
                                                TensorFacts &) const {
  return std::nullopt;
}

/// Writes the numbers of one part of a tile, or adds them to what the parts
/// before it gave.
static void decodePart(const StepTile &part, int64_t rows, int64_t columns,
                       float factor, bool isFirst, float *values) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; ++k) {
      auto at = static_cast<size_t>(r * columns + k);
      float step = part.values.empty() ? part.steps[at] : part.values[at];
      float scale = part.scales[static_cast<size_t>(r * part.groups +
                                                    k / part.groupColumns)];
      float number = ((step * part.unit) * scale) * factor;
      float &value = values[r * columns + k];
      value = isFirst ? number : value + number;
    }
}

std::optional<Defect> WeightFormat::decode(const uint8_t *bytes, int64_t rows,
                                           int64_t columns, int64_t firstRow,
                                           const TensorFacts &facts,
                                           float *values) const {
  StepTile tile;
  if (std::optional<Defect> defect =
          unpack(bytes, rows, columns, firstRow, tile))
    return defect;
  decodePart(tile, rows, columns, facts.factor, /*isFirst=*/true, values);
  for (const StepTile &part : tile.more)
    decodePart(part, rows, columns, facts.factor, /*isFirst=*/false, values);
  return std::nullopt;
}

std::optional<Defect> reportNonFinite(const TileInput &input) {
  std::optional<Defect> first;
  for (int64_t r = 0; r < input.rows; ++r)
    for (int64_t k = 0; k < input.columns; ++k) {
      float value = input.weights[r * input.stride + k];
      if (isFiniteFloat(value))
        continue;
      if (first)
        ++first->count;
      else
        first = defectAt(Defect::Kind::NonFiniteWeight, input.firstRow + r, k,
                         value);
    }
  return first;
}

std::optional<Defect> raiseToLargest(const TileInput &input, float &largest) {
  for (int64_t r = 0; r < input.rows; ++r)
    for (int64_t k = 0; k < input.columns; ++k) {
      float w = input.weights[r * input.stride + k];
      if (!isFiniteFloat(w))
        return reportNonFinite(input);
      largest = std::max(largest, std::fabs(w));
    }
  return std::nullopt;
}

std::optional<Defect> reportBadImportance(const float *importance,
                                          int64_t columns) {
  for (int64_t k = 0; importance && k < columns; ++k)
    if (!isFiniteFloat(importance[k]) || importance[k] < 0)
      return defectAt(Defect::Kind::BadImportance, -1, k, importance[k]);
  return std::nullopt;
}

double completeBits(const StoredSize &size, int64_t rows, int64_t columns) {
  return 8.0 * static_cast<double>(size.bytes) /
         (static_cast<double>(rows) * static_cast<double>(columns));
}

void ErrorSums::add(const ErrorSums &other) {
  error += other.error;
  energy += other.energy;
  weightedError += other.weightedError;
  weightedEnergy += other.weightedEnergy;
}

void TensorScan::merge(const TensorScan &other) {
  largest = std::max(largest, other.largest);
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

static const FormatFamily *const families[] = {
    &integerFamily, &microFamily, &levelsFamily, &freeFamily, &trellisFamily};

int64_t parseCount(const std::string &text) {
  if (text.empty() || text.size() > 6 || (text[0] == '0' && text.size() > 1))
    return -1;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9')
      return -1;
    value = 10 * value + (c - '0');
  }
  return value;
}

int64_t parseGroupWord(const std::string &word) {
  if (word == "row")
    return 0;
  int64_t group = word[0] == 'g' ? parseCount(word.substr(1)) : -1;
  return group == 0 ? -1 : group;
}

std::string formatSyntax() {
  std::string text;
  for (const FormatFamily *family : families)
    text += (text.empty() ? "" : " or ") + std::string(family->syntax);
  return text;
}

FormatPtr findFormat(const std::string &name, std::string &why) {
  NameWords words(1);
  for (char c : name) {
    if (c == '-')
      words.emplace_back();
    else
      words.back() += c;
  }
  bool isWhole = std::none_of(words.begin(), words.end(),
                              [](const std::string &w) { return w.empty(); });
  std::string reason;
  for (const FormatFamily *family : families) {
    if (!isWhole || !family->owns(words[0]))
      continue;
    if (FormatPtr format = family->parse(words, reason))
      return format;
    if (!reason.empty()) {
      why = "is not possible: " + reason;
      return nullptr;
    }
    break;
  }
  why = "is not known, must be " + formatSyntax();
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Solvers
//===----------------------------------------------------------------------===//

static const std::vector<std::string> &allSolvers() {
  static const std::vector<std::string> names = {"nearest", "search",  "gptq",
                                                 "em",      "viterbi", "given"};
  return names;
}

bool isSolver(const std::string &name) {
  const std::vector<std::string> &names = allSolvers();
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string solverSyntax(const char *conjunction) {
  return joinNames(allSolvers(), conjunction);
}

} // namespace lowbit
