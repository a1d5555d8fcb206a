// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

func.func @embedding_c1(%ids: tensor<?xi32>, %t: tensor<8x4xf32>) {
  // expected-error @+1 {{requires a table of 5 columns}}
  %0 = lowbit.embedding %ids, %t : tensor<?xi32>, tensor<8x4xf32> -> tensor<?x5xf32>
  return
}

// -----

func.func @rms_norm_c1(%x: tensor<?x4xf32>, %g: tensor<5xf32>) {
  // expected-error @+1 {{requires a gain of 4 elements, got 5}}
  %0 = lowbit.rms_norm %x, %g eps = 1.0e-5 : tensor<?x4xf32>, tensor<5xf32>
  return
}

// -----

func.func @rms_norm_c2(%x: tensor<?x4xf32>, %g: tensor<4xf32>) {
  // expected-error @+1 {{requires a positive eps}}
  %0 = lowbit.rms_norm %x, %g eps = 0.0 : tensor<?x4xf32>, tensor<4xf32>
  return
}

// -----

func.func @linear_c1(%x: tensor<?x4xf32>, %w: tensor<8x5xf32>) {
  // expected-error @+1 {{requires a weight of 8x4}}
  %0 = lowbit.linear %x, %w activation = <f32> : tensor<?x4xf32>, tensor<8x5xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c2(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>, %b: tensor<7xf32>) {
  // expected-error @+1 {{requires a bias of 8 elements, got 7}}
  %0 = lowbit.linear %x, %w bias %b : tensor<7xf32> activation = <f32> : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c3(%x: tensor<?x4xf32>, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{requires a weight with a format}}
  %0 = lowbit.linear %x, %w activation = <i16> : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @linear_c3_float(%x: tensor<?x4xf32>, %w: tensor<8x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>>) {
  // expected-error @+1 {{requires a weight without a format}}
  %0 = lowbit.linear %x, %w activation = <f32> : tensor<?x4xf32>, tensor<8x4xf32, #lowbit.int<2, group = 64, scale = f16, offset = half>> -> tensor<?x8xf32>
  return
}

// -----

// expected-error @+1 {{an activation is f32, i16, i8, i4 or i2, got 'i3'}}
func.func private @activation_c1() attributes {a = #lowbit.activation<i3>}

// -----

// expected-error @+1 {{an activation of 'i4' has a group of 32, 64 or 128, got 0}}
func.func private @activation_c2() attributes {a = #lowbit.activation<i4>}

// -----

// expected-error @+1 {{an activation of 'i8' has no group}}
func.func private @activation_c2_none() attributes {a = #lowbit.activation<i8, group = 32, scale = f16, offset = integer>}

// -----

// expected-error @+1 {{an activation of 'i2' has a group of 32, 64 or 128, got 48}}
func.func private @activation_c2_size() attributes {a = #lowbit.activation<i2, group = 48, scale = f16, offset = integer>}

// -----

// expected-error @+1 {{scale must be f16 or f8E4M3FN, got 'f32'}}
func.func private @activation_c3() attributes {a = #lowbit.activation<i4, group = 32, scale = f32, offset = integer>}

// -----

// expected-error @+1 {{the offset of an activation is integer or stored}}
func.func private @activation_c3_offset() attributes {a = #lowbit.activation<i4, group = 32, scale = f16, offset = half>}

// -----

func.func @slice_c1(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{takes columns 5 to 9 of 8}}
  %0 = lowbit.slice %x at 5 : tensor<?x8xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @rotary_c1(%x: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires at least one frequency}}
  %0 = lowbit.rotary %x, %r frequencies = [] : tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @rotary_c2(%x: tensor<?x9xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires columns divisible by head_dim 4, got 9}}
  %0 = lowbit.rotary %x, %r frequencies = [1.0, 2.0] : tensor<?x9xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c1(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires query and key columns of 4 and 2 equal heads, got 8 and 8}}
  %0 = lowbit.attention %q, %k, %k, %r layer = 0 heads = 4 kv_heads = 2 scale = 1.0 cache = f16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c2(%q: tensor<?x8xf32>, %k: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires kv_heads to divide heads, got 3 and 4}}
  %0 = lowbit.attention %q, %k, %k, %r layer = 0 heads = 4 kv_heads = 3 scale = 1.0 cache = f16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c3(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires a cache of f16, f32, i8, i4 or i2, got 'bf16'}}
  %0 = lowbit.attention %q, %q, %q, %r layer = 0 heads = 4 kv_heads = 4 scale = 1.0 cache = bf16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c4(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires a positive scale}}
  %0 = lowbit.attention %q, %q, %q, %r layer = 0 heads = 4 kv_heads = 4 scale = -1.0 cache = f16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c4_layer(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires a layer of at least 0}}
  %0 = lowbit.attention %q, %q, %q, %r layer = -1 heads = 4 kv_heads = 4 scale = 1.0 cache = f16 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c5(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{with a cache of 'i4' requires a group of 32, 64 or head}}
  %0 = lowbit.attention %q, %q, %q, %r layer = 0 heads = 4 kv_heads = 4 scale = 1.0 cache = i4 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c5_none(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{with a cache of 'i8' requires no group}}
  %0 = lowbit.attention %q, %q, %q, %r layer = 0 heads = 4 kv_heads = 4 scale = 1.0 cache = i8 group = 32 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @attention_c5_size(%q: tensor<?x8xf32>, %r: tensor<?x2xi32>) {
  // expected-error @+1 {{requires a group of 32, 64 or head, got 48}}
  %0 = lowbit.attention %q, %q, %q, %r layer = 0 heads = 4 kv_heads = 4 scale = 1.0 cache = i2 group = 48 : tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @select_rows_c1(%x: tensor<?x8xf32>, %i: tensor<?xi32>) {
  // expected-error @+1 {{requires equal columns, got 8 and 9}}
  %0 = lowbit.select_rows %x, %i : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x9xf32>
  return
}

// -----

func.func @observe_c1(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{requires a name}}
  lowbit.observe %x moments = "none" as [] : tensor<?x8xf32>
  return
}

// -----

func.func @observe_c1_empty(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{requires distinct names, got ""}}
  lowbit.observe %x moments = "none" as ["a", ""] : tensor<?x8xf32>
  return
}

// -----

func.func @observe_c1_twice(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{requires distinct names, got "a" twice}}
  lowbit.observe %x moments = "none" as ["a", "a"] : tensor<?x8xf32>
  return
}

// -----

func.func @observe_c2(%x: tensor<?x8xf32>) {
  // expected-error @+1 {{requires moments none, diagonal or full, got "block"}}
  lowbit.observe %x moments = "block" as ["a"] : tensor<?x8xf32>
  return
}
