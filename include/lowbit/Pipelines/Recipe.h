//===- Recipe.h - What is done to a model, as data --------------*- C++ -*-===//
//
// A recipe is a list of passes with options, and nothing else. It is JSON:
//
//   {
//     "description": "4 bits; the first two layers 8",
//     "transform": [],
//     "quantize": [
//       {"lowbit-quantize": {"roles": ["embedding", "head"], "format":
//       "int8-g64"}},
//       {"lowbit-quantize": {"last-layer": 1, "format": "int8-g64"}},
//       {"lowbit-quantize": {"format": "int4-g64", "solver": "search"}},
//       {"lowbit-set-cache": {"type": "f16"}}
//     ]
//   }
//
// Passes run in this order. `transform` leads to the stage `transformed`,
// `quantize` to `quantized`. Options are those of the passes, by their names.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_PIPELINES_RECIPE_H
#define LOWBIT_PIPELINES_RECIPE_H

#include "lowbit/Checkpoint/Error.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>

namespace lowbit {

/// A recipe that was read and whose options go together.
struct Recipe {
  /// As the user named it.
  std::string name;
  /// The JSON text, canonical.
  std::string text;
  /// The passes of the two parts, `a{x=1},b`; empty where there are none.
  std::string transform;
  std::string quantize;
};

/// Names of the recipes that need no file. Behind a name may follow `-r12` (R1
/// and R2 are folded) or `-r0` (not rotated, where the name alone would be),
/// and then `-a8` (8-bit activations; not where weights are floats).
std::vector<std::string> getRecipeNames();
/// The names and what may follow them, for messages and help.
std::string describeRecipeNames();

/// The recipe of that name, or of the file at that path. Where all second
/// moments of inputs are to be had (`hasMoments`), names below 4 bits take the
/// solver gptq. Errors: exit 2 for a name that is neither, exit 3 for a file
/// that is no recipe, exit 2 for passes and options that do not exist or do not
/// go together (the line names both and says why). Needs
/// registerCompilerPasses.
Result<Recipe> readRecipe(const std::string &nameOrPath,
                          bool hasMoments = false);

/// The same from text; `name` is for messages.
Result<Recipe> parseRecipe(llvm::StringRef text, const std::string &name);

} // namespace lowbit

#endif // LOWBIT_PIPELINES_RECIPE_H
