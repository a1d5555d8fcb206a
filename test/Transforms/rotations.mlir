// RUN: lowbit-opt %s --lowbit-insert-rotations=seed=5 | FileCheck %s --check-prefix=INSERT
// RUN: lowbit-opt %s --lowbit-insert-rotations="sites=r3,r4 seed=-1" | FileCheck %s --check-prefix=SOME
// RUN: lowbit-opt %s --lowbit-fold-norm-scale --lowbit-insert-rotations=seed=5 --lowbit-fold-rotations | FileCheck %s --check-prefixes=FOLD,UNTIE
// RUN: lowbit-opt %s --lowbit-insert-rotations=seed=5 --lowbit-fold-rotations | FileCheck %s --check-prefixes=FOLD,UNTIE
// RUN: lowbit-opt %s --lowbit-fold-norm-scale --lowbit-insert-rotations=sites=r1 --lowbit-fold-rotations=tied=keep | FileCheck %s --check-prefix=KEEP
// RUN: not lowbit-opt %s --lowbit-insert-rotations=sites=r5 2>&1 | FileCheck %s --check-prefix=BAD
// BAD: lowbit-insert-rotations: sites 'r5' is not known, must be of r1, r2, r3, r4

// One layer: 2 query heads on 1 key head of 4, biases, a tied head, 12 gated columns.
lowbit.parameter @e : tensor<16x8xf32> source <"m", "e", offset = 0, bytes = 512>
lowbit.parameter @g : tensor<8xf32> source <"m", "g", offset = 0, bytes = 32>
lowbit.parameter @q : tensor<8x8xf32> source <"m", "q", offset = 0, bytes = 256>
lowbit.parameter @k : tensor<4x8xf32> source <"m", "k", offset = 0, bytes = 128>
lowbit.parameter @v : tensor<4x8xf32> source <"m", "v", offset = 0, bytes = 128>
lowbit.parameter @vb : tensor<4xf32> source <"m", "vb", offset = 0, bytes = 16>
lowbit.parameter @o : tensor<8x8xf32> source <"m", "o", offset = 0, bytes = 256>
lowbit.parameter @ob : tensor<8xf32> source <"m", "ob", offset = 0, bytes = 32>
lowbit.parameter @up : tensor<12x8xf32> source <"m", "up", offset = 0, bytes = 384>
lowbit.parameter @gate : tensor<12x8xf32> source <"m", "gate", offset = 0, bytes = 384>
lowbit.parameter @down : tensor<8x12xf32> source <"m", "down", offset = 0, bytes = 384>

