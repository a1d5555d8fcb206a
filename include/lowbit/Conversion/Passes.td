//===- Passes.td - From lowbit to what a target runs -------*- tablegen -*-===//
#ifndef LOWBIT_CONVERSION_PASSES_TD
#define LOWBIT_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertLowbitToPlan : Pass<"convert-lowbit-to-plan", "::mlir::ModuleOp"> {
  let summary = "Turn the graph into kernels and a host schedule";
  let description = [{
    Reads `@forward` and adds one `lowbit.kernel` for each distinct piece of work
    and a `lowbit.plan` that calls them (Spec.md, section 5). The graph is
    removed: after this pass the plan is the model.

    What is fused: norms and gates into the activation quantizer of the linears
    that read them; an addition into the linear that gives one of its operands;
    slices into the views of their users; rotary embedding into the write of the
    cache. Nothing else is looked for; the graph is refused where it holds
    something that no family serves.

    Must have run before: `lowbit-outline-parameters`, so that every weight is a
    parameter in its stored type.

    ```mlir
    %n = lowbit.rms_norm %x, %gain eps = 1.0e-5 : tensor<?x256xf32>, tensor<256xf32>
    %y = lowbit.linear %n, %w activation = <i16> : tensor<?x256xf32>, tensor<768x256xf32, #fmt> -> tensor<?x768xf32>
    ```

    becomes two steps: `quantize_rows` with the norm as its prologue, and `linear`.
  }];
  let dependentDialects = ["::lowbit::LowbitDialect"];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"x86_64\"",
           "Target that the plan is for">,
    Option<"maxRows", "max-rows", "int64_t", /*default=*/"512",
           "Most rows (tokens) of a step">,
    Option<"maxLogits", "max-logits", "int64_t", /*default=*/"0",
           "Most rows whose logits a step gives; 0: as many as 64 MiB hold">,
    Option<"sequences", "sequences", "int64_t", /*default=*/"16",
           "Sequences that may be alive at once">,
    Option<"context", "context", "int64_t", /*default=*/"2048",
           "Most positions of a sequence">,
  ];
}

def ConvertLowbitToVector : Pass<"convert-lowbit-to-vector", "::mlir::ModuleOp"> {
  let summary = "Emit every kernel once for each variant of a CPU target";
  let description = [{
    Replaces each `lowbit.kernel` by one function for each variant of the target,
    of the ABI of Spec.md, section 5.1. The plan stays as it is: it calls kernels
    by name, and the runtime picks the variant.

    ```mlir
    lowbit.kernel @gate_768 family "gate" {columns = 768, …}
    ```

    becomes `func.func @gate_768.portable`, `@gate_768.avx2` and `@gate_768.avx512`.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"x86_64\"",
           "Target whose variants are emitted">,
    Option<"variant", "variant", "std::string", /*default=*/"\"\"",
           "Emit this variant only">,
  ];
}

def ConvertLowbitToTiles : Pass<"convert-lowbit-to-tiles", "::mlir::ModuleOp"> {
  let summary = "Emit every kernel as a program of blocks of GPU threads";
  let description = [{
    Replaces each `lowbit.kernel` by one function that a thread of a block runs
    (Spec.md, 5.5). Tiles, and which thread holds which part of them, are chosen
    from the facts of the chip; the choice is left on the function.

    ```mlir
    lowbit.kernel @gate_768 family "gate" {columns = 768, …}
    ```

    becomes `func.func @gate_768.sm_90a(%gate: !llvm.ptr<1>, %up: !llvm.ptr<1>,
    %y: !llvm.ptr<1>, %rows: i64, %shared: !llvm.ptr<3>)` with `lowbit.threads`
    and `lowbit.shared` (bytes).
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect"];
  let options = [
    Option<"target", "target", "std::string", /*default=*/"\"sm_90a\"",
           "GPU target that kernels are laid out for">,
  ];
}

def ConvertTilesToHost : Pass<"convert-tiles-to-host", "::mlir::ModuleOp"> {
  let summary = "Make block programs run on the host, under the emulator";
  let description = [{
    Replaces each block program by a kernel of the ABI of Spec.md, 5.1 and the
    function of one of its threads. Ops of the nvvm dialect become calls through
    the emulator's table, to which the kernel's `scratch` points
    (`lowbit/Runtime/EmulatorAbi.h`); every access to shared memory is told to
    the emulator before it happens.

    ```mlir
    nvvm.barrier0
    ```

    becomes `llvm.call %barrier(%machine)`, with `%barrier` loaded from the table.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::LLVM::LLVMDialect"];
}

#endif // LOWBIT_CONVERSION_PASSES_TD
