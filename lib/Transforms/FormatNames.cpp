//===- FormatNames.cpp - Formats by the names that recipes use ------------===//

#include "lowbit/Transforms/FormatNames.h"
#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Checkpoint/Message.h"
#include "llvm/ADT/STLExtras.h"

using namespace lowbit;
using llvm::StringRef;

namespace {

Error usage(const std::string &message) {
  return Error{ExitCode::Usage, message};
}

} // namespace

Result<FormatPtr> lowbit::parseFormatName(StringRef name) {
  std::string why;
  if (FormatPtr format = findFormat(name.str(), why))
    return format;
  return usage("format " + quoted(name.str()) + " " + why);
}

/// Whether the solver is one of the format's.
static Status checkSolver(const WeightFormat &format,
                          const std::string &solver) {
  if (llvm::is_contained(format.solvers(), solver))
    return std::nullopt;
  return usage("solver " + quoted(solver) + " does not go with format " +
               format.name() + ": " + format.whyNoSolver());
}

/// The options of error feedback.
static Status checkFeedbackChoice(const QuantizeChoice &choice) {
  QuantizeChoice unchanged;
  if (choice.solver != "gptq") {
    auto refuse = [&](const char *option) {
      return usage(std::string("option ") + option +
                   " does not go with solver " + choice.solver +
                   ": only solver gptq feeds errors back");
    };
    if (choice.order != unchanged.order)
      return refuse("order");
    if (choice.scales != unchanged.scales)
      return refuse("scales");
    if (choice.damp != unchanged.damp)
      return refuse("damp");
    return std::nullopt;
  }
  if (choice.order != "activation" && choice.order != "columns")
    return usage("order " + quoted(choice.order) +
                 " is not known, must be activation or columns");
  if (choice.scales != "search" && choice.scales != "nearest")
    return usage("scales " + quoted(choice.scales) +
                 " is not known, must be search or nearest");
  if (!(choice.damp >= 0 && choice.damp <= 10))
    return usage("damp " + std::to_string(choice.damp) +
                 " must be from 0 to 10");
  return std::nullopt;
}

Status lowbit::checkQuantizeChoice(const QuantizeChoice &choice) {
  for (const std::string &role : choice.roles)
    if (!parseRole(role))
      return usage("role " + quoted(role) +
                   " is not known, must be embedding, head, attention, ffn, q, "
                   "k, v, o, gate, up, down, other or all");
  if (choice.format.empty())
    return usage("lowbit-quantize needs a format, " + formatSyntax());
  Result<FormatPtr> format = parseFormatName(choice.format);
  if (!format)
    return format.error();
  if (!isSolver(choice.solver))
    return usage("solver " + quoted(choice.solver) + " is not known, must be " +
                 solverSyntax("or"));
  if (Status status = checkSolver(**format, choice.solver))
    return status;
  if (choice.solver == "given" && choice.file.empty())
    return usage(
        "solver given needs a file: codes and scales are read from it");
  if (choice.solver != "given" && !choice.file.empty())
    return usage("file " + quoted(choice.file) + " does not go with solver " +
                 choice.solver + ": only solver given reads codes");
  if (Status status = checkFeedbackChoice(choice))
    return status;
  if (choice.activation == "f32")
    return usage("activation f32 does not go with format " + choice.format +
                 ": integer weights are multiplied with integers, i16 or i8");
  if (Result<std::string> activation = parseActivationName(choice.activation);
      !activation)
    return activation.error();
  if (choice.firstLayer < 0 || choice.lastLayer < -1)
    return usage("first-layer " + std::to_string(choice.firstLayer) +
                 " and last-layer " + std::to_string(choice.lastLayer) +
                 " must be at least 0 (last-layer: or -1)");
  if (choice.lastLayer != -1 && choice.lastLayer < choice.firstLayer)
    return usage("last-layer " + std::to_string(choice.lastLayer) +
                 " does not go with first-layer " +
                 std::to_string(choice.firstLayer) + ": the range is empty");
  return std::nullopt;
}

Result<std::string> lowbit::parseActivationName(StringRef name) {
  if (name == "i16" || name == "i8")
    return "#lowbit.activation<" + name.str() + ">";
  llvm::SmallVector<StringRef> words;
  name.split(words, '-');
  std::string scale, offset;
  bool isKnown = words.size() >= 2 && (words[0] == "i4" || words[0] == "i2") &&
                 llvm::is_contained({"g32", "g64", "g128"}, words[1]);
  for (StringRef word : llvm::drop_begin(words, isKnown ? 2 : words.size())) {
    bool isScale = word == "f16" || word == "e4m3";
    bool isOffset = word == "integer" || word == "stored";
    std::string &part = isScale ? scale : offset;
    isKnown &= (isScale || isOffset) && part.empty();
    part = word == "e4m3" ? "f8E4M3FN" : word.str();
  }
  if (!isKnown)
    return usage("activation " + quoted(name.str()) +
                 " is not known, must be i16, i8 or "
                 "i{4,2}-{g32,g64,g128}[-f16|-e4m3][-integer|-stored]");
  return "#lowbit.activation<" + words[0].str() +
         ", group = " + words[1].drop_front().str() +
         ", scale = " + (scale.empty() ? "f16" : scale) +
         ", offset = " + (offset.empty() ? "integer" : offset) + ">";
}

Result<CacheChoice> lowbit::parseCacheName(StringRef name) {
  auto [type, group] = name.split('-');
  CacheChoice choice;
  bool isKnown = llvm::is_contained({"f16", "f32", "i8", "i4", "i2"}, type);
  choice.isInteger = type.consume_front("i");
  type.consume_front("f");
  bool isNumber = !type.getAsInteger(10, choice.bits);
  if (isNumber && choice.bits < 8)
    choice.group = group == "head" ? 0 : group == "g32" ? 32 : 64;
  bool isPlain = name == "f16" || name == "f32" || name == "i8";
  bool hasGroup = llvm::is_contained({"", "g32", "g64", "head"}, group) &&
                  !name.ends_with("-");
  if (!isKnown || !(isPlain || (choice.group && hasGroup)))
    return usage("cache type " + quoted(name.str()) +
                 " is not known, must be f16, f32, i8 or i{4,2}[-g32|-g64|"
                 "-head]");
  return choice;
}
