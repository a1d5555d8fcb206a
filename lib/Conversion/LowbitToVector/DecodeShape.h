//===- DecodeShape.h - Packed words to bytes --------------------*- C++ -*-===//
//
// How the codes of a block become the bytes that a dot product takes. A block
// is a sequence of vectors of 16 lanes (rows) of 4 bytes; a *step* is 4
// consecutive columns of its 16 rows: one byte u ≥ 0 for each. Walks and
// instruction families see steps only, in place (masked words) or as bytes of a
// panel; what the integers mean is said by GroupedWeights.
//
//   digits  codes lie as digits of a few bits in the bytes of the words:
//           u = Σ digit · 2^weightLog2
//   table   such a code is an index of a table, which is the format's, or of
//           four bytes that each row has at the start of a block
//
// A new shape is a class here.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_DECODESHAPE_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_DECODESHAPE_H

#include "lowbit/Conversion/KernelBuilder.h"
#include "lowbit/Numerics/IntegerFormat.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <memory>

namespace lowbit {

/// Columns that `DecodeShape::row` counts in: the widest block of digits.
constexpr int64_t pairColumns = 32;

/// The words of one block, or of the upper or lower 8 lanes of it; each vector
/// is loaded and shifted once.
class BlockWords {
public:
  /// `bytes` of each vector of 64 are read, from `pointer` on: 64 or 32.
  BlockWords(KernelBuilder &k, Value pointer, int64_t bytes)
      : k(k), pointer(pointer), bytes(bytes) {}

  int64_t vectorBytes() const { return bytes; }
  /// Vector `index` of the block, as i16 lanes, shifted down by `down` bits (up
  /// where negative).
  Value get(int64_t index, int down);

private:
  KernelBuilder &k;
  Value pointer;
  int64_t bytes;
  std::map<std::pair<int64_t, int>, Value> made;
};

/// Bits of a vector that are part of a byte: shifted down (up where negative),
/// then masked.
struct CodePart {
  int64_t vector;
  int down, mask;
};

/// One step: bytes u · 2^-unitLog2, or a part of u (then several steps have
/// the same column).
struct CodeStep {
  /// First of the 4 columns in the block.
  int64_t column;
  int unitLog2;
  /// Joined by `or`.
  llvm::SmallVector<CodePart, 2> parts;

  /// Largest byte before any table.
  int64_t largestIndex() const;
};

/// How steps are cut. Digits that stay at their bit save shifts; each distinct
/// unitLog2 costs accumulators.
enum class StepCut {
  /// One step for each 4 columns, unitLog2 = 0.
  Whole,
  /// Digits stay at any bit: masks only, many units.
  InPlace,
  /// Pairs of digits share a shift, and no byte is above 63.
  Small,
};

class DecodeShape {
public:
  virtual ~DecodeShape();

  /// Columns and vectors of a block.
  virtual int64_t columns() const = 0;
  virtual int64_t vectors() const = 0;
  /// Largest u.
  virtual int64_t largest() const = 0;
  /// The steps of a block, in the order of the bytes.
  virtual llvm::SmallVector<CodeStep> steps(StepCut cut) const = 0;
  /// Largest byte of a step.
  virtual int64_t largestByte(const CodeStep &step) const = 0;
  /// The bytes of a step, in the lanes of `words` (i16 lanes).
  virtual Value emit(KernelBuilder &k, const CodeStep &step,
                     BlockWords &words) const = 0;

  /// u of `lanes` columns of one row, i32 in 16 lanes: columns 32 · `pair` +
  /// `first` … of the codes at `codes`, for `first` 0 or 16 and row `lane`
  /// (i64). Reads no block that these columns do not have.
  virtual Value row(KernelBuilder &k, Value codes, Value lane, Value pair,
                    int64_t first, int64_t lanes) const = 0;

  /// Blocks that `count` columns take.
  int64_t blocks(int64_t count) const {
    return (count + columns() - 1) / columns();
  }
  int64_t blockBytes() const { return vectors() * 64; }
};

/// Digits of one width and one significance.
struct VectorPlane {
  /// Bits of a digit: 1, 2, 4 or 8.
  int bits;
  /// Vectors of the block that hold this plane.
  int vectors;
  /// A digit counts 2^weightLog2.
  int weightLog2;
};

/// The shape `digits`. Each plane covers all columns of the block; digit d of
/// byte b of vector v in a plane of `bits` bits belongs to column
/// v · 32/bits + 4d + b. Codes of 3 bits (Spec.md, section 2):
///
///   32 columns, planes = {{bits 2, vectors 2, weightLog2 1},
///                         {bits 1, vectors 1, weightLog2 0}}
class DigitShape : public DecodeShape {
public:
  explicit DigitShape(int bits);

  int64_t columns() const override { return blockColumns; }
  int64_t vectors() const override;
  int64_t largest() const override { return (int64_t(1) << bits) - 1; }
  llvm::SmallVector<CodeStep> steps(StepCut cut) const override;
  int64_t largestByte(const CodeStep &step) const override;
  Value emit(KernelBuilder &k, const CodeStep &step,
             BlockWords &words) const override;
  Value row(KernelBuilder &k, Value codes, Value lane, Value pair,
            int64_t first, int64_t lanes) const override;

private:
  int bits;
  int64_t blockColumns;
  llvm::SmallVector<VectorPlane, 4> planes;
};

/// The shape `table`: the code of a DigitShape of up to 6 bits is an index.
class TableShape final : public DigitShape {
public:
  /// `table` has 2^bits entries u, or fewer: then no code is beyond them.
  TableShape(int bits, llvm::SmallVector<uint8_t> table);

  int64_t largest() const override;
  llvm::SmallVector<CodeStep> steps(StepCut cut) const override;
  int64_t largestByte(const CodeStep &step) const override;
  Value emit(KernelBuilder &k, const CodeStep &step,
             BlockWords &words) const override;
  Value row(KernelBuilder &k, Value codes, Value lane, Value pair,
            int64_t first, int64_t lanes) const override;

private:
  llvm::SmallVector<uint8_t> table;
};

/// The shape `table` with levels of their own for each group and row: a block
/// is a group; its first vector holds four signed bytes in each lane, of which
/// codes of 2 bits, in the vectors behind it, are indices. u = level + 128.
class LevelShape final : public DecodeShape {
public:
  /// `group` is 32, 64 or 128.
  explicit LevelShape(int64_t group) : group(group) {}

  int64_t columns() const override { return group; }
  int64_t vectors() const override { return 1 + group / digits.columns(); }
  int64_t largest() const override { return 255; }
  llvm::SmallVector<CodeStep> steps(StepCut cut) const override;
  int64_t largestByte(const CodeStep &step) const override { return largest(); }
  Value emit(KernelBuilder &k, const CodeStep &step,
             BlockWords &words) const override;
  Value row(KernelBuilder &k, Value codes, Value lane, Value pair,
            int64_t first, int64_t lanes) const override;

private:
  int64_t group;
  DigitShape digits{2};
};

/// The shape that serves a format. Its bytes are u = step − smallest step of
/// the element, or the code where the format is of plain integers or floats.
std::shared_ptr<const DecodeShape> makeDecodeShape(const IntegerFormat &format);

/// Smallest step of an element that is no Integer; at most 0.
int smallestStep(const IntegerFormat &format);

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_DECODESHAPE_H
