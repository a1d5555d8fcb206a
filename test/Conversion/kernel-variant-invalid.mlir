// RUN: not lowbit-opt %s --convert-lowbit-to-vector="target=x86_64 variant=neon" 2>&1 | FileCheck %s --check-prefix=X86
// RUN: not lowbit-opt %s --convert-lowbit-to-vector="target=aarch64 variant=avx2" 2>&1 | FileCheck %s --check-prefix=AARCH64
// RUN: not lowbit-opt %s --convert-lowbit-to-vector="target=mips" 2>&1 | FileCheck %s --check-prefix=MIPS
// RUN: lowbit-opt %s --convert-lowbit-to-vector="target=aarch64 variant=portable" | FileCheck %s --check-prefix=FOUND

// X86: error: target 'x86_64' has no variant 'neon'; it has portable, avx2, avx512
// AARCH64: error: target 'aarch64' has no variant 'avx2'; it has portable
// MIPS: error: knows no target 'mips'
// FOUND: func.func @rows
lowbit.kernel @rows family "select_rows" {columns = 7, x_offset = 0, x_stride = 7}
