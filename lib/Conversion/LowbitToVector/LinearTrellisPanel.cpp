//===- LinearTrellisPanel.cpp - Blocks of tokens, trellis codes -*- C++ -*-===//
//
// The walk for two tokens and more: a slab of a strand is decoded once to its
// 4 V panels, which stay in L2; from there on they are panels of 8-bit codes
// with zero point 128 and one scale per row.
//
//   for each tile, block of tokens, stream, strand:   totals = 0
//     for each slab:          numbers → panels
//       for each panel (or two), few tokens:           totals += slab
//     results (or y) from totals and scales
//
//===----------------------------------------------------------------------===//

#include "ByteProducts.h"
#include "LinearTrellis.h"
#include "PanelWalk.h"
#include "TrellisDecoder.h"

using namespace mlir;
using namespace lowbit;

namespace {

/// Places in scratch: totals and panels of a strand, and the results so far,
/// [panel of the tile][token] f32x16.
struct TrellisPanelScratch {
  int64_t totals, panels, results, end;

  TrellisPanelScratch(const LinearKernel &linear, int64_t start,
                      int64_t tokens) {
    int64_t count = tilePanels(*linear.trellis);
    totals = (start + 63) / 64 * 64;
    panels = totals + count * tokens * 64;
    results = panels + count * PanelWalk::panelBytes;
    end = results + count * tokens * 64;
  }
};

class TrellisPanel final : PanelWalk {
public:
  TrellisPanel(const LinearKernel &linear, KernelBuilder &k,
               const LinearArguments &arguments)
      : PanelWalk(linear, k, arguments), weights(*linear.trellis),
        scratch(linear, dot->scratchBytes(), dot->blockTokens()) {}

  void emit();

private:
  static constexpr int64_t slabVectors = slabColumns / trellisColumns;

  void emitTile(Value item);
  void addStrand(size_t stream, Value codes);
  void decodeSlab(size_t stream, Value codes);
  void decodeVector(size_t stream, Value vector, Value step, bool isLast);
  SmallVector<Value> partials(Value token, int64_t joint,
                              int64_t count) override {
    return rowPartials(token, joint, count, {});
  }
  void finishStrand(size_t stream, Value item, Value scales, Value strand);

  const TrellisStreams &weights;
  TrellisPanelScratch scratch;
};

} // namespace

void TrellisPanel::decodeVector(size_t stream, Value vector, Value step,
                                bool isLast) {
  TrellisDecoder decoder(k, weights.format.code(stream));
  int64_t pieces = 64 / TrellisDecoder::pieceBytes(k.getTarget());
  SmallVector<std::array<Value, 4>> indices;
  for (int64_t piece = 0; piece < pieces; ++piece)
    indices.push_back(decoder.indices(vector, piece, isLast));
  for (int u = 0; u < weights.format.streams[stream]; ++u)
    for (int64_t j = 0; j < 4; ++j) {
      SmallVector<Value> numbers;
      for (const std::array<Value, 4> &c : indices)
        numbers.push_back(decoder.lookup(c[j], u));
      Value bytes = k.bitcast(joinLanes(k, numbers),
                              k.vectorType(k.getBuilder().getI16Type(), 32));
      dot->storeStep(bytes, k.offset(step, (4 * u + j) * panelBytes), Value());
    }
}

void TrellisPanel::decodeSlab(size_t stream, Value codes) {
  int64_t lastSlab = (weights.geometry.vectors - 1) / slabVectors;
  int64_t inLast = weights.geometry.vectors - lastSlab * slabVectors;
  Value isLast = k.compare(arith::CmpIPredicate::eq, slab, k.index(lastSlab));
  Value here = k.element(codes, slab, slabVectors * 64);
  Value panels = at(scratch.panels);
  auto decodeAt = [&](Value index, bool last) {
    decodeVector(stream, k.element(here, index, 64),
                 k.element(panels, index, dot->stepBytes()), last);
  };
  // The strand's last vector has nothing behind it.
  Value count = k.select(isLast, k.index(inLast - 1), k.index(slabVectors));
  k.forLoop(k.index(0), count, 1, [&](Value index) { decodeAt(index, false); });
  k.ifThen(isLast, [&] { decodeAt(k.index(inLast - 1), true); });
}

void TrellisPanel::addStrand(size_t stream, Value codes) {
  int64_t panels = strandPanels(weights, stream);
  int64_t slabs = (linear.inputs + slabColumns - 1) / slabColumns;
  Value count = k.mul(k.index(panels), k.index(dot->blockTokens()));
  k.forLoop(k.index(0), count, 1, [&](Value i) {
    k.store(k.zero(k.f32x16()), k.element(at(scratch.totals), i, 64), 64);
  });
  k.forLoop(k.index(0), k.index(slabs), 1, [&](Value index) {
    beginSlab(index);
    decodeSlab(stream, codes);
    int64_t joint = dot->jointTiles();
    k.forLoop(k.index(0), k.index(panels), joint, [&](Value panel) {
      panelStart = k.element(at(scratch.panels), panel, panelBytes);
      addSlab(k.element(at(scratch.totals), panel, dot->blockTokens() * 64),
              joint);
    });
  });
}

void TrellisPanel::finishStrand(size_t stream, Value item, Value scales,
                                Value strand) {
  int64_t panels = strandPanels(weights, stream);
  int64_t panelTokens = dot->blockTokens() * 64;
  k.forLoop(k.index(0), k.index(panels), 1, [&](Value panel) {
    Value inTile = k.add(k.mul(strand, k.index(panels)), panel);
    Value row = k.add(k.mul(item, k.index(tilePanels(weights))), inTile);
    Value rowScales = steps.scales(k.element(scales, inTile, tileRows * 2));
    Value totals = k.element(at(scratch.totals), panel, panelTokens);
    Value results = k.element(at(scratch.results), inTile, panelTokens);
    k.forLoop(firstToken, endToken, 1, [&](Value m) {
      Value i = k.sub(m, firstToken);
      Value total = k.load(k.f32x16(), k.element(totals, i, 64), 64);
      Value result = k.element(results, i, 64);
      finishRows(linear, k, steps, stream, {m, total, rowScales, result},
                 [&] { return row; });
    });
  });
}

void TrellisPanel::emitTile(Value item) {
  Value tile = k.element(arguments.weight, item, weights.geometry.tileBytes);
  forStrands(k, weights, tile, [&](size_t stream, Value strand, Value codes) {
    addStrand(stream, codes);
    finishStrand(stream, item,
                 k.offset(tile, weights.geometry.streams[stream].scales),
                 strand);
  });
}

void TrellisPanel::emit() {
  k.forLoop(arguments.begin, arguments.end, 1,
            [&](Value item) { forTokenBlocks([&] { emitTile(item); }); });
}

void lowbit::emitTrellisPanel(const LinearKernel &linear, KernelBuilder &k,
                              const LinearArguments &arguments) {
  TrellisPanel(linear, k, arguments).emit();
}

int64_t lowbit::trellisScratchBytes(const LinearKernel &linear) {
  if (linear.bucket == 1)
    return TrellisRowScratch(linear).end;
  return TrellisPanelScratch(linear, maxDotScratchBytes(linear), maxBlockTokens)
      .end;
}
