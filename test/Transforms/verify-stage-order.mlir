// RUN: not lowbit-opt %s --lowbit-verify-stage="stage=imported" 2>&1 | FileCheck %s --check-prefix=IMPORTED
// RUN: lowbit-opt %s --lowbit-verify-stage="stage=quantized" | FileCheck %s --check-prefix=QUANTIZED
// RUN: not lowbit-opt %s --lowbit-verify-stage="stage=laid-out" 2>&1 | FileCheck %s --check-prefix=LAIDOUT
// RUN: not lowbit-opt %s --lowbit-verify-stage="stage=planned" 2>&1 | FileCheck %s --check-prefix=PLANNED

// IMPORTED: 'lowbit.quantize' op should not be there yet at stage 'imported'
// A module is at one stage: the gate of that one passes.
// QUANTIZED: lowbit.quantize
// LAIDOUT: 'lowbit.quantize' op should be inside a parameter at stage 'laid-out'
// PLANNED: 'lowbit.linear' op should be gone at stage 'planned'
// PLANNED: has no lowbit.plan at stage 'planned'
#fmt = #lowbit.int<4, group = 64, scale = f16, offset = integer>
lowbit.parameter @w : tensor<16x64xf32> source <"m.safetensors", "w", offset = 64, bytes = 4096>
func.func @example(%x: tensor<?x64xf32>) -> tensor<?x16xf32> {
  %w = lowbit.weight @w : tensor<16x64xf32>
  %q = lowbit.quantize %w solver "nearest" : tensor<16x64xf32> -> tensor<16x64xf32, #fmt>
  %y = lowbit.linear %x, %q activation = <i16> : tensor<?x64xf32>, tensor<16x64xf32, #fmt> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
