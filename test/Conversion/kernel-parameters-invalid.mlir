// RUN: lowbit-opt %s --convert-lowbit-to-vector --split-input-file --verify-diagnostics

// expected-error @+1 {{parameter 'b_stride' of kernel 'missing' of family 'add': is missing}}
lowbit.kernel @missing family "add" {columns = 7, a_offset = 0, a_stride = 7, b_offset = 0}

// -----

// expected-error @+1 {{parameter 'columns' of kernel 'no_columns' of family 'gate': is 0, expected 1 to 1099511627776}}
lowbit.kernel @no_columns family "gate" {columns = 0, gate_offset = 0, gate_stride = 7, up_offset = 0, up_stride = 7}

// -----

// expected-error @+1 {{parameter 'columns' of kernel 'wrong_kind' of family 'select_rows': expected an integer}}
lowbit.kernel @wrong_kind family "select_rows" {columns = "7", x_offset = 0, x_stride = 7}

// -----

// expected-error @+1 {{parameter 'x_offset' of kernel 'outside' of family 'rms_norm': 7 columns from 2 do not fit in a row of 8}}
lowbit.kernel @outside family "rms_norm" {columns = 7, eps = 1.0e-5 : f32, x_offset = 2, x_stride = 8}

// -----

// expected-error @+1 {{parameter 'eps' of kernel 'wide_eps' of family 'rms_norm': expected a finite f32}}
lowbit.kernel @wide_eps family "rms_norm" {columns = 7, eps = 1.0e-5 : f64, x_offset = 0, x_stride = 7}

// -----

// expected-error @+1 {{parameter 'prologue' of kernel 'prologue' of family 'quantize_rows': is 'softmax', expected none, rms_norm or gate}}
lowbit.kernel @prologue family "quantize_rows" {prologue = "softmax", columns = 7, planes = 2, sum_group = 32, x_offset = 0, x_stride = 7}

// -----

// expected-error @+1 {{parameter 'sum_group' of kernel 'group' of family 'quantize_rows': expected 16, 32, 64, 128 or 512}}
lowbit.kernel @group family "quantize_rows" {prologue = "none", columns = 7, planes = 2, sum_group = 48, x_offset = 0, x_stride = 7}

// -----

// expected-error @+1 {{parameter 'planes' of kernel 'planes' of family 'quantize_rows': is 3, expected 1 to 2}}
lowbit.kernel @planes family "quantize_rows" {prologue = "none", columns = 7, planes = 3, sum_group = 32, x_offset = 0, x_stride = 7}

// -----

// expected-error @+1 {{parameter 'frequencies' of kernel 'fast' of family 'rotary_table': holds 2.000000, expected 0 to 1.500000}}
lowbit.kernel @fast family "rotary_table" {frequencies = array<f32: 1.0, 2.0>}

// -----

// expected-error @+1 {{parameter 'frequencies' of kernel 'none' of family 'rotary_table': is empty}}
lowbit.kernel @none family "rotary_table" {frequencies = array<f32>}

// -----

// expected-error @+1 {{parameter 'type' of kernel 'vector' of family 'embedding': expected a static matrix}}
lowbit.kernel @vector family "embedding" {type = tensor<7xf32>}

// -----

// expected-error @+1 {{parameter 'type' of kernel 'kind' of family 'embedding': is of no format that can be gathered from, or too large}}
lowbit.kernel @kind family "embedding" {type = tensor<7x7xf64>}

// -----

// expected-error @+1 {{parameter 'page_bytes' of kernel 'page' of family 'attention': is 8192, one layer takes 16384}}
lowbit.kernel @page family "attention" {heads = 4, kv_heads = 2, head_dim = 32, scale = 0.25 : f32, q_offset = 0, q_stride = 128, cache = f16, page_bytes = 8192, pages_per_sequence = 2}

// -----

// expected-error @+1 {{parameter 'heads' of kernel 'heads' of family 'attention': is no multiple of kv_heads}}
lowbit.kernel @heads family "attention" {heads = 5, kv_heads = 2, head_dim = 32, scale = 0.25 : f32, q_offset = 0, q_stride = 160, cache = f16, page_bytes = 16384, pages_per_sequence = 2}

// -----

// expected-error @+1 {{parameter 'cache' of kernel 'cache' of family 'attention': expected f16, f32, i8, i4 or i2}}
lowbit.kernel @cache family "attention" {heads = 4, kv_heads = 2, head_dim = 32, scale = 0.25 : f32, q_offset = 0, q_stride = 128, cache = bf16, page_bytes = 32768, pages_per_sequence = 2}

// -----

// expected-error @+1 {{parameter 'cache_group' of kernel 'group' of family 'attention': expected f16, f32, i8, i4 or i2, these two with groups of 32, 64 or 0 (the head)}}
lowbit.kernel @group family "attention" {heads = 4, kv_heads = 2, head_dim = 32, scale = 0.25 : f32, q_offset = 0, q_stride = 128, cache = i4, cache_group = 16, page_bytes = 32768, pages_per_sequence = 2}

// -----

// expected-error @+1 {{parameter 'x_offset' of kernel 'moments' of family 'second_moments': 16 columns from 1 do not fit in a row of 16}}
lowbit.kernel @moments family "second_moments" {columns = 16, x_offset = 1, x_stride = 16}

// -----

// expected-error @+1 {{parameter 'head_dim' of kernel 'odd_head' of family 'rotary': expected an even divisor of the columns}}
lowbit.kernel @odd_head family "rotary" {columns = 9, head_dim = 3, x_offset = 0, x_stride = 9}

// -----

// expected-error @+1 {{parameter 'x_stride' of kernel 'diagonal' of family 'diagonal_moments': is missing}}
lowbit.kernel @diagonal family "diagonal_moments" {columns = 9, x_offset = 0}
