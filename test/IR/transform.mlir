// RUN: lowbit-opt %s | lowbit-opt | FileCheck %s

// CHECK-LABEL: func.func @rows
func.func @rows(%x: tensor<?x48xf32>, %s: tensor<12xbf16>, %p: tensor<6x6xf32>, %q: tensor<4x4xf32>) {
  // CHECK: by hadamard<block = 16> :
  %0 = lowbit.transform %x by hadamard<block = 16> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by hadamard<block = 12, seed = 3> :
  %1 = lowbit.transform %0 by hadamard<block = 12, seed = 3> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by hadamard<block = 48, seed = 0, transposed> :
  %2 = lowbit.transform %1 by hadamard<block = 48, seed = 0, transposed> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by hadamard<block = 4, transposed> :
  %3 = lowbit.transform %2 by hadamard<block = 4, transposed> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by signs<block = 6, bits = "a1"> :
  %4 = lowbit.transform %3 by signs<block = 6, bits = "a1"> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by signs<block = 48, seed = 12> :
  %5 = lowbit.transform %4 by signs<block = 48, seed = 12> : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by diagonal(%{{.+}} : tensor<12xbf16>) :
  %6 = lowbit.transform %5 by diagonal(%s : tensor<12xbf16>) : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by dense<orthogonal>(%{{.+}} : tensor<6x6xf32>) :
  %7 = lowbit.transform %6 by dense<orthogonal>(%p : tensor<6x6xf32>) : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by kronecker<general>(%{{.+}}, %{{.+}} : tensor<6x6xf32>, tensor<4x4xf32>) :
  %8 = lowbit.transform %7 by kronecker<general>(%p, %q : tensor<6x6xf32>, tensor<4x4xf32>) : tensor<?x48xf32> -> tensor<?x48xf32>
  // CHECK: by gather<columns = 48, runs = [0, 5, 4, 44, -1, 15]> : tensor<?x48xf32> -> tensor<?x64xf32>
  %9 = lowbit.transform %8 by gather<columns = 48, runs = [0, 5, 4, 44, -1, 15]> : tensor<?x48xf32> -> tensor<?x64xf32>
  // CHECK: by gather<columns = 48, runs = [0, 5, 4, 44, -1, 15], transposed, averaged> : tensor<?x64xf32> -> tensor<?x48xf32>
  %10 = lowbit.transform %9 by gather<columns = 48, runs = [0, 5, 4, 44, -1, 15], transposed, averaged> : tensor<?x64xf32> -> tensor<?x48xf32>
  return
}

lowbit.parameter @w : tensor<12x8xbf16> source <"model.safetensors", "w", offset = 0, bytes = 192>
lowbit.parameter @s : tensor<8xbf16> source <"model.safetensors", "s", offset = 192, bytes = 16>

// CHECK-LABEL: lowbit.parameter @folded
lowbit.parameter @folded : tensor<12x8xf32> init {
  %w = lowbit.weight @w : tensor<12x8xbf16>
  %s = lowbit.weight @s : tensor<8xbf16>
  // CHECK: lowbit.invert %{{.+}} : tensor<8xbf16> -> tensor<8xf32>
  %i = lowbit.invert %s : tensor<8xbf16> -> tensor<8xf32>
  // CHECK: lowbit.transform_weight %{{.+}} dim = 1 by diagonal(%{{.+}} : tensor<8xf32>) : tensor<12x8xbf16> -> tensor<12x8xf32>
  %0 = lowbit.transform_weight %w dim = 1 by diagonal(%i : tensor<8xf32>) : tensor<12x8xbf16> -> tensor<12x8xf32>
  // CHECK: lowbit.transform_weight %{{.+}} dim = 0 by hadamard<block = 12> : tensor<12x8xf32> -> tensor<12x8xf32>
  %1 = lowbit.transform_weight %0 dim = 0 by hadamard<block = 12> : tensor<12x8xf32> -> tensor<12x8xf32>
  lowbit.yield %1 : tensor<12x8xf32>
}

// CHECK-LABEL: lowbit.parameter @square
lowbit.parameter @square : tensor<8x8xf32> init {
  // CHECK: lowbit.fill 1.000000e+00 : tensor<8xf32>
  %0 = lowbit.fill 1.0 : tensor<8xf32>
  // CHECK: lowbit.constant dense<[1.000000e+00, 2.500000e-01]> : tensor<2xf32> -> tensor<2xf32>
  %c = lowbit.constant dense<[1.0, 0.25]> : tensor<2xf32> -> tensor<2xf32>
  // CHECK: lowbit.expand_diagonal %{{.+}} : tensor<8xf32> -> tensor<8x8xf32>
  %1 = lowbit.expand_diagonal %0 : tensor<8xf32> -> tensor<8x8xf32>
  // CHECK: lowbit.transpose %{{.+}} : tensor<8x8xf32> -> tensor<8x8xf32>
  %2 = lowbit.transpose %1 : tensor<8x8xf32> -> tensor<8x8xf32>
  // CHECK: lowbit.orthonormalize %{{.+}} : tensor<8x8xf32> -> tensor<8x8xf32>
  %3 = lowbit.orthonormalize %2 : tensor<8x8xf32> -> tensor<8x8xf32>
  lowbit.yield %3 : tensor<8x8xf32>
}

// CHECK-LABEL: lowbit.parameter @spread
lowbit.parameter @spread : tensor<12x9xf32> init {
  %w = lowbit.weight @w : tensor<12x8xbf16>
  %0 = lowbit.transform_weight %w dim = 1 by gather<columns = 8, runs = [0, 3, 2, 6], averaged> : tensor<12x8xbf16> -> tensor<12x9xf32>
  // CHECK: lowbit.spread %{{.+}} copies = <columns = 8, runs = [0, 3, 2, 6]> format = <2, group = 32, scale = f16, offset = half> : tensor<12x9xf32>
  %1 = lowbit.spread %0 copies = <columns = 8, runs = [0, 3, 2, 6]> format = <2, group = 32, scale = f16, offset = half> : tensor<12x9xf32>
  lowbit.yield %1 : tensor<12x9xf32>
}
