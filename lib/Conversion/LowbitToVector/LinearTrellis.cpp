//===- LinearTrellis.cpp - One token, a trellis code in place ---*- C++ -*-===//
//
// The walk for decoding text with trellis-coded weights: a tile of 64 · V rows
// at a time, its streams and strands one after the other as they lie in memory.
// A vector of 64 bytes becomes the numbers of 4 columns of 64 · V rows in
// registers, which are multiplied with the 4 activations; nothing is stored but
// sums.
//
//   for each tile, stream, strand:
//     for each slab:                      totals += f
//       for each part of rows:            as many sums as registers hold
//         for each vector:                indices, lookups, dot products
//     result (or y) from totals and scales
//
// Where the activations have groups, a slab is cut into them, each with parts
// of its own, and f is the sum of its cuts.
//
// With `vpdpbusd` each plane of the activations has sums of its own; elsewhere
// planes are joined to words (widenActivations), whose sums wrap but end in
// i32: |Σ T·q| ≤ 512 · 127 · 32639 < 2^31.
//
//===----------------------------------------------------------------------===//

#include "LinearTrellis.h"
#include "ByteProducts.h"
#include "TrellisDecoder.h"

using namespace mlir;
using namespace lowbit;

namespace {

class TrellisRow {
public:
  TrellisRow(const LinearKernel &linear, KernelBuilder &k,
             const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        scratch(linear), hasByteDot(k.getTarget().hasAvx512Vnni) {
    pieces = 64 / TrellisDecoder::pieceBytes(k.getTarget());
  }

  void emit();

private:
  /// Bytes that the prefetches run ahead of the loads.
  static constexpr int64_t prefetchBytes = 4096;
  static constexpr int64_t slabVectors = slabColumns / trellisColumns;

  /// What a pass over the vectors of a slab takes: one piece of each vector,
  /// and the numbers firstNumber … firstNumber + numbers − 1 of each step.
  struct Part {
    int64_t piece;
    int firstNumber, numbers;
  };
  SmallVector<Part> parts(int weightsPerStep) const;

  void beginRow();
  void emitTile(Value item);
  void addStrand(size_t stream, Value codes);
  void addSlab(size_t stream, Value codes, Value slab, int64_t vectors,
               bool isLast);
  void addCutSlab(size_t stream, Value codes, Value column, int64_t vectors,
                  bool isLast);
  /// Exact sums of `vectors` vectors from `codes` and `column` on, whose plain
  /// sums are at `plain`; `finish` gets f of each panel.
  void addSpan(size_t stream, Value codes, Value column, Value plain,
               int64_t vectors, bool isLast,
               function_ref<void(Value panel, Value f)> finish);
  /// Adds a vector to that of `panel` at `place`.
  void addTo(int64_t place, Value panel, Value value) {
    Value pointer = k.element(at(place), panel, 64);
    k.store(k.add(k.load(k.f32x16(), pointer, 64), value), pointer, 64);
  }
  /// Zeros the vectors of the strand's panels at `place`.
  void clear(size_t stream, int64_t place) {
    k.forLoop(k.index(0), k.index(panels(stream)), 1, [&](Value panel) {
      k.store(k.zero(k.f32x16()), k.element(at(place), panel, 64), 64);
    });
  }
  void addPart(size_t stream, const Part &part, Value codes, Value column,
               int64_t vectors, bool isLast);
  /// Sums after one more vector.
  SmallVector<Value> addVector(TrellisDecoder &decoder, const Part &part,
                               Value vector, Value column, bool isLast,
                               ArrayRef<Value> sums);
  void finishStrand(size_t stream, Value item, Value tile, Value strand);

  int64_t planeSums() const { return hasByteDot ? linear.planes : 1; }
  int64_t panels(size_t stream) const {
    return strandPanels(*linear.trellis, stream);
  }
  Value at(int64_t bytes) { return k.offset(arguments.scratch, bytes); }

  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  LinearSteps steps;
  TrellisRowScratch scratch;
  bool hasByteDot;
  int64_t pieces;
  Value token, activations;
};

} // namespace

SmallVector<TrellisRow::Part> TrellisRow::parts(int weightsPerStep) const {
  int64_t registers = k.getTarget().vectorRegisters / 2;
  int64_t perNumber = 4 * planeSums();
  int numbers = static_cast<int>(
      std::clamp<int64_t>(registers / perNumber, 1, weightsPerStep));
  SmallVector<Part> parts;
  for (int64_t piece = 0; piece < pieces; ++piece)
    for (int u = 0; u < weightsPerStep; u += numbers)
      parts.push_back({piece, u, numbers});
  return parts;
}

SmallVector<Value> TrellisRow::addVector(TrellisDecoder &decoder,
                                         const Part &part, Value vector,
                                         Value column, bool isLast,
                                         ArrayRef<Value> sums) {
  SmallVector<Value> next(sums);
  int64_t lanes = 16 / pieces;
  VectorType words = k.vectorType(k.getBuilder().getI16Type(), lanes * 2);
  SmallVector<Value> x;
  if (hasByteDot) {
    Value here = k.offset(activations, column);
    for (int64_t plane = 0; plane < linear.planes; ++plane)
      x.push_back(broadcastBytes(
          k, k.offset(here, plane * linear.planeStride()), lanes));
  } else {
    Value here = k.element(activations, column, 2);
    for (int64_t odd = 0; odd < 2; ++odd)
      x.push_back(
          k.bitcast(broadcastBytes(k, k.offset(here, odd * 4), lanes), words));
  }
  std::array<Value, 4> indices = decoder.indices(vector, part.piece, isLast);
  for (int64_t j = 0; j < 4; ++j)
    for (int u = 0; u < part.numbers; ++u) {
      Value numbers = decoder.lookup(indices[j], part.firstNumber + u);
      Value *sum = &next[(u * 4 + j) * planeSums()];
      if (hasByteDot) {
        for (int64_t plane = 0; plane < linear.planes; ++plane)
          sum[plane] = dotBytes(k, sum[plane], numbers, x[plane]);
        continue;
      }
      *sum = dotWords(k, *sum, k.bitcast(numbers, words),
                      [&](bool odd) { return x[odd]; });
    }
  return next;
}

void TrellisRow::addPart(size_t stream, const Part &part, Value codes,
                         Value column, int64_t vectors, bool isLast) {
  TrellisDecoder decoder(k, linear.trellis->format.code(stream));
  VectorType lanes = k.vectorType(k.getBuilder().getI32Type(), 16 / pieces);
  SmallVector<Value> sums(4 * part.numbers * planeSums(), k.zero(lanes));
  auto add = [&](Value index, ArrayRef<Value> carried, bool last) {
    Value vector = k.element(codes, index, 64);
    if (part.piece == 0 && part.firstNumber == 0)
      k.prefetch(k.offset(vector, prefetchBytes));
    Value here = k.add(column, k.mul(index, k.index(trellisColumns)));
    return addVector(decoder, part, vector, here, last, carried);
  };
  int64_t inLoop = isLast ? vectors - 1 : vectors;
  int64_t unroll = hasByteDot && inLoop % 2 == 0 ? 2 : 1;
  if (inLoop > 0)
    sums = k.forLoop(k.index(0), k.index(inLoop), unroll, sums,
                     [&](Value index, ValueRange carried) {
                       SmallVector<Value> next(carried);
                       for (int64_t i = 0; i < unroll; ++i)
                         next = add(k.add(index, k.index(i)), next, false);
                       return next;
                     });
  if (isLast)
    sums = add(k.index(inLoop), sums, true);
  for (int u = 0; u < part.numbers; ++u)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t plane = 0; plane < planeSums(); ++plane) {
        int64_t panel = 4 * (part.firstNumber + u) + j;
        k.store(sums[(u * 4 + j) * planeSums() + plane],
                at(scratch.sums + (panel * planeSums() + plane) * 64 +
                   part.piece * (64 / pieces)));
      }
}

