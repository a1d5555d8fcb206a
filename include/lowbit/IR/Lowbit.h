//===- Lowbit.h - The lowbit dialect ----------------------------*- C++ -*-===//
//
// Everything a pass needs to see of the dialect: operations, attributes and
// the interface of formats. The manual is docs/generated/Dialect.md.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_IR_LOWBIT_H
#define LOWBIT_IR_LOWBIT_H

#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/IntegerFormat.h"
#include "lowbit/Numerics/TrellisFormat.h"
#include "lowbit/Numerics/WeightFormat.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <optional>
#include <string>
#include <vector>

#include "lowbit/IR/LowbitDialect.h.inc"
#include "lowbit/IR/LowbitEnums.h.inc"
#include "lowbit/IR/LowbitInterfaces.h.inc"
#define GET_ATTRDEF_CLASSES
#include "lowbit/IR/LowbitAttrs.h.inc"
#define GET_OP_CLASSES
#include "lowbit/IR/LowbitOps.h.inc"

namespace lowbit {

/// The format of a weight's type, or null where it has none.
FormatInterface getFormat(mlir::Type type);

/// f32, f16 or bf16 as the rooms without MLIR name it.
ElementType getStorageType(mlir::Type elementType);

/// The layout in which a weight of `type` is stored: 16 rows to a tile, the
/// lane width of its format or element type.
LayoutAttr getDefaultLayout(mlir::RankedTensorType type);

} // namespace lowbit

#endif // LOWBIT_IR_LOWBIT_H
