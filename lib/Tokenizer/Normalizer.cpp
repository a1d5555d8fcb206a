//===- Normalizer.cpp - What is done to a text before it is cut -*- C++ -*-===//
//
// See Normalizer.h.
//
//===----------------------------------------------------------------------===//
#include "Normalizer.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Tokenizer/Tokenizer.h"

#include <algorithm>

namespace lowbit {

Result<Normalizer> Normalizer::parse(const JsonField &field) {
  Normalizer normalizer;
  if (field.isAbsent())
    return normalizer;
  if (Status failed = normalizer.add(field))
    return *failed;
  return normalizer;
}

Status Normalizer::add(const JsonField &field) {
  Result<std::string_view> type = field.get("type").string();
  if (!type)
    return type.error();
  constexpr std::pair<std::string_view, NormalForm> forms[] = {
      {"NFC", NormalForm::C},
      {"NFD", NormalForm::D},
      {"NFKC", NormalForm::KC},
      {"NFKD", NormalForm::KD}};
  for (auto [name, form] : forms)
    if (*type == name) {
      steps.push_back(form);
      return std::nullopt;
    }
  if (*type == "Sequence")
    return addSequence(field.get("normalizers"));
  bool prepend = *type == "Prepend";
  if (!prepend && *type != "Replace")
    return field.get("type").notSupported(
        "is " + quoted(*type) +
        "; known are NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
  Result<std::string_view> content =
      field.get(prepend ? "prepend" : "content").string();
  if (!content)
    return content.error();
  if (prepend) {
    steps.push_back(Prepend{std::string(*content)});
    return std::nullopt;
  }
  Result<Pattern> pattern = Pattern::parse(field.get("pattern"));
  if (!pattern)
    return pattern.error();
  steps.push_back(Replace{std::move(*pattern), std::string(*content)});
  return std::nullopt;
}

// Recursion is as deep as the JSON, which its reader bounds.
Status Normalizer::addSequence(const JsonField &field) {
  Result<const JsonArray *> array = field.array();
  if (!array)
    return array.error();
  for (size_t i = 0; i < (*array)->size(); ++i)
    if (Status failed = add(field.at(i)))
      return failed;
  return std::nullopt;
}

static Result<std::string> replaceAll(std::string_view text,
                                      const Pattern &pattern,
                                      std::string_view content) {
  Result<std::vector<Span>> spans = pattern.findAll(text);
  if (!spans)
    return spans.error();
  std::string out;
  size_t done = 0;
  for (const Span &span : *spans) {
    out += text.substr(done, span.begin - done);
    out += content;
    done = span.end;
    if (out.size() > Tokenizer::maxTextBytes)
      break;
  }
  out += text.substr(done);
  return out;
}

Result<std::string> Normalizer::apply(std::string_view text) const {
  std::string current(text);
  for (const Step &step : steps) {
    if (const auto *form = std::get_if<NormalForm>(&step)) {
      current = normalize(current, *form);
    } else if (const auto *prepend = std::get_if<Prepend>(&step)) {
      if (!current.empty())
        current.insert(0, prepend->text);
    } else {
      const auto &replace = std::get<Replace>(step);
      Result<std::string> replaced =
          replaceAll(current, replace.pattern, replace.content);
      if (!replaced)
        return replaced.error();
      current = std::move(*replaced);
    }
    if (current.size() > Tokenizer::maxTextBytes)
      return badInput("text", "",
                      "is longer than " +
                          std::to_string(Tokenizer::maxTextBytes) +
                          " bytes when normalized");
  }
  return current;
}

bool Normalizer::keepsStart() const {
  return std::all_of(steps.begin(), steps.end(), [](const Step &step) {
    const auto *replace = std::get_if<Replace>(&step);
    return !replace ||
           (replace->pattern.isOneCharacter() && !replace->content.empty());
  });
}

} // namespace lowbit
