//===- TinyModule.h - A model of one layer, in a string ---------*- C++ -*-===//
#ifndef LOWBIT_TEST_REFERENCE_TINYMODULE_H
#define LOWBIT_TEST_REFERENCE_TINYMODULE_H

#include "lowbit/Reference/Interpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

namespace lowbit {

/// A model of 5 tokens and 4 columns: embedding, attention with an i8 cache on
/// turned keys, an int4 head with int16 activations.
constexpr const char *tinyModule = R"mlir(
lowbit.parameter @table : tensor<5x4xf32> init {
  %0 = arith.constant dense<[[0.5, -1.0, 0.25, 2.0], [1.5, 0.125, -0.75, 0.5],
    [-2.0, 1.0, 0.0, 0.5], [0.75, 0.5, -1.5, 1.0], [0.1, 0.2, 0.3, -0.4]]> : tensor<5x4xf32>
  lowbit.yield %0 : tensor<5x4xf32>
}
lowbit.parameter @head : tensor<5x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>> init {
  %0 = lowbit.weight @table : tensor<5x4xf32>
  %1 = lowbit.quantize %0 solver "nearest" : tensor<5x4xf32> -> tensor<5x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
  lowbit.yield %1 : tensor<5x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
}
func.func @forward(%ids: tensor<?xi32>, %rows: tensor<?x2xi32>, %select: tensor<?xi32>) -> tensor<?x5xf32> {
  %0 = lowbit.weight @table : tensor<5x4xf32>
  %1 = lowbit.embedding %ids, %0 : tensor<?xi32>, tensor<5x4xf32> -> tensor<?x4xf32>
  %2 = lowbit.rotary %1, %rows frequencies = [1.0] : tensor<?x4xf32>, tensor<?x2xi32>
  %3 = lowbit.attention %2, %2, %1, %rows layer = 0 heads = 2 kv_heads = 2 scale = 0.5 cache = i8 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x2xi32>
  %4 = lowbit.select_rows %3, %select : tensor<?x4xf32>, tensor<?xi32> -> tensor<?x4xf32>
  %5 = lowbit.weight @head : tensor<5x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>>
  %6 = lowbit.linear %4, %5 activation = <i16> : tensor<?x4xf32>, tensor<5x4xf32, #lowbit.int<4, group = 32, scale = f16, offset = half>> -> tensor<?x5xf32>
  return %6 : tensor<?x5xf32>
}
)mlir";

/// A context, a parsed module and an interpreter on it.
struct TinyModel {
  explicit TinyModel(const InterpreterOptions &options = {},
                     const char *text = tinyModule)
      : module(parse(context, text)), interpreter(*module, bytes, options) {}

  static mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context,
                                                 const char *text) {
    context.loadDialect<LowbitDialect, mlir::arith::ArithDialect,
                        mlir::func::FuncDialect>();
    return mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  NoParameterBytes bytes;
  Interpreter interpreter;
};

} // namespace lowbit

#endif // LOWBIT_TEST_REFERENCE_TINYMODULE_H
