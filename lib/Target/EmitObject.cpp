//===- EmitObject.cpp - From kernel functions to ELF objects ----*- C++ -*-===//

#include "lowbit/Target/EmitObject.h"
#include "LowerKernel.h"
#include "mlir/IR/Threading.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <ctime>
#include <mutex>

using namespace lowbit;

static void initializeBackends() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
}

static Error internal(const llvm::Twine &message) {
  return {ExitCode::Internal, message.str()};
}

static Result<std::unique_ptr<llvm::TargetMachine>>
createMachine(const TargetInfo &target) {
  initializeBackends();
  llvm::Triple triple(target.triple);
  std::string message;
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!backend)
    return internal("no back end for " + target.triple + ": " + message);
  llvm::TargetOptions options;
  // a·b + c stays two roundings unless the IR says llvm.fma.
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return internal("no target machine for " + target.triple);
  return machine;
}

/// CPU of the scheduling model and of the costs; it adds no instructions.
static llvm::StringRef tuneCpu(const TargetInfo &target) {
  if (target.hasAvx512Vnni)
    return "x86-64-v4";
  return target.hasAvx2 ? "x86-64-v3" : target.cpu;
}

/// What every kernel function carries, whatever MLIR made of it.
static void setAttributes(llvm::Function &function, const TargetInfo &target) {
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("tune-cpu", tuneCpu(target));
  if (!target.features.empty())
    function.addFnAttr("target-features", target.features);
  function.addFnAttr("no-builtins");
  function.addFnAttr("denormal-fp-math", "ieee,ieee");
  function.addFnAttr("no-trapping-math", "true");
  if (target.vectorBits > 128) {
    std::string bits = std::to_string(target.vectorBits);
    function.addFnAttr("prefer-vector-width", bits);
    function.addFnAttr("min-legal-vector-width", bits);
  }
  function.setDoesNotThrow();
  function.addFnAttr(llvm::Attribute::NoRecurse);
  function.setVisibility(llvm::GlobalValue::HiddenVisibility);
  function.setDSOLocal(true);
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  tuning.LoopInterleaving = false;
  llvm::PassBuilder passes(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager cgscc;
  llvm::ModuleAnalysisManager modules;
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(cgscc);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, cgscc, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

static Result<std::string> generate(llvm::Module &module,
                                    llvm::TargetMachine &machine,
                                    llvm::CodeGenFileType type) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return internal("the back end cannot write " + module.getName());
  passes.run(module);
  return bytes.str().str();
}

static Status dumpCode(const KernelUnit &unit, const llvm::Module &module,
                       llvm::TargetMachine &machine,
                       const EmitOptions &options) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  if (Status failure = writeDump(options, unit.symbol, "ll", text))
    return failure;
  Result<std::string> assembly = generate(*llvm::CloneModule(module), machine,
                                          llvm::CodeGenFileType::AssemblyFile);
  if (!assembly)
    return assembly.error();
  return writeDump(options, unit.symbol, "s", *assembly);
}

/// CPU seconds so far: of this thread, or of the process.
static double cpuSeconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

namespace {
/// Adds what has passed on this thread since the last lap.
class Laps {
public:
  void end(double &seconds) {
    double now = cpuSeconds(CLOCK_THREAD_CPUTIME_ID);
    seconds += now - last;
    last = now;
  }

private:
  double last = cpuSeconds(CLOCK_THREAD_CPUTIME_ID);
};
} // namespace

/// LLVM IR to an object for one unit.
static Result<std::string> compileUnit(const KernelUnit &unit,
                                       const EmitOptions &options,
                                       EmitSeconds &seconds) {
  Laps laps;
  Result<std::unique_ptr<llvm::TargetMachine>> machine =
      createMachine(*unit.target);
  if (!machine)
    return machine.error();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateUnit(unit, context);
  if (!module)
    return internal("kernel " + unit.symbol + " does not translate to LLVM IR");
  module->setTargetTriple(llvm::Triple(unit.target->triple));
  module->setDataLayout((*machine)->createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::Function &function : *module)
    if (!function.isDeclaration())
      setAttributes(function, *unit.target);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(*module, &stream))
    return internal("kernel " + unit.symbol +
                    " is not valid LLVM IR: " + message);
  laps.end(seconds.translate);
  optimize(*module, **machine);
  laps.end(seconds.optimize);
  if (!options.dumpDirectory.empty())
    if (Status failure = dumpCode(unit, *module, **machine, options))
      return *failure;
  Result<std::string> object =
      generate(*module, **machine, llvm::CodeGenFileType::ObjectFile);
  laps.end(seconds.select);
  return object;
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

static Status dumpModules(KernelUnits &units, const EmitOptions &options,
                          llvm::StringRef suffix) {
  for (KernelUnit &unit : units.units) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    unit.module.print(stream);
    if (Status failure = writeDump(options, unit.symbol, suffix, text))
      return failure;
  }
  return {};
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
  double start = cpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
  if (Status failure = lowerToLLVM(*units))
    return *failure;
  double lowered = cpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - start;
  if (dump)
    if (Status failure = dumpModules(*units, options, "llvm.mlir"))
      return *failure;

  initializeBackends();
  size_t count = units->units.size();
  std::vector<std::string> objects(count);
  std::vector<Status> failures(count);
  std::vector<EmitSeconds> seconds(count);
  auto compile = [&](size_t i) {
    Result<std::string> object =
        compileUnit(units->units[i], options, seconds[i]);
    if (object)
      objects[i] = std::move(*object);
    else
      failures[i] = object.error();
  };
  if (options.jobs > 1) {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
    for (size_t i = 0; i < count; ++i)
      pool.async(compile, i);
    pool.wait();
  } else {
    for (size_t i = 0; i < count; ++i)
      compile(i);
  }
  for (Status &failure : failures)
    if (failure)
      return *failure;
  if (options.seconds) {
    options.seconds->lower += lowered;
    for (const EmitSeconds &unit : seconds) {
      options.seconds->translate += unit.translate;
      options.seconds->optimize += unit.optimize;
      options.seconds->select += unit.select;
    }
  }
  Result<std::string> table =
      emitTable(*units, getVariants(options.target).front());
  if (!table)
    return table.error();
  objects.push_back(std::move(*table));
  return objects;
}
