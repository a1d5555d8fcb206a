//===- PanelWalk.h - Blocks of tokens against panels ------------*- C++ -*-===//
//
// What the walks for several tokens share: a slab of 16 rows, decoded to a
// panel, is multiplied with the activations of a block of tokens, a few at a
// time, and added to totals that wait in scratch. Where panels come from and
// what becomes of totals is the walk's affair.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CONVERSION_LOWBITTOVECTOR_PANELWALK_H
#define LOWBIT_CONVERSION_LOWBITTOVECTOR_PANELWALK_H

#include "LinearSteps.h"

namespace lowbit {

class PanelWalk {
public:
  /// Bytes of a panel of a slab, for every family.
  static constexpr int64_t panelBytes =
      slabColumns / stepColumns * maxStepBytes;

protected:
  PanelWalk(const LinearKernel &linear, KernelBuilder &k,
            const LinearArguments &arguments)
      : linear(linear), k(k), arguments(arguments), steps(linear, k, arguments),
        dot(createIntegerDot(linear, k, arguments, CodePlace::Panel)) {}
  virtual ~PanelWalk() = default;

  /// Runs `body` for each block of tokens that the family's scratch holds.
  void forTokenBlocks(llvm::function_ref<void()> body);
  /// Goes to slab `index`.
  void beginSlab(Value index);
  /// Adds the slab of `joint` panels from panelStart on to the totals of all
  /// tokens of the block: [panel][token] f32x16 at `totals`.
  void addSlab(Value totals, int64_t joint);
  /// f of the slab for `count` tokens from `token` on (for groups: the partial
  /// sum): entry panel · count + token.
  virtual llvm::SmallVector<Value> partials(Value token, int64_t joint,
                                            int64_t count) = 0;
  /// The same of weights with one scale per row; `zeros` are their stored zero
  /// points by panel, where they have some.
  llvm::SmallVector<Value> rowPartials(Value token, int64_t joint,
                                       int64_t count,
                                       llvm::ArrayRef<Value> zeros);

  /// f of what panelSums gave (LinearSteps::toFloat); `sums` and `zeros` serve
  /// sums of codes.
  Value toFloat(const Sums &exact, Value sums, Value zeros) {
    return dot->sumsSteps() ? steps.toFloat(exact)
                            : steps.toFloat(exact, sums, zeros);
  }

  Value panel(int64_t index) {
    return k.offset(panelStart, index * panelBytes);
  }
  Value at(int64_t bytes) { return k.offset(arguments.scratch, bytes); }

  const LinearKernel &linear;
  KernelBuilder &k;
  const LinearArguments &arguments;
  LinearSteps steps;
  std::unique_ptr<IntegerDot> dot;
  /// The block of tokens, the slab and its first panel at hand.
  Value firstToken, endToken, slab, firstColumn, columns, panelStart;

private:
  void addTokens(Value totals, Value token, int64_t joint, int64_t count);
};

} // namespace lowbit

#endif // LOWBIT_CONVERSION_LOWBITTOVECTOR_PANELWALK_H
