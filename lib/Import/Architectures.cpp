//===- Architectures.cpp - The table of families ----------------*- C++ -*-===//

#include "Architectures.h"

#include "llvm/ADT/STLExtras.h"

using namespace lowbit;

static constexpr LinearPart attentionLinears[] = {
    {TensorRole::Query, TensorRole::QueryBias},
    {TensorRole::Key, TensorRole::KeyBias},
    {TensorRole::Value, TensorRole::ValueBias},
    {TensorRole::Output, TensorRole::OutputBias},
};

static constexpr LinearPart feedForwardLinears[] = {
    {TensorRole::Gate, TensorRole::GateBias},
    {TensorRole::Up, TensorRole::UpBias},
    {TensorRole::Down, TensorRole::DownBias},
};

static constexpr Sublayer preNormBlock[] = {
    {Sublayer::Attention, TensorRole::AttentionNorm, attentionLinears},
    {Sublayer::GatedFeedForward, TensorRole::FfnNorm, feedForwardLinears},
};

static constexpr Architecture architectures[] = {
    {"LlamaForCausalLM", preNormBlock},
};

const Architecture *lowbit::findArchitecture(llvm::StringRef name) {
  const Architecture *found =
      llvm::find_if(architectures, [&](const Architecture &entry) {
        return entry.name == name;
      });
  return found == std::end(architectures) ? nullptr : found;
}
