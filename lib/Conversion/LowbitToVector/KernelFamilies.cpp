//===- KernelFamilies.cpp - The table of families ---------------*- C++ -*-===//

#include "lowbit/Conversion/KernelFamilies.h"

const lowbit::KernelFamily *lowbit::findKernelFamily(llvm::StringRef name) {
  static const KernelFamily *const families[] = {&addFamily,
                                                 &attentionFamily,
                                                 &diagonalMomentsFamily,
                                                 &embeddingFamily,
                                                 &gateFamily,
                                                 &linearFamily,
                                                 &quantizeGroupsFamily,
                                                 &quantizeRowsFamily,
                                                 &rmsNormFamily,
                                                 &rotaryFamily,
                                                 &rotaryCacheFamily,
                                                 &rotaryTableFamily,
                                                 &secondMomentsFamily,
                                                 &selectRowsFamily,
                                                 &transformRowsFamily};
  for (const KernelFamily *family : families)
    if (family->name == name)
      return family;
  return nullptr;
}
