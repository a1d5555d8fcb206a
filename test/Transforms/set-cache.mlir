// RUN: lowbit-opt %s --lowbit-set-cache="type=i8" | FileCheck %s
// RUN: lowbit-opt %s --lowbit-set-cache | FileCheck %s --check-prefix=SAME
// RUN: lowbit-opt %s --lowbit-set-cache="type=i4" | FileCheck %s --check-prefix=I4
// RUN: lowbit-opt %s --lowbit-set-cache="type=i2-head" | FileCheck %s --check-prefix=I2
// The last one holds, group and all.
// RUN: lowbit-opt %s --lowbit-set-cache="type=i4-g32" --lowbit-set-cache="type=i8" | FileCheck %s

// CHECK-LABEL: @example
// CHECK: lowbit.attention {{.+}} cache = i8 :
// I4: lowbit.attention {{.+}} cache = i4 group = 64 :
// I2: lowbit.attention {{.+}} cache = i2 group = head :
// The default is the type that it has: nothing happens.
// SAME-LABEL: @example
// SAME: lowbit.attention {{.+}} cache = f16
func.func @example(%q: tensor<?x256xf32>, %k: tensor<?x128xf32>, %rows: tensor<?x2xi32>) -> tensor<?x256xf32> {
  %y = lowbit.attention %q, %k, %k, %rows layer = 0 heads = 4 kv_heads = 2 scale = 1.250000e-01 cache = f16
    : tensor<?x256xf32>, tensor<?x128xf32>, tensor<?x2xi32>
  return %y : tensor<?x256xf32>
}
