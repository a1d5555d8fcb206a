//===- LowerKernel.cpp - A kernel function becomes LLVM IR ------*- C++ -*-===//

#include "LowerKernel.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace lowbit;
using namespace mlir;

void lowbit::registerKernelDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, cf::ControlFlowDialect,
                  func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

static Error unsupported(func::FuncOp function, const llvm::Twine &what) {
  return {ExitCode::Unsupported,
          ("kernel function '" + function.getSymName() + "': " + what).str()};
}

/// The signature of Spec.md, 5.1.
static bool hasKernelAbi(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = IntegerType::get(context, 64);
  return function.getFunctionType() ==
             FunctionType::get(context, {pointer, i64, i64, i64, pointer},
                               {}) &&
         !function.isExternal();
}

/// Reads name and variant of a kernel function.
static Result<KernelUnit> describe(func::FuncOp function,
                                   const EmitOptions &options) {
  if (!hasKernelAbi(function))
    return unsupported(function,
                       "expected a body and (ptr, i64, i64, i64, ptr) -> ()");
  // The name is an ELF symbol and, in a dump, part of a file's name.
  for (char character : function.getSymName())
    if (!llvm::isAlnum(character) && !llvm::is_contained("_.-", character))
      return unsupported(function, "its name may hold letters, digits, '_', "
                                   "'.' and '-' only");
  auto name = function->getAttrOfType<StringAttr>(kernelNameAttr);
  auto variant = function->getAttrOfType<IntegerAttr>(kernelVariantAttr);
  if (!name || !variant)
    return unsupported(function, "expected attributes '" + kernelNameAttr +
                                     "' and '" + kernelVariantAttr + "'");
  for (const TargetInfo &target : getVariants(options.target))
    if (target.variant == variant.getValue().getZExtValue())
      return KernelUnit{function.getSymName().str(), name.str(), &target, {}};
  return unsupported(function, "target " + options.target + " has no variant " +
                                   std::to_string(variant.getInt()));
}

Result<KernelUnits> lowbit::splitKernels(ModuleOp module,
                                         const EmitOptions &options) {
  if (getVariants(options.target).empty())
    return Error{ExitCode::Unsupported,
                 "target '" + options.target +
                     "': unknown; known are x86_64 and aarch64"};
  DialectRegistry registry;
  registerKernelDialects(registry);
  module.getContext()->appendDialectRegistry(registry);
  for (llvm::StringRef dialect : registry.getDialectNames())
    module.getContext()->getOrLoadDialect(dialect);

  KernelUnits result{ModuleOp::create(module.getLoc()), {}};
  OpBuilder builder(result.modules->getBodyRegion());
  llvm::StringSet<> entries;
  for (auto function : module.getOps<func::FuncOp>()) {
    Result<KernelUnit> unit = describe(function, options);
    if (!unit)
      return unit.error();
    std::string entry = unit->name + "." + unit->target->name.str();
    if (!entries.insert(entry).second)
      return unsupported(function, "a second entry '" + entry + "'");
    unit->module = ModuleOp::create(builder, function.getLoc());
    unit->module.getBody()->push_back(function->clone());
    // The constants that it reads come along.
    llvm::StringSet<> constants;
    function.walk([&](LLVM::AddressOfOp use) {
      auto constant = SymbolTable::lookupNearestSymbolFrom<LLVM::GlobalOp>(
          use, use.getGlobalNameAttr());
      if (constant && constants.insert(constant.getSymName()).second)
        unit->module.getBody()->push_back(constant->clone());
    });
    result.units.push_back(std::move(*unit));
  }
  return result;
}

Status lowbit::lowerToLLVM(KernelUnits &units) {
  PassManager manager(units.modules->getContext());
  manager.enableVerifier(true);
  OpPassManager &unit = manager.nest<ModuleOp>();
  unit.addPass(createCanonicalizerPass());
  unit.addPass(createCSEPass());
  unit.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions vectorOptions;
  // Float sums keep their order; index arithmetic may be 32 bits wide only
  // where it is proven, which the families do themselves.
  vectorOptions.reassociateFPReductions = false;
  vectorOptions.force32BitVectorIndices = false;
  unit.addPass(createConvertVectorToLLVMPass(vectorOptions));
  unit.addPass(createConvertMathToLLVMPass());
  unit.addPass(createArithToLLVMConversionPass());
  unit.addPass(createConvertControlFlowToLLVMPass());
  unit.addPass(createConvertFuncToLLVMPass());
  unit.addPass(createUBToLLVMConversionPass());
  unit.addPass(createReconcileUnrealizedCastsPass());
  unit.addPass(createCanonicalizerPass());
  unit.addPass(createCSEPass());
  if (failed(manager.run(*units.modules)))
    return Error{ExitCode::Internal,
                 "kernels do not lower to LLVM; see the diagnostics above"};
  return {};
}

std::unique_ptr<llvm::Module>
lowbit::translateUnit(const KernelUnit &unit, llvm::LLVMContext &context) {
  return translateModuleToLLVMIR(unit.module, context, unit.symbol);
}

Status lowbit::writeDump(const EmitOptions &options, llvm::StringRef name,
                         llvm::StringRef suffix, llvm::StringRef text) {
  std::string path = options.dumpDirectory + "/" + (name + "." + suffix).str();
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (!error) {
    stream << text;
    stream.close();
    error = stream.error();
    stream.clear_error();
  }
  if (error)
    return Error{ExitCode::IO, path + ": " + error.message()};
  return {};
}
