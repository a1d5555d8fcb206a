// RUN: lowbit-opt %s --lowbit-extract-part=index=0 | FileCheck %s --check-prefix=FIRST
// RUN: lowbit-opt %s --lowbit-extract-part=index=1 | FileCheck %s --check-prefix=SECOND
// RUN: lowbit-opt %s --lowbit-extract-part=index=2 | FileCheck %s --check-prefix=LAST
// RUN: not lowbit-opt %s --lowbit-extract-part=index=3 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not lowbit-opt %s --lowbit-extract-part=index=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE

// A part ends where one value is alive behind an observation: not behind the
// embedding, which observes nothing, and not while %x waits for the addition.

// FIRST-DAG: lowbit.parameter @table
// FIRST-DAG: lowbit.parameter @a
// FIRST-DAG: lowbit.parameter @gain
// FIRST-NOT: lowbit.parameter
// FIRST: func.func @forward(%{{.+}}: tensor<?xi32>, %{{.+}}: tensor<?x2xi32>, %{{.+}}: tensor<?xi32>) -> tensor<?x8xf32> {
// FIRST: %[[X:.+]] = lowbit.embedding
// FIRST: %[[N:.+]] = lowbit.rms_norm %[[X]]
// FIRST: lowbit.observe %[[N]] moments = "full" as ["a"]
// FIRST: %[[Y:.+]] = lowbit.linear %[[N]]
// FIRST: %[[SUM:.+]] = lowbit.add %[[X]], %[[Y]]
// FIRST-NEXT: return %[[SUM]]

// SECOND-NOT: lowbit.parameter @{{a|table}}
// SECOND: lowbit.parameter @b
// SECOND: func.func @forward(%{{.+}}: tensor<?xi32>, %{{.+}}: tensor<?x2xi32>, %{{.+}}: tensor<?xi32>, %[[X:.+]]: tensor<?x8xf32>) -> tensor<?x8xf32> {
// SECOND-NOT: lowbit.embedding
// SECOND: %[[N:.+]] = lowbit.rms_norm %[[X]]
// SECOND: lowbit.observe %[[N]] moments = "full" as ["b"]
// SECOND: %[[Y:.+]] = lowbit.linear %[[N]]
// SECOND-NEXT: %[[SUM:.+]] = lowbit.add %[[X]], %[[Y]]
// SECOND-NEXT: return %[[SUM]]

// The last part ends with its observation: no selection, no head.
// LAST-NOT: lowbit.parameter @{{a|b|table}}
// LAST: lowbit.parameter @gain
// LAST: func.func @forward({{.+}}, %[[X:.+]]: tensor<?x8xf32>) {
// LAST: %[[N:.+]] = lowbit.rms_norm %[[X]]
// LAST-NEXT: lowbit.observe %[[N]]
// LAST-NEXT: return{{$}}

// NONE: has 3 parts, there is no part 3
// NEGATIVE: has 3 parts, there is no part -1
lowbit.parameter @table : tensor<32x8xf32> source <"m.safetensors", "t", offset = 64, bytes = 1024>
lowbit.parameter @gain : tensor<8xf32> source <"m.safetensors", "g", offset = 64, bytes = 32>
lowbit.parameter @a : tensor<8x8xf32> source <"m.safetensors", "a", offset = 64, bytes = 256>
lowbit.parameter @b : tensor<8x8xf32> source <"m.safetensors", "b", offset = 64, bytes = 256>
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x32xf32> {
  %table = lowbit.weight @table : tensor<32x8xf32>
  %gain = lowbit.weight @gain : tensor<8xf32>
  %x = lowbit.embedding %ids, %table : tensor<?xi32>, tensor<32x8xf32> -> tensor<?x8xf32>
  %a = lowbit.weight @a : tensor<8x8xf32>
  %n = lowbit.rms_norm %x, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  lowbit.observe %n moments = "full" as ["a"] : tensor<?x8xf32>
  %0 = lowbit.linear %n, %a activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %1 = lowbit.add %x, %0 : tensor<?x8xf32>
  %b = lowbit.weight @b : tensor<8x8xf32>
  %m = lowbit.rms_norm %1, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  lowbit.observe %m moments = "full" as ["b"] : tensor<?x8xf32>
  %l = lowbit.linear %m, %b activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %2 = lowbit.add %1, %l : tensor<?x8xf32>
  %3 = lowbit.select_rows %2, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  %4 = lowbit.rms_norm %3, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %5 = lowbit.rms_norm %2, %gain eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  lowbit.observe %5 moments = "full" as ["t"] : tensor<?x8xf32>
  %6 = lowbit.linear %4, %table activation = <f32> : tensor<?x8xf32>, tensor<32x8xf32> -> tensor<?x32xf32>
  return %6 : tensor<?x32xf32>
}
