//===- EmitDevice.cpp - From block programs to PTX and cubin ----*- C++ -*-===//

#include "lowbit/Target/EmitDevice.h"
#include "BackEnd.h"
#include "Ptxas.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"

using namespace lowbit;
using namespace mlir;

/// Shared memory becomes an array of the module, the program's last parameter
/// goes.
static void placeSharedMemory(KernelUnit &unit) {
  auto function = *unit.module.getOps<func::FuncOp>().begin();
  unsigned last = function.getNumArguments() - 1;
  BlockArgument shared = function.getArgument(last);
  int64_t bytes =
      function->getAttrOfType<IntegerAttr>(blockSharedAttr).getInt();
  OpBuilder builder = OpBuilder::atBlockBegin(unit.module.getBody());
  Location location = function.getLoc();
  constexpr unsigned alignment = 16;
  if (bytes > 0) {
    auto array = LLVM::LLVMArrayType::get(builder.getI8Type(), bytes);
    auto global = LLVM::GlobalOp::create(
        builder, location, array, /*isConstant=*/false, LLVM::Linkage::Internal,
        unit.name + "_shared", Attribute(), alignment,
        /*addrSpace=*/3);
    builder.setInsertionPointToStart(&function.getBody().front());
    Value address = LLVM::AddressOfOp::create(builder, location, global);
    shared.replaceAllUsesWith(address);
  } else {
    builder.setInsertionPointToStart(&function.getBody().front());
    Value none = LLVM::ZeroOp::create(builder, location, shared.getType());
    shared.replaceAllUsesWith(none);
  }
  (void)function.eraseArgument(last);
  // The entry has the name that the plan calls.
  function.setSymName(unit.name);
}

/// Marks the entry, whose blocks have exactly so many threads.
static int64_t markEntry(KernelUnit &unit) {
  auto function = *unit.module.getOps<LLVM::LLVMFuncOp>().begin();
  auto threads = function->getAttrOfType<IntegerAttr>(blockThreadsAttr);
  Builder builder(function.getContext());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getReqntidAttrName(),
                    builder.getDenseI32ArrayAttr({int32_t(threads.getInt())}));
  return threads.getInt();
}

/// PTX of one kernel.
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
  optimize(**module, **machine);
  if (!options.dumpDirectory.empty())
    if (Status failure = dumpCode(unit, **module, **machine, options, "ptx"))
      return *failure;
  Result<std::string> ptx =
      generate(**module, **machine, llvm::CodeGenFileType::AssemblyFile);
  if (ptx && llvm::StringRef(*ptx).contains(".extern"))
    return Error{ExitCode::Internal,
                 "kernel " + unit.name + " refers to something external"};
  return ptx;
}

/// One file from the PTX of each kernel: all begin with the same header.
static std::string joinPtx(llvm::ArrayRef<std::string> units) {
  std::string joined;
  for (llvm::StringRef unit : units) {
    llvm::SmallVector<llvm::StringRef> lines;
    unit.split(lines, '\n');
    bool isFirst = joined.empty();
    for (llvm::StringRef line : lines) {
      bool isHeader = line.starts_with(".version") ||
                      line.starts_with(".target") ||
                      line.starts_with(".address_size");
      bool isComment = line.starts_with("//") || line.trim().empty();
      if ((isHeader && isFirst) || (!isHeader && !isComment))
        joined += (line + "\n").str();
    }
  }
  return joined;
}

static Status checkUsage(llvm::ArrayRef<KernelUsage> usage) {
  for (const KernelUsage &kernel : usage)
    if (kernel.spillBytes || kernel.stackBytes)
      return Error{ExitCode::Internal, "kernel " + kernel.name + " spills " +
                                           std::to_string(kernel.spillBytes) +
                                           " bytes and has a stack of " +
                                           std::to_string(kernel.stackBytes) +
                                           " bytes; it must have neither"};
  return {};
}

Result<DeviceCode> lowbit::emitDeviceCode(ModuleOp module,
                                          const EmitOptions &options) {
  Result<KernelUnits> units = splitKernels(module, options);
  if (!units)
    return units.error();
  bool dump = !options.dumpDirectory.empty();
  if (dump) {
    if (auto error = llvm::sys::fs::create_directories(options.dumpDirectory))
      return Error{ExitCode::IO,
                   options.dumpDirectory + ": " + error.message()};
    if (Status failure = dumpModules(*units, options, "tiles.mlir"))
      return *failure;
  }
  for (KernelUnit &unit : units->units)
    placeSharedMemory(unit);
  if (Status failure = lowerToLLVM(*units))
    return *failure;
  DeviceCode code;
  for (KernelUnit &unit : units->units) {
    code.usage.emplace_back();
    code.usage.back().name = unit.name;
    code.usage.back().threads = markEntry(unit);
  }
  if (dump)
    if (Status failure = dumpModules(*units, options, "nvvm.mlir"))
      return *failure;
  std::vector<std::string> ptx(units->units.size());
  auto compile = [&](size_t i) -> Status {
    Result<std::string> text = compileUnit(units->units[i], options);
    if (!text)
      return text.error();
    ptx[i] = std::move(*text);
    return {};
  };
  if (Status failure = compileUnits(*units, options, compile))
    return *failure;
  code.bytes = joinPtx(ptx);
  if (options.target == "ptx") {
    code.usage.clear();
    return code;
  }
  Result<std::string> cubin = assemble(
      code.bytes, getVariants(options.target).front().cpu, options, code.usage);
  if (!cubin)
    return cubin.error();
  if (Status failure = checkUsage(code.usage))
    return *failure;
  code.bytes = std::move(*cubin);
  return code;
}

double lowbit::occupancy(const KernelUsage &usage, llvm::StringRef target) {
  const GpuInfo &gpu = *getVariants(target).front().gpu;
  // Registers are given out to warps in units of 256, shared memory (of which
  // a block takes 1 KiB for the system) from what L1 leaves.
  int64_t perWarp = (usage.registers * 32 + 255) / 256 * 256;
  int64_t warps = usage.threads / 32;
  int64_t blocks = std::min<int64_t>(gpu.threads / usage.threads, 32);
  if (perWarp > 0)
    blocks = std::min<int64_t>(blocks, gpu.registers / (perWarp * warps));
  int64_t shared = gpu.capability == 89 ? 100 << 10 : 164 << 10;
  blocks = std::min<int64_t>(blocks, shared / (usage.sharedBytes + 1024));
  return double(blocks * usage.threads) / gpu.threads;
}
