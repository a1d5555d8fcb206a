// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

func.func @hadamard_c1(%x: tensor<?x172xf32>) {
  // expected-error @+1 {{there is no Hadamard matrix of order 172}}
  %0 = lowbit.transform %x by hadamard<block = 172> : tensor<?x172xf32> -> tensor<?x172xf32>
  return
}

// -----

func.func @hadamard_seed(%x: tensor<?x4xf32>) {
  // expected-error @+1 {{seed must not be negative}}
  %0 = lowbit.transform %x by hadamard<block = 4, seed = -1> : tensor<?x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @hadamard_c2(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{has a block of 4, which does not divide 10 columns}}
  %0 = lowbit.transform %x by hadamard<block = 4> : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @signs_c1(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{block must be from 1 to}}
  %0 = lowbit.transform %x by signs<block = 0, seed = 1> : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @signs_c2(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{bits of 10 signs are 3 hexadecimal digits without further bits, got '114'}}
  %0 = lowbit.transform %x by signs<block = 10, bits = "114"> : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @signs_c3(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{has a block of 4, which does not divide 10 columns}}
  %0 = lowbit.transform %x by signs<block = 4, seed = 1> : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @diagonal_c1(%x: tensor<?x10xf32>, %p: tensor<10x10xf32>) {
  // expected-error @+1 {{that takes one vector}}
  %0 = lowbit.transform %x by diagonal(%p : tensor<10x10xf32>) : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @dense_c1(%x: tensor<?x10xf32>, %p: tensor<10x5xf32>) {
  // expected-error @+1 {{that takes one square matrix}}
  %0 = lowbit.transform %x by dense<general>(%p : tensor<10x5xf32>) : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @kronecker_c1(%x: tensor<?x10xf32>, %p: tensor<5x5xf32>) {
  // expected-error @+1 {{that takes two square matrices}}
  %0 = lowbit.transform %x by kronecker<general>(%p : tensor<5x5xf32>) : tensor<?x10xf32> -> tensor<?x10xf32>
  return
}

// -----

func.func @gather_c1(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{run 8, 3 is not within 10 columns}}
  %0 = lowbit.transform %x by gather<columns = 10, runs = [8, 3]> : tensor<?x10xf32> -> tensor<?x3xf32>
  return
}

// -----

func.func @gather_c1_columns(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{columns must be from 1 to 16777216, got -5}}
  %0 = lowbit.transform %x by gather<columns = -5, runs = [-1, 4]> : tensor<?x10xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @gather_c1_many(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{columns must be from 1 to 16777216, got 1152921504606846976}}
  %0 = lowbit.transform %x by gather<columns = 1152921504606846976, runs = [-1, 4]> : tensor<?x10xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @gather_twice(%x: tensor<?x10xf32>) {
  // expected-error @+1 {{expected '>' behind averaged}}
  %0 = lowbit.transform %x by gather<columns = 10, runs = [8, 2], averaged, averaged> : tensor<?x10xf32> -> tensor<?x2xf32>
  return
}

// -----

func.func @gather_c2(%x: tensor<?x11xf32>) {
  // expected-error @+1 {{that takes rows of 10 columns, got 11}}
  %0 = lowbit.transform %x by gather<columns = 10, runs = [8, 2]> : tensor<?x11xf32> -> tensor<?x2xf32>
  return
}

// -----

func.func @transform_c1(%x: tensor<?x8xf32>, %p: tensor<8xf32>) {
  // expected-error @+1 {{that takes no matrices, got 1}}
  %0 = lowbit.transform %x by hadamard<block = 8>(%p : tensor<8xf32>) : tensor<?x8xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @transform_c2(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{gives 8 columns, the result is 'tensor<?x9xf32>'}}
  %0 = lowbit.transform %x by hadamard<block = 8> : tensor<?x8xf32> -> tensor<?x9xf32>
  return
}

// -----

func.func @transform_weight_c1(%b: tensor<8xf32>) {
  // expected-error @+1 {{requires a vector or a matrix and one of its dimensions}}
  %0 = lowbit.transform_weight %b dim = 1 by hadamard<block = 8> : tensor<8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @transform_weight_c2(%b: tensor<9xf32>) {
  // expected-error @+1 {{has a block of 8, which does not divide 9 columns}}
  %0 = lowbit.transform_weight %b dim = 0 by hadamard<block = 8> : tensor<9xf32> -> tensor<9xf32>
  return
}

// -----

func.func @transform_weight_c3(%w: tensor<4x8xbf16>) {
  // expected-error @+1 {{gives 'tensor<4x8xf32>', the result is 'tensor<8x4xf32>'}}
  %0 = lowbit.transform_weight %w dim = 1 by hadamard<block = 8> : tensor<4x8xbf16> -> tensor<8x4xf32>
  return
}

// -----

func.func @transpose_c1(%w: tensor<4x8xbf16>) {
  // expected-error @+1 {{does not make 'tensor<8x4xf32>' of 'tensor<4x8xbf16>'}}
  %0 = lowbit.transpose %w : tensor<4x8xbf16> -> tensor<8x4xf32>
  return
}

// -----

func.func @invert_c1(%w: tensor<4x8xf32>) {
  // expected-error @+1 {{requires a vector or a square matrix}}
  %0 = lowbit.invert %w : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @fill_c1() {
  // expected-error @+1 {{requires a finite value}}
  %0 = lowbit.fill 0x7FC00000 : tensor<4xf32>
  return
}

// -----

func.func @expand_diagonal_c1(%v: tensor<4xf32>) {
  // expected-error @+1 {{does not make 'tensor<4x5xf32>' of 'tensor<4xf32>'}}
  %0 = lowbit.expand_diagonal %v : tensor<4xf32> -> tensor<4x5xf32>
  return
}

// -----

func.func @constant_c1() {
  // expected-error @+1 {{requires a dense vector of finite numbers of type 'tensor<2xf32>'}}
  %0 = lowbit.constant dense<[1.0, 0x7F800000]> : tensor<2xf32> -> tensor<2xf32>
  return
}

// -----

func.func @orthonormalize_c1(%w: tensor<4x8xf32>) {
  // expected-error @+1 {{requires a square matrix}}
  %0 = lowbit.orthonormalize %w : tensor<4x8xf32> -> tensor<4x8xf32>
  return
}

// -----

func.func @spread_c1(%w: tensor<4x9xf32>) {
  // expected-error @+1 {{requires a matrix with the 10 columns of a plain gather, got 'tensor<4x9xf32>'}}
  %0 = lowbit.spread %w copies = <columns = 8, runs = [0, 3, 1, 7]> format = <2, group = 32, scale = f16, offset = half> : tensor<4x9xf32>
  return
}

// -----

func.func @spread_c1_plain(%w: tensor<4x9xf32>) {
  // expected-error @+1 {{requires a matrix with the 9 columns of a plain gather}}
  %0 = lowbit.spread %w copies = <columns = 8, runs = [0, 3, 2, 6], averaged> format = <2, group = 32, scale = f16, offset = half> : tensor<4x9xf32>
  return
}

// -----

func.func @spread_c2(%w: tensor<4x9xf32>) {
  // expected-error @+1 {{requires at least 2 bits and scales in f16, got int2-g32-e4m3-half}}
  %0 = lowbit.spread %w copies = <columns = 8, runs = [0, 3, 2, 6]> format = <2, group = 32, scale = f8E4M3FN, offset = half> : tensor<4x9xf32>
  return
}

// -----

func.func @spread_c3(%w: tensor<4x9xf32>) {
  // expected-error @+1 {{side by side in a group of 32, but column 0 is copied to 0 and 8}}
  %0 = lowbit.spread %w copies = <columns = 8, runs = [0, 8, 0, 1]> format = <2, group = 32, scale = f16, offset = half> : tensor<4x9xf32>
  return
}

// -----

func.func @spread_c3_group(%w: tensor<4x33xf32>) {
  // expected-error @+1 {{side by side in a group of 32, but column 31 is copied to 31 and 32}}
  %0 = lowbit.spread %w copies = <columns = 32, runs = [0, 32, 31, 1]> format = <2, group = 32, scale = f16, offset = half> : tensor<4x33xf32>
  return
}
