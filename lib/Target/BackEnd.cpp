//===- BackEnd.cpp - LLVM from IR to objects and assembly -------*- C++ -*-===//

#include "BackEnd.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <mutex>

using namespace lowbit;

void lowbit::initializeBackends() {
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
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
}

static Error internal(const llvm::Twine &message) {
  return {ExitCode::Internal, message.str()};
}

Result<std::unique_ptr<llvm::TargetMachine>>
lowbit::createMachine(const TargetInfo &target) {
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

Result<std::unique_ptr<llvm::Module>>
lowbit::translateFor(const KernelUnit &unit, llvm::TargetMachine &machine,
                     llvm::LLVMContext &context) {
  std::unique_ptr<llvm::Module> module = translateUnit(unit, context);
  if (!module)
    return internal("kernel " + unit.symbol + " does not translate to LLVM IR");
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : *module)
    if (!function.isDeclaration())
      setStrictAttributes(function, *unit.target);
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (llvm::verifyModule(*module, &stream))
    return internal("kernel " + unit.symbol +
                    " is not valid LLVM IR: " + message);
  return module;
}

void lowbit::setStrictAttributes(llvm::Function &function,
                                 const TargetInfo &target) {
  function.addFnAttr("target-cpu", target.cpu);
  if (!target.features.empty())
    function.addFnAttr("target-features", target.features);
  function.addFnAttr("no-builtins");
  function.addFnAttr("denormal-fp-math", "ieee,ieee");
  function.addFnAttr("no-trapping-math", "true");
  function.setDoesNotThrow();
  function.addFnAttr(llvm::Attribute::NoRecurse);
}

void lowbit::optimize(llvm::Module &module, llvm::TargetMachine &machine) {
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

Result<std::string> lowbit::generate(llvm::Module &module,
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

Status lowbit::dumpCode(const KernelUnit &unit, const llvm::Module &module,
                        llvm::TargetMachine &machine,
                        const EmitOptions &options,
                        llvm::StringRef assemblySuffix) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  if (Status failure = writeDump(options, unit.symbol, "ll", text))
    return failure;
  Result<std::string> assembly = generate(*llvm::CloneModule(module), machine,
                                          llvm::CodeGenFileType::AssemblyFile);
  if (!assembly)
    return assembly.error();
  return writeDump(options, unit.symbol, assemblySuffix, *assembly);
}

Status lowbit::dumpModules(const KernelUnits &units, const EmitOptions &options,
                           llvm::StringRef suffix) {
  for (const KernelUnit &unit : units.units) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    mlir::ModuleOp(unit.module).print(stream);
    if (Status failure = writeDump(options, unit.symbol, suffix, text))
      return failure;
  }
  return {};
}

Status lowbit::compileUnits(const KernelUnits &units,
                            const EmitOptions &options,
                            llvm::function_ref<Status(size_t)> compile) {
  initializeBackends();
  size_t count = units.units.size();
  std::vector<Status> failures(count);
  auto run = [&](size_t i) { failures[i] = compile(i); };
  if (options.jobs > 1) {
    llvm::DefaultThreadPool pool(llvm::hardware_concurrency(options.jobs));
    for (size_t i = 0; i < count; ++i)
      pool.async(run, i);
    pool.wait();
  } else {
    for (size_t i = 0; i < count; ++i)
      run(i);
  }
  for (Status &failure : failures)
    if (failure)
      return failure;
  return {};
}