func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x16xf32> {
  %e = lowbit.weight @e : tensor<16x8xf32>
  %g = lowbit.weight @g : tensor<8xf32>
  // INSERT: lowbit.embedding
  // INSERT-NEXT: lowbit.transform %{{.+}} by hadamard<block = 8, seed = 5> {lowbit.fold = "up"}
  // INSERT-NEXT: lowbit.transform %{{.+}} by hadamard<block = 8, seed = 5, transposed> {lowbit.fold = "down"}
  // FOLD: lowbit.transform_weight %{{.+}} dim = 1 by hadamard<block = 8, seed = 5> : tensor<16x8xf32>
  // FOLD-NEXT: %[[X:.+]] = lowbit.embedding
  // FOLD-NOT: lowbit.transform %
  // FOLD: lowbit.rms_norm %[[X]]
  // SOME-NOT: lowbit.transform %
  %x = lowbit.embedding %ids, %e : tensor<?xi32>, tensor<16x8xf32> -> tensor<?x8xf32>
  %n = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wq = lowbit.weight @q : tensor<8x8xf32>
  %q = lowbit.linear %n, %wq activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %wk = lowbit.weight @k : tensor<4x8xf32>
  %k = lowbit.linear %n, %wk activation = <f32> : tensor<?x8xf32>, tensor<4x8xf32> -> tensor<?x4xf32>
  %wv = lowbit.weight @v : tensor<4x8xf32>
  %bv = lowbit.weight @vb : tensor<4xf32>
  // The values' weight: scale of the norm, R1 on its columns, R2 on its rows and the bias.
  // FOLD: %[[V:.+]] = lowbit.weight @v :
  // FOLD-NEXT: %[[V1:.+]] = lowbit.transform_weight %[[V]] dim = 1 by diagonal(
  // FOLD: %[[V2:.+]] = lowbit.transform_weight %{{.+}} dim = {{.}} by hadamard<
  // FOLD-NEXT: %[[V3:.+]] = lowbit.transform_weight %[[V2]] dim = {{.}} by hadamard<
  // FOLD: lowbit.transform_weight %{{.+}} dim = 0 by hadamard<block = 4, seed = 6> : tensor<4xf32>
  // FOLD: lowbit.linear %{{.+}}, %[[V3]] bias
  %v = lowbit.linear %n, %wv bias %bv : tensor<4xf32> activation = <f32> : tensor<?x8xf32>, tensor<4x8xf32> -> tensor<?x4xf32>
  %qr = lowbit.rotary %q, %rows frequencies = [1.0, 0.5] : tensor<?x8xf32>, tensor<?x2xi32>
  %kr = lowbit.rotary %k, %rows frequencies = [1.0, 0.5] : tensor<?x4xf32>, tensor<?x2xi32>
  // R3 stays, on queries and keys.
  // INSERT: lowbit.transform %{{.+}} by hadamard<block = 4, seed = 7> : tensor<?x8xf32>
  // INSERT: lowbit.transform %{{.+}} by hadamard<block = 4, seed = 7> : tensor<?x4xf32>
  // FOLD: %[[Q3:.+]] = lowbit.transform %{{.+}} by hadamard<block = 4, seed = 7> : tensor<?x8xf32>
  // FOLD: %[[K3:.+]] = lowbit.transform %{{.+}} by hadamard<block = 4, seed = 7> : tensor<?x4xf32>
  // FOLD: lowbit.attention %[[Q3]], %[[K3]]
  // SOME: lowbit.transform %{{.+}} by hadamard<block = 4> : tensor<?x8xf32>
  // SOME: lowbit.transform %{{.+}} by hadamard<block = 4> : tensor<?x4xf32>
  %a = lowbit.attention %qr, %kr, %v, %rows layer = 0 heads = 2 kv_heads = 1 scale = 0.5 cache = f16 : tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x2xi32>
  %wo = lowbit.weight @o : tensor<8x8xf32>
  %bo = lowbit.weight @ob : tensor<8xf32>
  // FOLD: lowbit.transform_weight %{{.+}} dim = 0 by hadamard<block = 8, seed = 5> : tensor<8xf32>
  %o = lowbit.linear %a, %wo bias %bo : tensor<8xf32> activation = <f32> : tensor<?x8xf32>, tensor<8x8xf32> -> tensor<?x8xf32>
  %x1 = lowbit.add %x, %o : tensor<?x8xf32>
  %n1 = lowbit.rms_norm %x1, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %wg = lowbit.weight @gate : tensor<12x8xf32>
  %wu = lowbit.weight @up : tensor<12x8xf32>
  %wd = lowbit.weight @down : tensor<8x12xf32>
  %gt = lowbit.linear %n1, %wg activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  %u = lowbit.linear %n1, %wu activation = <f32> : tensor<?x8xf32>, tensor<12x8xf32> -> tensor<?x12xf32>
  // R4: the first half stays, 12 = a Paley order.
  // FOLD: %[[GATED:.+]] = lowbit.gate
  // FOLD-NEXT: %[[R4:.+]] = lowbit.transform %[[GATED]] by hadamard<block = 12, seed = 8> {lowbit.fold = "up"}
  // FOLD: lowbit.transform_weight %{{.+}} by hadamard<block = 12, seed = 8> : tensor<8x12xf32>
  // FOLD: lowbit.linear %[[R4]]
  // FOLD-NOT: lowbit.transform %
  // SOME: lowbit.gate
  // SOME-NEXT: lowbit.transform %{{.+}} by hadamard<block = 12> {lowbit.fold = "up"}
  // SOME-NEXT: lowbit.transform %{{.+}} by hadamard<block = 12, transposed> {lowbit.fold = "down"}
  %gu = lowbit.gate %gt, %u : tensor<?x12xf32>
  %dn = lowbit.linear %gu, %wd activation = <f32> : tensor<?x12xf32>, tensor<8x12xf32> -> tensor<?x8xf32>
  %x2 = lowbit.add %x1, %dn : tensor<?x8xf32>
  %s = lowbit.select_rows %x2, %select : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  // KEEP: %[[T:.+]] = lowbit.transform_weight %[[E:.+]] dim = 1 by hadamard<block = 8, seed = 0> : tensor<16x8xf32>
  // KEEP: lowbit.embedding %{{.+}}, %[[T]]
  // KEEP: lowbit.select_rows
  // KEEP: lowbit.rms_norm
  // KEEP: %[[D:.+]] = lowbit.expand_diagonal
  // KEEP: %[[M1:.+]] = lowbit.transform_weight %[[D]] dim = 0 by hadamard<block = 8, seed = 0>
  // KEEP: %[[M:.+]] = lowbit.transform_weight %[[M1]] dim = 1 by hadamard<block = 8, seed = 0>
  // KEEP: %[[HM:.+]] = lowbit.transform %{{.+}} by dense<general>(%[[M]] : tensor<8x8xf32>)
  // KEEP: lowbit.linear %[[HM]], %[[T]]
  // UNTIE: lowbit.select_rows
  // UNTIE: lowbit.transform_weight %{{.+}} dim = 1 by diagonal(%{{.+}}) : tensor<16x8xf32>
  %nf = lowbit.rms_norm %s, %g eps = 1.0e-5 : tensor<?x8xf32>, tensor<8xf32>
  %h = lowbit.linear %nf, %e activation = <f32> : tensor<?x8xf32>, tensor<16x8xf32> -> tensor<?x16xf32>
  return %h : tensor<?x16xf32>
}
