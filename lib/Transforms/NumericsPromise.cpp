//===- NumericsPromise.cpp - What a pass does to numbers ------------------===//

#include "lowbit/Transforms/NumericsPromise.h"
#include "llvm/ADT/StringSwitch.h"

using namespace lowbit;

NumericsPromise lowbit::getNumericsPromise(llvm::StringRef pass) {
  return llvm::StringSwitch<NumericsPromise>(pass)
      .Cases({"lowbit-fold-norm-scale", "lowbit-insert-rotations",
              "lowbit-fold-rotations", "lowbit-select-rotations",
              "lowbit-fold-transforms", "lowbit-scale-channels",
              "lowbit-split-outlier-channels"},
             NumericsPromise::Close)
      .Case("lowbit-quantize", NumericsPromise::Lossy)
      .Default(NumericsPromise::Exact);
}
