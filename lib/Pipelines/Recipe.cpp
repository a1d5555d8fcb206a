//===- Recipe.cpp - What is done to a model, as data ----------------------===//

#include "lowbit/Pipelines/Recipe.h"
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/IR/Lowbit.h"
#include "lowbit/Pipelines/Stage.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace lowbit;
using llvm::StringRef;

namespace {

constexpr JsonLimits recipeLimits{uint64_t(1) << 20};

/// A recipe that is known by name: one format for all linears, embedding and
/// head of 8 bits, KV cache f16.
struct NamedRecipe {
  llvm::StringLiteral name;
  /// Of the linears; the solver without and with second moments of inputs.
  llvm::StringLiteral format;
  llvm::StringLiteral solver;
  llvm::StringLiteral calibratedSolver;
  /// Whether weights are rotated without being asked: codes that are made for
  /// Gaussian weights.
  bool isRotated = false;
};

/// Offset and solver of each width are those with the lower perplexity on two
/// texts (docs/Measurements.md): at 2 bits the search clips what the model
/// needs.
constexpr NamedRecipe namedRecipes[] = {
    {"int8-g64", "int8-g64", "search", "search"},
    {"int4-g64", "int4-g64-half", "search", "search"},
    {"int3-g64", "int3-g64-half", "search", "gptq"},
    {"int2-g64", "int2-g64-half", "nearest", "gptq"},
    {"int4-g32-e4m3", "int4-g32-e4m3-half", "search", "search"},
    {"int3-g32-e4m3", "int3-g32-e4m3-half", "search", "gptq"},
    {"int2-g32-e4m3", "int2-g32-e4m3-half", "nearest", "gptq"},
    {"int4-g64-e4m3", "int4-g64-e4m3-half", "search", "search"},
    {"int3-g64-e4m3", "int3-g64-e4m3-half", "search", "gptq"},
    {"int2-g64-e4m3", "int2-g64-e4m3-half", "nearest", "gptq"},
    {"mxint8", "mxint8", "search", "search"},
    {"mxfp8-e4m3", "mxfp8-e4m3", "search", "search"},
    {"mxfp8-e5m2", "mxfp8-e5m2", "search", "search"},
    {"mxfp6-e2m3", "mxfp6-e2m3", "search", "search"},
    {"mxfp6-e3m2", "mxfp6-e3m2", "search", "search"},
    {"mxfp4", "mxfp4", "search", "gptq"},
    {"nvfp4", "nvfp4", "search", "gptq"},
    {"ternary", "ternary-g64", "search", "gptq"},
    {"binary1+1", "free4-g128", "em", "gptq"},
    {"binary", "int1-g128-stored", "em", "gptq"},
    {"binary-row", "int1-row-half", "em", "gptq"},
    {"trellis2", "trellis2", "viterbi", "viterbi", true},
    {"trellis1", "trellis1", "viterbi", "viterbi", true},
    {"trellis0.5", "trellis0.5", "viterbi", "viterbi", true},
};

/// What follows a name, in this order: which rotations are folded (none or R1
/// and R2), and the activations that linears see (without it 16 bits, or f32
/// where the format is of floats, which go with nothing else).
constexpr llvm::StringLiteral noRotations = "-r0";
constexpr llvm::StringLiteral foldedRotations = "-r12";
constexpr llvm::StringLiteral byteActivations = "-a8";

bool takesFloats(const NamedRecipe &recipe) {
  std::string why;
  return findFormat(recipe.format.str(), why)->sumColumns() == 0;
}

/// R1 and R2, all of which folds: no operation is left for the kernels.
constexpr llvm::StringLiteral rotationPasses =
    R"({"lowbit-insert-rotations": {"sites": ["r1", "r2"]}},
{"lowbit-fold-rotations": {}})";

