//===- LowbitOps.td - All operations of the dialect --------*- tablegen -*-===//
#ifndef LOWBIT_IR_LOWBITOPS_TD
#define LOWBIT_IR_LOWBITOPS_TD

include "lowbit/IR/LowbitParameterOps.td"
include "lowbit/IR/LowbitGraphOps.td"
include "lowbit/IR/LowbitPlanOps.td"

#endif // LOWBIT_IR_LOWBITOPS_TD
