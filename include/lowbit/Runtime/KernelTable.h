//===- KernelTable.h - Kernels by name and variant --------------*- C++ -*-===//
//
// What a code object exports (Spec.md, section 5.1), and the choice among
// variants of a kernel by what the CPU has.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_KERNELTABLE_H
#define LOWBIT_RUNTIME_KERNELTABLE_H

#include "lowbit/Checkpoint/Error.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace lowbit {

/// A kernel; the arguments are described in Spec.md, section 5.1.
using KernelFunction = void (*)(uint8_t *const *args, int64_t rows,
                                int64_t begin, int64_t end, uint8_t *scratch);

/// Instruction sets that kernels are compiled for; numbers as in the table.
enum class Variant : uint32_t { Portable = 0, AVX2 = 1, AVX512 = 2 };
constexpr uint32_t variantCount = 3;

/// `portable`, `avx2`, `avx512`.
const char *variantName(Variant variant);

/// The variant with that name; exit 2 that lists all names.
Result<Variant> parseVariant(std::string_view name);

/// CPU features that `variant` needs and this machine does not have, separated
/// by spaces; empty where it can run.
std::string missingFeatures(Variant variant);

/// The largest variant that this machine can run.
Variant bestVariant();

/// All kernels of a code object: for each name its variants, null where there
/// is none.
using KernelTable =
    std::map<std::string, std::array<KernelFunction, variantCount>>;

/// The largest variant of `name` that is at most `limit`. Exit 7 where there is
/// no such kernel, 4 where none of its variants is small enough (the line lists
/// the features that the smallest needs).
Result<KernelFunction> chooseKernel(const KernelTable &table,
                                    const std::string &name, Variant limit,
                                    const std::string &file);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_KERNELTABLE_H
