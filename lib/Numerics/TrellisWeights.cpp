//===- TrellisWeights.cpp - Trellis codes as a WeightFormat -----*- C++ -*-===//
#include "lowbit/Numerics/TrellisFormat.h"

#include "FormatFamily.h"
#include "lowbit/Numerics/TrellisTile.h"

#include <algorithm>

namespace lowbit {

namespace {

class TileOfTrellis final : public TileEncoder {
public:
  TileOfTrellis(const TrellisFormat &format, int64_t columns,
                const EncoderOptions &options)
      : encoder(format, columns, options.path), importance(options.importance) {
  }

  std::optional<Defect> encode(const TileInput &input, const TensorFacts &,
                               uint8_t *bytes, ErrorSums &sums) override {
    if (std::optional<Defect> defect = encoder.encode(input, bytes))
      return defect;
    sums.add(encoder.measure(input, importance));
    return std::nullopt;
  }

private:
  TrellisEncoder encoder;
  const float *importance;
};

class TrellisWeights final : public WeightFormat {
public:
  explicit TrellisWeights(TrellisFormat format) : format(std::move(format)) {}

  std::string name() const override;
  std::string attribute() const override;
  const TrellisFormat *trellis() const override { return &format; }
  std::optional<TilePlaces> places(int64_t rows,
                                   int64_t columns) const override {
    std::optional<TrellisGeometry> g = trellisGeometry(format, rows, columns);
    if (!g)
      return std::nullopt;
    return TilePlaces{g->tileRows, g->tileBytes, g->tiles, 0};
  }
  std::optional<StoredSize> storedSize(int64_t rows,
                                       int64_t columns) const override {
    return lowbit::storedSize(format, rows, columns);
  }
  int64_t tileRows() const override { return format.tileRows(); }
  int64_t sumColumns() const override { return 512; }
  bool hasSingleRows() const override { return false; }
  double gaussianError() const override {
    double error = 1;
    for (size_t i = 0; i < format.streams.size(); ++i)
      error *= static_cast<double>(format.code(i).error);
    return error;
  }
  std::vector<std::string> solvers() const override { return {"viterbi"}; }
  std::unique_ptr<TileEncoder>
  makeEncoder(int64_t columns, const EncoderOptions &options) const override {
    return std::make_unique<TileOfTrellis>(format, columns, options);
  }
  int64_t encoderBytes(int64_t columns) const override {
    // Of each stream a byte a number and two bits a step, at most one for each
    // number; the scratch memory of the search.
    int64_t streams = static_cast<int64_t>(format.streams.size());
    int64_t numbers = tileRows() * (columns + trellisColumns - 1);
    return streams * (numbers + numbers / 4) + (1 << 18);
  }
  std::optional<Defect> unpack(const uint8_t *tile, int64_t rows,
                               int64_t columns, int64_t firstRow,
                               StepTile &out) const override {
    for (size_t i = 0; i < format.streams.size(); ++i) {
      StepTile part;
      if (std::optional<Defect> defect =
              unpackTrellis(format, i, tile, rows, columns, firstRow, part))
        return defect;
      if (i == 0)
        out = std::move(part);
      else
        out.more.push_back(std::move(part));
    }
    return std::nullopt;
  }

private:
  TrellisFormat format;
};

} // namespace

/// Bits of a stream as people write them.
static const char *bitsOf(int weightsPerStep) {
  return weightsPerStep == 1 ? "2" : weightsPerStep == 2 ? "1" : "0.5";
}

std::string TrellisWeights::name() const {
  std::string name = "trellis";
  for (size_t i = 0; i < format.streams.size(); ++i)
    name += std::string(i ? "+" : "") + bitsOf(format.streams[i]);
  return format.window == 10 ? name + "-fast" : name;
}

std::string TrellisWeights::attribute() const {
  std::string text = "#lowbit.trellis<streams = [";
  for (size_t i = 0; i < format.streams.size(); ++i)
    text += (i ? ", " : "") + std::to_string(format.streams[i]);
  return text + "], window = " + std::to_string(format.window) + ">";
}

FormatPtr makeTrellisFormat(const TrellisFormat &format) {
  return std::make_shared<TrellisWeights>(format);
}

//===----------------------------------------------------------------------===//
// Names: trellis<bits>[+<bits>…][-fast]
//===----------------------------------------------------------------------===//

/// V of a stream by its bits; of 1.5, 3 and 4 bits the streams of a stack.
static std::vector<int> streamsOf(const std::string &bits) {
  if (bits == "0.5")
    return {4};
  if (bits == "1")
    return {2};
  if (bits == "1.5")
    return {2, 4};
  if (bits == "2")
    return {1};
  if (bits == "3")
    return {1, 2};
  if (bits == "4")
    return {1, 1};
  return {};
}

static bool ownsTrellis(const std::string &word) {
  return word.compare(0, 7, "trellis") == 0;
}

static FormatPtr parseTrellis(const NameWords &words, std::string &why) {
  TrellisFormat format;
  format.streams.clear();
  for (size_t begin = 7; begin <= words[0].size();) {
    size_t end = std::min(words[0].find('+', begin), words[0].size());
    std::vector<int> streams = streamsOf(words[0].substr(begin, end - begin));
    if (streams.empty())
      return nullptr;
    format.streams.insert(format.streams.end(), streams.begin(), streams.end());
    begin = end + 1;
  }
  bool isFast = words.size() == 2 && words[1] == "fast";
  if (words.size() > 1 && !isFast)
    return nullptr;
  format.window = isFast ? 10 : 12;
  if (const char *invalid = whyInvalid(format)) {
    why = invalid;
    return nullptr;
  }
  return makeTrellisFormat(format);
}

const FormatFamily trellisFamily = {
    "trellis{0.5,1,1.5,2,3,4}[+{0.5,1,2}…][-fast]", ownsTrellis, parseTrellis};

} // namespace lowbit
