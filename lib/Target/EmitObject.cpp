//===- EmitObject.cpp - From kernel functions to ELF objects ----*- C++ -*-===//

#include "lowbit/Target/EmitObject.h"
#include "BackEnd.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/Support/FileSystem.h"

using namespace lowbit;

/// CPU of the scheduling model and of the costs; it adds no instructions.
static llvm::StringRef tuneCpu(const TargetInfo &target) {
  if (target.hasAvx512Vnni)
    return "x86-64-v4";
  return target.hasAvx2 ? "x86-64-v3" : target.cpu;
}

/// What a kernel function of a CPU carries beside that.
static void setAttributes(llvm::Function &function, const TargetInfo &target) {
  function.addFnAttr("tune-cpu", tuneCpu(target));
  if (target.vectorBits > 128) {
    std::string bits = std::to_string(target.vectorBits);
    function.addFnAttr("prefer-vector-width", bits);
    function.addFnAttr("min-legal-vector-width", bits);
  }
  function.setVisibility(llvm::GlobalValue::HiddenVisibility);
  function.setDSOLocal(true);
}

/// LLVM IR to an object for one unit.
static Result<std::string> compileUnit(const KernelUnit &unit,
                                       const EmitOptions &options) {
  Result<std::unique_ptr<llvm::TargetMachine>> machine =
      createMachine(*unit.target);
  if (!machine)
    return machine.error();
  llvm::LLVMContext context;
  auto module = translateFor(unit, **machine, context);
  if (!module)
    return module.error();
  (*module)->setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::Function &function : **module)
    if (!function.isDeclaration())
      setAttributes(function, *unit.target);
  optimize(**module, **machine);
  if (!options.dumpDirectory.empty())
    if (Status failure = dumpCode(unit, **module, **machine, options, "s"))
      return *failure;
  return generate(**module, **machine, llvm::CodeGenFileType::ObjectFile);
}

/// The object that holds `lowbit_kernels` (Spec.md, 5.1).
static Result<std::string> emitTable(const KernelUnits &units,
                                     const TargetInfo &target) {
  Result<std::unique_ptr<llvm::TargetMachine>> machine = createMachine(target);
  if (!machine)
    return machine.error();
  llvm::LLVMContext context;
  llvm::Module module("lowbit_kernels", context);
  module.setTargetTriple(llvm::Triple(target.triple));
  module.setDataLayout((*machine)->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  llvm::Type *i32 = llvm::Type::getInt32Ty(context);
  auto number = [&](uint64_t value) {
    return llvm::ConstantInt::get(i32, value);
  };
  llvm::StringMap<llvm::GlobalVariable *> names;
  auto nameOf = [&](const std::string &name) {
    llvm::GlobalVariable *&global = names[name];
    if (!global) {
      llvm::Constant *text = llvm::ConstantDataArray::getString(context, name);
      global = new llvm::GlobalVariable(module, text->getType(), true,
                                        llvm::GlobalValue::PrivateLinkage, text,
                                        "name");
    }
    return global;
  };
  auto *functionType =
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), false);
  std::vector<llvm::Constant *> entries;
  for (const KernelUnit &unit : units.units) {
    auto *function = llvm::Function::Create(
        functionType, llvm::GlobalValue::ExternalLinkage, unit.symbol, module);
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    entries.push_back(llvm::ConstantStruct::getAnon(
        {nameOf(unit.name), number(unit.target->variant), number(0),
         function}));
  }
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *entryType = llvm::StructType::get(pointer, i32, i32, pointer);
  auto *array = llvm::ConstantArray::get(
      llvm::ArrayType::get(entryType, entries.size()), entries);
  auto *list = new llvm::GlobalVariable(module, array->getType(), true,
                                        llvm::GlobalValue::PrivateLinkage,
                                        array, "entries");
  auto *table =
      llvm::ConstantStruct::getAnon({number(1), number(entries.size()), list});
  new llvm::GlobalVariable(module, table->getType(), true,
                           llvm::GlobalValue::ExternalLinkage, table,
                           "lowbit_kernels");
  return generate(module, **machine, llvm::CodeGenFileType::ObjectFile);
}

Result<std::vector<std::string>>
lowbit::emitObjects(mlir::ModuleOp module, const EmitOptions &options) {
  Result<KernelUnits> units = splitKernels(module, options);
  if (!units)
    return units.error();
  bool dump = !options.dumpDirectory.empty();
  if (dump) {
    if (auto error = llvm::sys::fs::create_directories(options.dumpDirectory))
      return Error{ExitCode::IO,
                   options.dumpDirectory + ": " + error.message()};
    if (Status failure = dumpModules(*units, options, "vector.mlir"))
      return *failure;
  }
  if (Status failure = lowerToLLVM(*units))
    return *failure;
  if (dump)
    if (Status failure = dumpModules(*units, options, "llvm.mlir"))
      return *failure;

  std::vector<std::string> objects(units->units.size());
  auto compile = [&](size_t i) -> Status {
    Result<std::string> object = compileUnit(units->units[i], options);
    if (!object)
      return object.error();
    objects[i] = std::move(*object);
    return {};
  };
  if (Status failure = compileUnits(*units, options, compile))
    return *failure;
  Result<std::string> table =
      emitTable(*units, getVariants(options.target).front());
  if (!table)
    return table.error();
  objects.push_back(std::move(*table));
  return objects;
}
