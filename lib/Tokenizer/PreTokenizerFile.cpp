//===- PreTokenizerFile.cpp - Reading a pre-tokenizer -----------*- C++ -*-===//
//
// The `pre_tokenizer` of a tokenizer.json.
//
//===----------------------------------------------------------------------===//
#include "PreTokenizer.h"
#include "Utf8.h"

#include "lowbit/Checkpoint/Message.h"

namespace lowbit {

/// GPT-2's pattern, which ByteLevel has built in.
static constexpr std::string_view gpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| "
    "?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

Result<PreTokenizer> PreTokenizer::parse(const JsonField &field) {
  PreTokenizer preTokenizer;
  if (field.isAbsent())
    return preTokenizer;
  if (Status failed = preTokenizer.add(field))
    return *failed;
  return preTokenizer;
}

Status PreTokenizer::add(const JsonField &field) {
  Result<std::string_view> type = field.get("type").string();
  if (!type)
    return type.error();
  if (*type == "Sequence")
    return addSequence(field.get("pretokenizers"));
  if (*type == "ByteLevel")
    return addByteLevel(field);
  if (*type == "Split")
    return addSplit(field);
  if (*type == "Digits")
    return addDigits(field);
  if (*type == "Metaspace")
    return addMetaspace(field);
  return field.get("type").notSupported(
      "is " + quoted(*type) +
      "; known are ByteLevel, Split, Digits, Metaspace, Sequence");
}

// Recursion is as deep as the JSON, which its reader bounds.
Status PreTokenizer::addSequence(const JsonField &field) {
  Result<const JsonArray *> array = field.array();
  if (!array)
    return array.error();
  for (size_t i = 0; i < (*array)->size(); ++i)
    if (Status failed = add(field.at(i)))
      return failed;
  return std::nullopt;
}

Status PreTokenizer::addByteLevel(const JsonField &field) {
  Result<bool> prefix = field.get("add_prefix_space").boolean();
  if (!prefix)
    return prefix.error();
  Result<bool> useRegex = field.get("use_regex").booleanOr(true);
  if (!useRegex)
    return useRegex.error();
  ByteLevel step{*prefix, std::nullopt};
  if (*useRegex) {
    Result<Pattern> pattern = Pattern::regex(gpt2Pattern, field);
    if (!pattern)
      return pattern.error();
    step.split = Split{std::move(*pattern), SplitBehavior::Isolated, false};
  }
  steps.push_back(std::move(step));
  return std::nullopt;
}

Status PreTokenizer::addSplit(const JsonField &field) {
  constexpr std::pair<std::string_view, SplitBehavior> behaviors[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  Result<Pattern> pattern = Pattern::parse(field.get("pattern"));
  if (!pattern)
    return pattern.error();
  Result<bool> invert = field.get("invert").boolean();
  if (!invert)
    return invert.error();
  Result<std::string_view> name = field.get("behavior").string();
  if (!name)
    return name.error();
  for (auto [known, behavior] : behaviors)
    if (*name == known) {
      steps.push_back(Split{std::move(*pattern), behavior, *invert});
      return std::nullopt;
    }
  return field.get("behavior")
      .notSupported("is " + quoted(*name) +
                    "; known are Removed, Isolated, "
                    "MergedWithPrevious, MergedWithNext, Contiguous");
}

Status PreTokenizer::addDigits(const JsonField &field) {
  Result<bool> individual = field.get("individual_digits").booleanOr(false);
  if (!individual)
    return individual.error();
  Result<Pattern> pattern = Pattern::regex("\\p{N}", field);
  if (!pattern)
    return pattern.error();
  steps.push_back(
      Split{std::move(*pattern),
            *individual ? SplitBehavior::Isolated : SplitBehavior::Contiguous,
            false});
  return std::nullopt;
}

/// `prepend_scheme`, or in files older than it `add_prefix_space`.
Result<PreTokenizer::Metaspace::Prepend>
PreTokenizer::parsePrepend(const JsonField &field) {
  Result<bool> add = field.get("add_prefix_space").booleanOr(true);
  if (!add)
    return add.error();
  JsonField scheme = field.get("prepend_scheme");
  if (scheme.isAbsent())
    return *add ? Metaspace::Always : Metaspace::Never;
  Result<std::string_view> name = scheme.string();
  if (!name)
    return name.error();
  if (*name == "never")
    return Metaspace::Never;
  if (*name != "always" && *name != "first")
    return scheme.notSupported("is " + quoted(*name) +
                               "; known are always, first, never");
  if (!*add)
    return scheme.bad("is " + quoted(*name) +
                      ", but add_prefix_space is false");
  return *name == "first" ? Metaspace::First : Metaspace::Always;
}

Status PreTokenizer::addMetaspace(const JsonField &field) {
  Result<std::string_view> replacement = field.get("replacement").string();
  if (!replacement)
    return replacement.error();
  size_t end = 0;
  if (replacement->empty() ||
      (decodeChar(*replacement, end), end != replacement->size()))
    return field.get("replacement").mustBe("one character");
  Result<Metaspace::Prepend> prepend = parsePrepend(field);
  if (!prepend)
    return prepend.error();
  Result<bool> split = field.get("split").booleanOr(true);
  if (!split)
    return split.error();
  Metaspace step{std::string(*replacement), *prepend, std::nullopt};
  if (*split) {
    Result<Pattern> pattern = Pattern::literal(step.replacement, field);
    if (!pattern)
      return pattern.error();
    step.split =
        Split{std::move(*pattern), SplitBehavior::MergedWithNext, false};
  }
  steps.push_back(std::move(step));
  return std::nullopt;
}

} // namespace lowbit
