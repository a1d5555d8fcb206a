// RUN: lowbit-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{requires five positive limits}}
lowbit.plan @plan_c1 limits = [1, 1, 1, 0, 1] scratch = 0 {
}

// -----

lowbit.plan @buffer_c1 limits = [1, 1, 1, 1, 1] scratch = 0 {
  // expected-error @+1 {{requires four byte counts, none negative}}
  lowbit.buffer "x" "arena" bytes = [0, -1, 0, 0] at 0
}

// -----

lowbit.plan @buffer_c2 limits = [1, 1, 1, 1, 1] scratch = 0 {
  // expected-error @+1 {{is of kind input, output, arena, weight or cache, not 'heap'}}
  lowbit.buffer "x" "heap" bytes = [0, 1, 0, 0] at 0
}

// -----

lowbit.plan @buffer_c2_parameter limits = [1, 1, 1, 1, 1] scratch = 0 {
  // expected-error @+1 {{names a parameter if and only if it is a weight}}
  lowbit.buffer "x" "weight" bytes = [0, 1, 0, 0] at 0
}

// -----

lowbit.plan @call_c1 limits = [1, 1, 1, 1, 1] scratch = 0 {
  lowbit.entry rows 1 to 1 width 0 {
    // expected-error @+1 {{has 2 buffers, 1 offsets, 4 byte counts and 1 accesses}}
    lowbit.call @k count "rows" items = [0, 1, 0, 0] buffers = [0, 1] offsets = [0] bytes = [0, 1, 0, 0] access = ["r"]
  }
}

// -----

lowbit.plan @call_c2 limits = [1, 1, 1, 1, 1] scratch = 0 {
  lowbit.entry rows 1 to 1 width 0 {
    // expected-error @+1 {{requires four item counts}}
    lowbit.call @k count "rows" items = [0, 1] buffers = [0] offsets = [0] bytes = [0, 1, 0, 0] access = ["r"]
  }
}
