//===- WriteArtifact.h - The artifact from its parts ------------*- C++ -*-===//
#ifndef LOWBIT_LIB_PIPELINES_WRITEARTIFACT_H
#define LOWBIT_LIB_PIPELINES_WRITEARTIFACT_H

#include "CompileInput.h"
#include "PlanTarget.h"
#include "WriteWeights.h"
#include "lowbit/Checkpoint/Hash.h"

namespace lowbit {

/// Facts of the module's attribute `lowbit.model`. Exit 3 where it has none.
Result<ManifestModel> readModelFacts(mlir::ModuleOp module,
                                     const CompileOptions &options);

/// The manifest of an artifact made from `module` (laid-out or later).
Result<Manifest> makeManifest(mlir::ModuleOp module, const InputFiles &inputs,
                              const Materializer &materializer,
                              const std::vector<TargetOutput> &targets,
                              const CompileOptions &options);

/// An artifact before its weights: every size and offset is known.
struct ArtifactLayout {
  Container container;
  /// Numbers of the first weight, the chunk digests and the root.
  size_t firstWeight = 0, chunks = 0, root = 0;
};

/// Lays out all tensors of Spec.md, section 6.
Result<ArtifactLayout> layOutArtifact(const Manifest &manifest,
                                      std::vector<TargetOutput> targets,
                                      std::string tokenizer,
                                      const Materializer &materializer);

/// Fills in the digests of a file whose other tensors are complete; returns the
/// root.
Sha256Digest writeDigests(const ArtifactLayout &layout, uint8_t *file,
                          Progress &progress);

} // namespace lowbit

#endif // LOWBIT_LIB_PIPELINES_WRITEARTIFACT_H
