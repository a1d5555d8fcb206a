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
static Status checkFeedbackChoice(const WeightFormat &format,
                                  const QuantizeChoice &choice) {
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
  if (choice.scales != unchanged.scales &&
      !llvm::is_contained(format.solvers(), choice.scales))
    return usage("scales " + choice.scales + " does not go with format " +
                 format.name() + ": " + format.whyNoSolver());
  if (!(choice.damp >= 0 && choice.damp <= 10))
    return usage("damp " + std::to_string(choice.damp) +
                 " must be from 0 to 10");
  return std::nullopt;
}

/// Whether weights of the format can be multiplied with such activations.
static Status checkActivation(const WeightFormat &format,
                              const std::string &activation) {
  if (activation.empty())
    return std::nullopt;
  if (activation != "i16" && activation != "i8" && activation != "f32")
    return usage("activation " + quoted(activation) +
                 " is not known, must be i16, i8 or f32");
  bool takesFloats = format.sumColumns() == 0;
  if (takesFloats == (activation == "f32"))
    return std::nullopt;
  return usage("activation " + activation + " does not go with format " +
               format.name() + ": " +
               (takesFloats ? "its weights are floats, multiplied with f32"
                            : "integer weights are multiplied with integers, "
                              "i16 or i8"));
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
  if (Status status = checkFeedbackChoice(**format, choice))
    return status;
  if (Status status = checkActivation(**format, choice.activation))
    return status;
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
