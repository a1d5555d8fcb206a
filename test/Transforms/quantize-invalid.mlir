// Options that do not exist or do not go together are refused before the module is looked at.
// RUN: not lowbit-opt %s --lowbit-quantize 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int9-g64" 2>&1 | FileCheck %s --check-prefix=BITS
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g48" 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64-half-stored" 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=best" 2>&1 | FileCheck %s --check-prefix=SOLVER
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 damp=0.5" 2>&1 | FileCheck %s --check-prefix=DAMP
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=gptq order=rows" 2>&1 | FileCheck %s --check-prefix=ORDER
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=gptq scales=gptq" 2>&1 | FileCheck %s --check-prefix=SCALES
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=gptq damp=-1" 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: not lowbit-opt %s --lowbit-quantize="format=trellis2 solver=search" 2>&1 | FileCheck %s --check-prefix=TRELLIS
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=viterbi" 2>&1 | FileCheck %s --check-prefix=VITERBI
// RUN: not lowbit-opt %s --lowbit-quantize="format=trellis1+2 solver=viterbi" 2>&1 | FileCheck %s --check-prefix=STREAMS
// RUN: not lowbit-opt %s --lowbit-quantize="format=trellis5 solver=viterbi" 2>&1 | FileCheck %s --check-prefix=RATE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 solver=given" 2>&1 | FileCheck %s --check-prefix=GIVEN
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 file=x" 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 activation=f32" 2>&1 | FileCheck %s --check-prefix=ACTIVATION
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 activation=i4" 2>&1 | FileCheck %s --check-prefix=ACTIVATION-GROUP
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 activation=i4-g32-e4m3-f16" 2>&1 | FileCheck %s --check-prefix=ACTIVATION-TWICE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 roles=lm_head" 2>&1 | FileCheck %s --check-prefix=ROLE
// RUN: not lowbit-opt %s --lowbit-quantize="format=int4-g64 first-layer=3 last-layer=2" 2>&1 | FileCheck %s --check-prefix=RANGE
// RUN: not lowbit-opt %s --lowbit-set-cache="type=i3" 2>&1 | FileCheck %s --check-prefix=CACHE
// RUN: not lowbit-opt %s --lowbit-set-cache="type=i4-g48" 2>&1 | FileCheck %s --check-prefix=CACHE-GROUP
// RUN: not lowbit-opt %s --lowbit-set-cache="type=i8-g32" 2>&1 | FileCheck %s --check-prefix=CACHE-BYTES
// RUN: not lowbit-opt %s --lowbit-verify-stage="stage=packed" 2>&1 | FileCheck %s --check-prefix=STAGE

// NONE: lowbit-quantize needs a format, int{1…8}-{g16,g32,g64,g128,row}
// BITS: format "int9-g64" is not possible: bits must be 1 to 8
// GROUP: format "int4-g48" is not possible: group must be
// TWICE: format "int4-g64-half-stored" is not known
// SOLVER: solver "best" is not known, must be nearest, search, gptq, viterbi or given
// DAMP: option damp does not go with solver search: only solver gptq feeds errors back
// ORDER: order "rows" is not known, must be activation or columns
// SCALES: scales "gptq" is not known, must be search or nearest
// NEGATIVE: damp -1.0{{0*}} must be from 0 to 10
// TRELLIS: solver "search" does not go with format trellis2: it is made by viterbi
// VITERBI: solver "viterbi" does not go with format int4-g64: it is made by
// STREAMS: format "trellis1+2" is not possible: streams must be ordered by bits, most first
// RATE: format "trellis5" is not known, must be
// GIVEN: solver given needs a file: codes and scales are read from it
// FILE: file "x" does not go with solver search: only solver given reads codes
// ACTIVATION: activation f32 does not go with format int4-g64: integer weights are multiplied with integers
// ACTIVATION-GROUP: activation "i4" is not known, must be i16, i8 or i{4,2}-{g32,g64,g128}[-f16|-e4m3][-integer|-stored]
// ACTIVATION-TWICE: activation "i4-g32-e4m3-f16" is not known
// ROLE: role "lm_head" is not known, must be embedding, head,
// RANGE: last-layer 2 does not go with first-layer 3: the range is empty
// CACHE: cache type "i3" is not known, must be f16, f32, i8 or i{4,2}[-g32|-g64|-head]
// CACHE-GROUP: cache type "i4-g48" is not known, must be
// CACHE-BYTES: cache type "i8-g32" is not known, must be
// STAGE: stage 'packed' is not known, must be imported,
module {}
