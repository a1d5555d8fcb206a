//===- FormatNames.cpp - Formats by the names that recipes use ------------===//

#include "lowbit/Transforms/FormatNames.h"
#include "lowbit/Analysis/WeightRoles.h"
#include "lowbit/Checkpoint/Message.h"
#include "llvm/ADT/StringExtras.h"

using namespace lowbit;
using llvm::StringRef;

namespace {

Error usage(const std::string &message) {
  return Error{ExitCode::Usage, message};
}

constexpr llvm::StringLiteral formatSyntax =
    "int{2,3,4,8}-{g32,g64,g128,row}[-f16|-e4m3][-integer|-half|-stored]";

/// Takes one of the optional words; false where it is none or comes twice.
bool takeFormatWord(StringRef word, IntegerFormat &format, bool &hasScale,
                    bool &hasOffset) {
  if (word == "f16" || word == "e4m3") {
    format.scale = word == "f16" ? ScaleType::F16 : ScaleType::E4M3;
    return !std::exchange(hasScale, true);
  }
  if (word == "integer" || word == "half" || word == "stored") {
    format.offset = word == "integer" ? Offset::Integer
                    : word == "half"  ? Offset::Half
                                      : Offset::Stored;
    return !std::exchange(hasOffset, true);
  }
  return false;
}

} // namespace

Result<IntegerFormat> lowbit::parseFormatName(StringRef name) {
  Error notKnown = usage("format " + quoted(name.str()) +
                         " is not known, must be " + formatSyntax.str());
  llvm::SmallVector<StringRef> words;
  name.split(words, '-');
  IntegerFormat format;
  StringRef bits = words[0];
  if (words.size() < 2 || !bits.consume_front("int") ||
      bits.getAsInteger(10, format.bits))
    return notKnown;
  StringRef group = words[1];
  if (group == "row")
    format.group = 0;
  else if (!group.consume_front("g") || group.getAsInteger(10, format.group) ||
           format.group == 0)
    return notKnown;
  bool hasScale = false, hasOffset = false;
  for (StringRef word : llvm::drop_begin(words, 2))
    if (!takeFormatWord(word, format, hasScale, hasOffset))
      return notKnown;
  if (const char *why = whyInvalid(format))
    return usage("format " + quoted(name.str()) + ": " + why);
  return format;
}

Status lowbit::checkQuantizeChoice(const QuantizeChoice &choice) {
  for (const std::string &role : choice.roles)
    if (!parseRole(role))
      return usage("role " + quoted(role) +
                   " is not known, must be embedding, head, attention, ffn, q, "
                   "k, v, o, gate, up, down, other or all");
  if (choice.format.empty())
    return usage("lowbit-quantize needs a format, " + formatSyntax.str());
  if (Result<IntegerFormat> format = parseFormatName(choice.format); !format)
    return format.error();
  if (choice.solver != "nearest" && choice.solver != "search" &&
      choice.solver != "given")
    return usage("solver " + quoted(choice.solver) +
                 " is not known, must be nearest, search or given");
  if (choice.solver == "given" && choice.file.empty())
    return usage(
        "solver given needs a file: codes and scales are read from it");
  if (choice.solver != "given" && !choice.file.empty())
    return usage("file " + quoted(choice.file) + " does not go with solver " +
                 choice.solver + ": only solver given reads codes");
  if (choice.activation == "f32")
    return usage("activation f32 does not go with format " + choice.format +
                 ": integer weights are multiplied with integers, i16 or i8");
  if (choice.activation != "i16" && choice.activation != "i8")
    return usage("activation " + quoted(choice.activation) +
                 " is not known, must be i16 or i8");
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

Status lowbit::checkCacheType(StringRef type) {
  if (type == "f16" || type == "f32" || type == "i8")
    return std::nullopt;
  return usage("cache type " + quoted(type.str()) +
               " is not known, must be f16, f32 or i8");
}