void TrellisRow::addSpan(size_t stream, Value codes, Value column, Value plain,
                         int64_t vectors, bool isLast,
                         function_ref<void(Value panel, Value f)> finish) {
  for (const Part &part : parts(linear.trellis->format.streams[stream]))
    addPart(stream, part, codes, column, vectors, isLast);
  k.forLoop(k.index(0), k.index(panels(stream)), 1, [&](Value panel) {
    Value from = k.element(at(scratch.sums), panel, planeSums() * 64);
    Sums exact;
    for (int64_t plane = 0; plane < planeSums(); ++plane)
      exact.push_back(k.load(k.i32x16(), k.offset(from, plane * 64), 64));
    finish(panel, steps.toFloat(exact, plain, Value()));
  });
}

void TrellisRow::addCutSlab(size_t stream, Value codes, Value column,
                            int64_t vectors, bool isLast) {
  clear(stream, scratch.cuts);
  int64_t cutVectors = linear.cutColumns() / trellisColumns;
  Value firstCut = k.div(column, k.index(linear.cutColumns()));
  auto addCut = [&](Value index, int64_t count, bool last) {
    Value here = k.add(column, k.mul(index, k.index(linear.cutColumns())));
    Value scale = steps.groupScale(token, here);
    addSpan(stream, k.element(codes, index, cutVectors * 64), here,
            steps.sums(token, k.add(firstCut, index)), count, last,
            [&](Value panel, Value f) {
              Value sum = k.element(at(scratch.cuts), panel, 64);
              k.store(k.fma(f, scale, k.load(k.f32x16(), sum, 64)), sum, 64);
            });
  };
  int64_t whole = isLast ? (vectors - 1) / cutVectors : vectors / cutVectors;
  k.forLoop(k.index(0), k.index(whole), 1,
            [&](Value index) { addCut(index, cutVectors, false); });
  if (isLast)
    addCut(k.index(whole), vectors - whole * cutVectors, true);
  k.forLoop(k.index(0), k.index(panels(stream)), 1, [&](Value panel) {
    addTo(scratch.totals, panel,
          k.load(k.f32x16(), k.element(at(scratch.cuts), panel, 64), 64));
  });
}

