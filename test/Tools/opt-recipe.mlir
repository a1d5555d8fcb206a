// A recipe is a pipeline, which lowbit-opt prints and runs.
//
// RUN: lowbit-opt %s --recipe=int4-g64 --dump-pass-pipeline 2>&1 | FileCheck %s

// CHECK: builtin.module(
// CHECK-NEXT: lowbit-quantize{{.*}}format=int8-g64{{.*}}roles={embedding,head}
// CHECK-NEXT: lowbit-quantize{{.*}}format=int4-g64-half
// CHECK-NEXT: lowbit-set-cache{type=f16}
// CHECK-NEXT: func.func(
// CHECK-NEXT: lowbit-fuse-linears
// CHECK: lowbit-outline-parameters
// CHECK-NEXT: lowbit-assign-layouts
module {}
