//===- KernelCode.cpp - Kernels generated in this process -----------------===//

#include "KernelCode.h"
#include "lowbit/Conversion/KernelFamilies.h"
#include "lowbit/Pipelines/Stage.h"
#include "lowbit/Target/EmitObject.h"
#include "lowbit/Target/LinkObject.h"
#include "mlir/Parser/Parser.h"

using namespace lowbit;
using namespace lowbit::bench;

Result<KernelCode> KernelCode::compile(const std::string &text, Variant variant,
                                       const std::string &dump) {
  mlir::DialectRegistry registry;
  registry.insert<LowbitDialect>();
  registerKernelDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return Error{ExitCode::Internal, "kernel does not parse: " + text};
  KernelCode result;
  for (KernelOp kernel : module->getOps<KernelOp>()) {
    const KernelFamily *family = findKernelFamily(kernel.getFamily());
    if (!family)
      return Error{ExitCode::Internal, "no family " + kernel.getFamily().str()};
    result.scratch[kernel.getSymName().str()] =
        family->scratchBytes ? family->scratchBytes(kernel) : 0;
  }
  std::string pipeline = "builtin.module(convert-lowbit-to-vector{variant=" +
                         std::string(variantName(variant)) + "})";
  if (Status status = runPipeline(*module, pipeline))
    return *status;
  EmitOptions options;
  options.dumpDirectory = dump;
  Result<std::vector<std::string>> objects = emitObjects(*module, options);
  if (!objects)
    return objects.error();
  Result<std::string> linked = linkObjects(*objects);
  if (!linked)
    return linked.error();
  Result<CodeObject> code = CodeObject::load(bytesOf(*linked), "lowbit-bench");
  if (!code)
    return code.error();
  result.code = std::move(*code);
  for (const auto &[name, bytes] : result.scratch) {
    Result<KernelFunction> function =
        chooseKernel(result.code.kernels(), name, variant, "lowbit-bench");
    if (!function)
      return function.error();
    result.functions[name] = *function;
  }
  return result;
}

Result<KernelCall> KernelCall::make(const KernelCode &code,
                                    const std::string &name, int threads) {
  KernelCall call;
  call.function = code.function(name);
  for (int thread = 0; thread < threads; ++thread) {
    Result<Memory> memory =
        Memory::allocate(code.scratchBytes(name), "scratch of " + name);
    if (!memory)
      return memory.error();
    call.scratch.push_back(std::move(*memory));
  }
  return call;
}