std::string recipeText(const llvm::Twine &description, bool rotates,
                       const llvm::Twine &quantize) {
  return ("{\"description\": \"" + description +
          (rotates ? "; rotated by R1 and R2" : "") + "\",\n\"transform\": [" +
          (rotates ? StringRef(rotationPasses) : StringRef()) +
          "],\n\"quantize\": [" + quantize + "]}")
      .str();
}

/// The recipe of a name as text; nothing where there is none of that name.
std::optional<std::string> namedRecipeText(StringRef name, bool hasMoments) {
  bool hasBytes = name.consume_back(byteActivations);
  StringRef activation = hasBytes ? "i8" : "i16";
  bool isPlain = name.consume_back(noRotations);
  bool rotates = !isPlain && name.consume_back(foldedRotations);
  if (name == "float" && !hasBytes)
    return recipeText("As the checkpoint has it", rotates,
                      R"({"lowbit-set-cache": {"type": "f32"}})");
  for (const NamedRecipe &recipe : namedRecipes)
    if (recipe.name == name && !(hasBytes && takesFloats(recipe)))
      return recipeText(
          recipe.format + "; embedding and head int8-g64",
          rotates || (recipe.isRotated && !isPlain),
          llvm::formatv(
              R"(
{{"lowbit-quantize": {{"roles": ["embedding", "head"], "format": "int8-g64", "solver": "search", "activation": "{2}"}},
{{"lowbit-quantize": {{"format": "{0}", "solver": "{1}", "activation": "{3}"}},
{{"lowbit-set-cache": {{"type": "f16"}})",
              recipe.format,
              hasMoments ? recipe.calibratedSolver : recipe.solver, activation,
              takesFloats(recipe) ? "f32" : activation)
              .str());
  return std::nullopt;
}

/// Passes that belong to fixed stages or to one part of a recipe only.
bool belongsTo(StringRef pass, StringRef part) {
  bool quantizes = pass == "lowbit-quantize" || pass == "lowbit-set-cache";
  bool isFixed =
      pass == "lowbit-fuse-linears" || pass == "lowbit-outline-parameters" ||
      pass == "lowbit-assign-layouts" || pass == "lowbit-verify-stage" ||
      pass == "lowbit-insert-observers" || pass == "lowbit-extract-part";
  return pass.starts_with("lowbit-") && !isFixed &&
         quantizes == (part == "quantize");
}

/// Whether `text` means itself inside a textual pipeline.
bool isPlainOption(StringRef text) {
  return !text.empty() && llvm::all_of(text, [](char c) {
    return llvm::isAlnum(c) || StringRef("._-+/:=").contains(c);
  });
}

/// An option's value as a pipeline spells it.
Result<std::string> optionText(const JsonField &field) {
  const JsonValue &value = *field.value();
  if (value.isBool())
    return std::string(value.asBool() ? "true" : "false");
  if (value.isInteger())
    return writeJson(value);
  if (value.isString() && isPlainOption(value.asString()))
    return value.asString();
  if (!value.isArray() || value.asArray().size() == 0)
    return field.mustBe("a boolean, an integer, a text of letters, digits and "
                        "._-+/:= or a list of those");
  std::string list;
  for (size_t i = 0; i < value.asArray().size(); ++i) {
    const JsonField &element = field.at(i);
    if (element.value()->isArray())
      return element.mustBe("no list in a list");
    Result<std::string> text = optionText(element);
    if (!text)
      return text.error();
    list += (i == 0 ? "" : ",") + *text;
  }
  return "{" + list + "}";
}

/// One entry of a part, `{"lowbit-quantize": {…}}`, as a pipeline spells it.
Result<std::string> passText(const JsonField &entry, StringRef part) {
  Result<const JsonObject *> object = entry.object();
  if (!object)
    return object.error();
  if ((*object)->size() != 1)
    return entry.mustBe("an object with one member, the pass");
  const std::string &pass = (**object)[0].key;
  if (!mlir::PassInfo::lookup(pass) || !belongsTo(pass, part))
    return Error{
        ExitCode::Usage,
        entry.bad(quoted(pass) + " is no pass of the part " + part.str())
            .message};
  JsonField options = entry.get(pass);
  Result<const JsonObject *> members = options.object();
  if (!members)
    return members.error();
  std::string text;
  for (const JsonMember &member : **members) {
    if (!isPlainOption(member.key))
      return options.bad(quoted(member.key) + " is no name of an option");
    Result<std::string> value = optionText(options.get(member.key));
    if (!value)
      return value.error();
    text += (text.empty() ? "" : " ") + member.key + "=" + *value;
  }
  return pass + "{" + text + "}";
}

Result<std::string> partText(const JsonField &root, StringRef part) {
  JsonField field = root.get(part.str());
  if (field.isAbsent())
    return std::string();
  Result<const JsonArray *> entries = field.array();
  if (!entries)
    return entries.error();
  llvm::SmallVector<std::string> passes;
  for (size_t i = 0; i < (*entries)->size(); ++i) {
    Result<std::string> pass = passText(field.at(i), part);
    if (!pass)
      return pass.error();
    passes.push_back(*pass);
  }
  return llvm::join(passes, ",");
}

/// Runs the recipe on an empty module: passes check their options before they
/// look at anything.
Status checkOptions(const Recipe &recipe) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<LowbitDialect, mlir::func::FuncDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> empty =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context));
  Status status = runPipeline(
      *empty, makePipeline(recipe, Stage::Imported, Stage::Quantized, false));
  if (!status)
    return std::nullopt;
  return Error{ExitCode::Usage,
               "recipe " + recipe.name + ": " + status->message};
}

} // namespace

std::vector<std::string> lowbit::getRecipeNames() {
  std::vector<std::string> names{"float"};
  for (const NamedRecipe &recipe : namedRecipes)
    names.push_back(recipe.name.str());
  return names;
}

std::string lowbit::describeRecipeNames() {
  return llvm::join(getRecipeNames(), ", ") +
         ", each also with -r12 (rotated by R1 and R2) or -r0 (not), and where "
         "integers are multiplied with -a8 (8-bit activations) behind that";
}

Result<Recipe> lowbit::parseRecipe(StringRef text, const std::string &name) {
  Result<JsonValue> json = parseJson(text, name, recipeLimits);
  if (!json)
    return json.error();
  JsonField root(*json, name);
  Result<const JsonObject *> members = root.object();
  if (!members)
    return members.error();
  for (const JsonMember &member : **members)
    if (member.key != "description" && member.key != "transform" &&
        member.key != "quantize")
      return root.bad(quoted(member.key) +
                      " is not known, a recipe has description, transform and "
                      "quantize");
  if (JsonField description = root.get("description"); description.value())
    if (auto text = description.string(); !text)
      return text.error();
  Recipe recipe;
  recipe.name = name;
  recipe.text = writeJson(*json);
  Result<std::string> transform = partText(root, "transform");
  if (!transform)
    return transform.error();
  Result<std::string> quantize = partText(root, "quantize");
  if (!quantize)
    return quantize.error();
  recipe.transform = *transform;
  recipe.quantize = *quantize;
  if (Status status = checkOptions(recipe))
    return *status;
  return recipe;
}

Result<Recipe> lowbit::readRecipe(const std::string &nameOrPath,
                                  bool hasMoments) {
  if (std::optional<std::string> text = namedRecipeText(nameOrPath, hasMoments))
    return parseRecipe(*text, nameOrPath);
  bool looksLikePath = StringRef(nameOrPath).contains('/') ||
                       StringRef(nameOrPath).contains('.');
  Result<std::string> text = readFile(nameOrPath, recipeLimits.bytes);
  if (!text && looksLikePath)
    return text.error();
  if (!text)
    return Error{ExitCode::Usage, "recipe " + quoted(nameOrPath) +
                                      " is neither a file nor one of " +
                                      describeRecipeNames()};
  return parseRecipe(*text, nameOrPath);
}