void TrellisRow::addSlab(size_t stream, Value codes, Value slab,
                         int64_t vectors, bool isLast) {
  Value column = k.mul(slab, k.index(slabColumns));
  Value here = k.element(codes, slab, slabVectors * 64);
  if (linear.isCut())
    return addCutSlab(stream, here, column, vectors, isLast);
  addSpan(stream, here, column, steps.sums(token, slab), vectors, isLast,
          [&](Value panel, Value f) { addTo(scratch.totals, panel, f); });
}

void TrellisRow::addStrand(size_t stream, Value codes) {
  clear(stream, scratch.totals);
  // The last slab ends with the strand's last vector.
  int64_t vectors = linear.trellis->geometry.vectors;
  int64_t slabs = (vectors - 1) / slabVectors;
  k.forLoop(k.index(0), k.index(slabs), 1, [&](Value slab) {
    addSlab(stream, codes, slab, slabVectors, /*isLast=*/false);
  });
  addSlab(stream, codes, k.index(slabs), vectors - slabs * slabVectors,
          /*isLast=*/true);
}

void TrellisRow::finishStrand(size_t stream, Value item, Value tile,
                              Value strand) {
  k.forLoop(k.index(0), k.index(panels(stream)), 1, [&](Value panel) {
    Value inTile = k.add(k.mul(strand, k.index(panels(stream))), panel);
    Value total =
        k.load(k.f32x16(), k.element(at(scratch.totals), panel, 64), 64);
    Value scales = steps.scales(k.element(
        k.offset(tile, linear.trellis->geometry.streams[stream].scales), inTile,
        16 * 2));
    Value result = k.element(at(scratch.results), inTile, 64);
    finishRows(linear, k, steps, stream, {token, total, scales, result}, [&] {
      return k.add(k.mul(item, k.index(tilePanels(*linear.trellis))), inTile);
    });
  });
}

void TrellisRow::emitTile(Value item) {
  Value tile =
      k.element(arguments.weight, item, linear.trellis->geometry.tileBytes);
  forStrands(k, *linear.trellis, tile,
             [&](size_t stream, Value strand, Value codes) {
               addStrand(stream, codes);
               finishStrand(stream, item, tile, strand);
             });
}

/// Finds, or widens, the activations of the token.
void TrellisRow::beginRow() {
  activations = activationsOf(linear, k, arguments, token);
  if (hasByteDot)
    return;
  Value words = at(scratch.activations);
  widenActivations(linear, k, activations, words,
                   k.index((linear.inputs + 15) / 16 * 16));
  activations = words;
}

void TrellisRow::emit() {
  k.forLoop(k.index(0), arguments.tokens, 1, [&](Value m) {
    token = m;
    beginRow();
    k.forLoop(arguments.begin, arguments.end, 1,
              [&](Value item) { emitTile(item); });
  });
}

void lowbit::forStrands(
    KernelBuilder &k, const TrellisStreams &weights, Value tile,
    function_ref<void(size_t stream, Value strand, Value codes)> body) {
  const TrellisGeometry &places = weights.geometry;
  for (size_t i = 0; i < places.streams.size(); ++i)
    k.forLoop(k.index(0), k.index(places.streams[i].strands), 1,
              [&](Value strand) {
                body(i, strand,
                     k.element(k.offset(tile, places.streams[i].codes), strand,
                               places.strandBytes));
              });
}

void lowbit::finishRows(const LinearKernel &linear, KernelBuilder &k,
                        LinearSteps &steps, size_t stream,
                        const StreamTotal &total, function_ref<Value()> row) {
  Value sum = stream == 0 ? k.mul(total.value, total.scales)
                          : k.fma(total.value, total.scales,
                                  k.load(k.f32x16(), total.result, 64));
  if (stream + 1 < linear.trellis->format.streams.size())
    return k.store(sum, total.result, 64);
  Value index = row();
  k.ifThen(k.compare(arith::CmpIPredicate::slt, index, k.index(linear.tiles())),
           [&] { steps.writeRow(total.token, index, sum, Value()); });
}

void lowbit::emitTrellisRow(const LinearKernel &linear, KernelBuilder &k,
                            const LinearArguments &arguments) {
  TrellisRow(linear, k, arguments).emit();
}
