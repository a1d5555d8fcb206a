//===- KernelTable.cpp - Kernels by name and variant ----------------------===//
#include "lowbit/Runtime/KernelTable.h"

#include "lowbit/Checkpoint/Message.h"

using namespace lowbit;

const char *lowbit::variantName(Variant variant) {
  switch (variant) {
  case Variant::Portable:
    return "portable";
  case Variant::AVX2:
    return "avx2";
  case Variant::AVX512:
    return "avx512";
  }
  return "";
}

Result<Variant> lowbit::parseVariant(std::string_view name) {
  for (uint32_t i = 0; i < variantCount; ++i)
    if (name == variantName(static_cast<Variant>(i)))
      return static_cast<Variant>(i);
  return Error{ExitCode::Usage, "variant " + quoted(name) +
                                    " is unknown (portable, avx2, avx512)"};
}

std::string lowbit::missingFeatures(Variant variant) {
  std::string missing;
#if defined(__x86_64__)
  __builtin_cpu_init();
  auto need = [&](bool present, const char *name) {
    if (!present)
      missing += (missing.empty() ? "" : " ") + std::string(name);
  };
  if (variant >= Variant::AVX2) {
    need(__builtin_cpu_supports("avx2"), "AVX2");
    need(__builtin_cpu_supports("fma"), "FMA");
    need(__builtin_cpu_supports("f16c"), "F16C");
  }
  if (variant >= Variant::AVX512) {
    need(__builtin_cpu_supports("avx512f"), "AVX512F");
    need(__builtin_cpu_supports("avx512bw"), "AVX512BW");
    need(__builtin_cpu_supports("avx512dq"), "AVX512DQ");
    need(__builtin_cpu_supports("avx512vl"), "AVX512VL");
    need(__builtin_cpu_supports("avx512vbmi"), "AVX512VBMI");
    need(__builtin_cpu_supports("avx512vnni"), "AVX512VNNI");
  }
#else
  if (variant == Variant::AVX2)
    missing = "AVX2";
  if (variant == Variant::AVX512)
    missing = "AVX512";
#endif
  return missing;
}

Variant lowbit::bestVariant() {
  for (Variant variant : {Variant::AVX512, Variant::AVX2})
    if (missingFeatures(variant).empty())
      return variant;
  return Variant::Portable;
}

Result<KernelFunction> lowbit::chooseKernel(const KernelTable &table,
                                            const std::string &name,
                                            Variant limit,
                                            const std::string &file) {
  auto kernel = table.find(name);
  if (kernel == table.end())
    return Error{ExitCode::Mismatch, escaped(file) + ": code: no kernel " +
                                         quoted(name) +
                                         ", which the plan calls"};
  for (auto i = static_cast<int>(limit); i >= 0; --i)
    if (KernelFunction function = kernel->second[i])
      return function;
  uint32_t smallest = 0;
  while (!kernel->second[smallest])
    ++smallest;
  auto variant = static_cast<Variant>(smallest);
  std::string missing = missingFeatures(variant);
  return Error{ExitCode::Unsupported,
               escaped(file) + ": code: kernel " + quoted(name) + " needs " +
                   variantName(variant) +
                   (missing.empty() ? std::string(", which --variant forbids")
                                    : ", and this CPU lacks " + missing)};
}
