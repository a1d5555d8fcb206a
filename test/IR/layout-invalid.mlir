// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{tile_rows must be 16, 64, 128 or 256, got 8}}
lowbit.parameter @layout_c1 : tensor<4x4xf32> source <"f", "t", offset = 0, bytes = 64> layout <tile_rows = 8, lane_bytes = 4>

// -----

// expected-error @+1 {{lane_bytes must be 2 or 4, got 1}}
lowbit.parameter @layout_c2 : tensor<4x4xf32> source <"f", "t", offset = 0, bytes = 64> layout <tile_rows = 16, lane_bytes = 1>

// -----

// expected-error @+1 {{file and tensor must not be empty}}
lowbit.parameter @source_c1 : tensor<4x4xf32> source <"", "t", offset = 0, bytes = 64>

// -----

// expected-error @+1 {{file must be a name without folders, or a path that starts with / or ./ and has no .., got '../f'}}
lowbit.parameter @source_c1_folder : tensor<4x4xf32> source <"../f", "t", offset = 0, bytes = 64>

// -----

// expected-error @+1 {{offset and bytes must not be negative, got -1 and 64}}
lowbit.parameter @source_c2 : tensor<4x4xf32> source <"f", "t", offset = -1, bytes = 64>
