// RUN: lowbit-opt %s --lowbit-set-cache="type=i8" | FileCheck %s
// RUN: lowbit-opt %s --lowbit-set-cache | FileCheck %s --check-prefix=SAME

// CHECK-LABEL: @example
// CHECK: lowbit.attention {{.+}} cache = i8
// The default is the type that it has: nothing happens.
// SAME-LABEL: @example
// SAME: lowbit.attention {{.+}} cache = f16
func.func @example(%q: tensor<?x256xf32>, %k: tensor<?x128xf32>, %rows: tensor<?x2xi32>) -> tensor<?x256xf32> {
  %y = lowbit.attention %q, %k, %k, %rows layer = 0 heads = 4 kv_heads = 2 scale = 1.250000e-01 cache = f16
    : tensor<?x256xf32>, tensor<?x128xf32>, tensor<?x2xi32>
  return %y : tensor<?x256xf32>
}
