//===- LinearDot.h - Integer sums of one instruction family -----*- C++ -*-===//
//
// What the walks ask of an instruction family: exact sums Σ c·q of codes with
// bytes of activations, 16 rows (lanes) at a time, in one of two ways.
//
// In place, for one token: codes are read from the weight and masked.
//
//   Sums sums = dot.start();
//   sums = dot.accumulate(sums, codes, column, 64);   // any number of times
//   Sums exact = dot.finish(sums);                    // i, or hi and lo
//
// From a panel, for a block of tokens: `decode` has written the codes of a slab
// to scratch, one step (4 columns of 16 rows) after the other, and `panelSums`
// multiplies them with the activations of several tokens. It may read whole
// steps beyond the last column: activations are 0 there. A family may take the
// zero points off by itself (sumsSteps), where that costs less than afterwards.
//
// What codes are in words is the affair of a DecodeShape; a family asks it for
// the bytes of steps. A family is a file: LinearByteDot.cpp (AVX-512 VNNI, NEON
// and portable vectors), LinearAvx2.cpp (bytes up to 63), LinearAvx2Wide.cpp
// (larger ones, and panels against 16-bit activations).
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARDOT_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARDOT_H

#include "LinearKernel.h"
#include <memory>

namespace lowbit {

/// Values of a family between its own calls; from `finish` and `panelSums` one
/// or two i32x16: {i}, or {hi, lo} with i = 256·hi + lo.
using Sums = llvm::SmallVector<Value>;

/// Columns of a period of a row-scaled slab: what `panelSums` takes at a time.
constexpr int64_t periodColumns = 128;

/// The columns that panelSums adds up: a constant number, or whole periods.
struct PanelSpan {
  int64_t columns = 0;
  Value periods; ///< i64, or null where `columns` holds
};

/// Where a block of tokens stands.
struct PanelPlace {
  Value token;                   ///< first token of the block
  Value column;                  ///< first column of the sums
  Value firstToken, firstColumn; ///< as given to beginSlab
  Value sums;                    ///< as LinearSteps::sums gives them
};

/// Pointer to plane 0 of `token`, of integer activations.
Value activationsOf(const LinearKernel &linear, KernelBuilder &k,
                    const LinearArguments &arguments, Value token);
/// One i32 from memory in every one of `lanes` lanes, as bytes.
Value broadcastBytes(KernelBuilder &k, Value pointer, int64_t lanes);
/// Writes `columns` (i64, a multiple of 16) activations from plane 0 at
/// `activations` to `words` as i16, planes joined. Of 4 columns, 0 and 2 come
/// first: the low bytes of the words that codes of 8 bits form.
void widenActivations(const LinearKernel &linear, KernelBuilder &k,
                      Value activations, Value words, Value columns);

class IntegerDot {
public:
  IntegerDot(const LinearKernel &linear, KernelBuilder &k,
             const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments) {}
  virtual ~IntegerDot() = default;

  /// Scratch of the family, at the start of the kernel's.
  virtual int64_t scratchBytes() const { return 0; }

  //===--- in place -------------------------------------------------------===//
  /// Prepares the activations of `token`; what follows is for that token.
  virtual void beginRow(Value token);
  /// Tiles that should follow a beginRow, for its cost.
  virtual int64_t rowTiles() const { return 1; }
  virtual Sums start() = 0;
  /// Adds `columns` columns from `column` (i64) on, whose codes start at
  /// `codes` with a block.
  virtual Sums accumulate(Sums sums, Value codes, Value column,
                          int64_t columns) = 0;
  /// Σ c·q of all that was added.
  virtual Sums finish(Sums sums) = 0;

  //===--- from a panel ---------------------------------------------------===//
  /// Bytes of a step in the panel.
  virtual int64_t stepBytes() const { return 64; }
  /// Whether panelSums gives Σ step·q of GroupedWeights.h instead of Σ c·q.
  virtual bool sumsSteps() const { return false; }
  /// Decodes up to 32 columns of codes to the panel. `zeros` (i32x16) are their
  /// stored zero points, null where there are none.
  void decode(Value codes, Value panel, int64_t columns, Value zeros);
  /// Writes the 64 bytes of a step (as 32 lanes of i16) to the panel.
  virtual void storeStep(Value bytes, Value step, Value zeros);
  /// Tiles that panelSums takes together at most.
  virtual int64_t jointTiles() const { return 1; }
  /// Tokens that the scratch of the family is for.
  virtual int64_t blockTokens() const { return 240; }
  /// Tiles that should follow a beginSlab, for its cost.
  virtual int64_t passTiles() const { return 2; }
  /// Prepares the activations of tokens firstToken … endToken − 1 in the slab
  /// at `column`.
  virtual void beginSlab(Value firstToken, Value endToken, Value column) {}
  /// Tokens taken together, largest first, ending in 1, for panels of `tiles`
  /// tiles.
  virtual llvm::SmallVector<int64_t> tokenCounts(int64_t tiles) const = 0;
  /// Σ c·q or Σ step·q (sumsSteps) for each panel and each of
  /// `count` tokens: entry tile · count + token. `panels` point at the first
  /// step of the span.
  virtual llvm::SmallVector<Sums> panelSums(llvm::ArrayRef<Value> panels,
                                            const PanelPlace &place,
                                            int64_t count, PanelSpan span) = 0;

protected:
  /// Pointer to plane 0 of `token` at `column`.
  Value activation(Value token, Value column);
  Value broadcastBytes(Value pointer, int64_t lanes) {
    return lowbit::broadcastBytes(k, pointer, lanes);
  }
  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  /// Plane 0 of the token of beginRow.
  Value row;
};

/// Where the codes of a walk are.
enum class CodePlace { InPlace, Panel };

/// The family for the variant that `k` emits.
std::unique_ptr<IntegerDot> createIntegerDot(const LinearKernel &linear,
                                             KernelBuilder &k,
                                             const LinearArguments &arguments,
                                             CodePlace place);

/// Whether AVX2 multiplies words (LinearAvx2Wide): bytes are too large for sums
/// in i16, or a panel meets 16-bit activations, which as words need no more
/// products than as two planes and no sums in i16.
bool usesWords(const LinearKernel &linear, CodePlace place);

// Families. LinearAvx2Wide multiplies 16-bit codes with 16-bit activations.
std::unique_ptr<IntegerDot> createByteDot(const LinearKernel &linear,
                                          KernelBuilder &k,
                                          const LinearArguments &arguments);
std::unique_ptr<IntegerDot> createAvx2Dot(const LinearKernel &linear,
                                          KernelBuilder &k,
                                          const LinearArguments &arguments);
std::unique_ptr<IntegerDot> createAvx2WideDot(const LinearKernel &linear,
                                              KernelBuilder &k,
                                              const LinearArguments &arguments);

/// Largest scratchBytes and stepBytes of all families.
int64_t maxDotScratchBytes(const LinearKernel &linear);
constexpr int64_t maxStepBytes = 128;
constexpr int64_t maxBlockTokens = 240;
/// Largest passTiles · blockTokens.
constexpr int64_t maxPassTotals = 1920;

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_LINEARDOT_H
