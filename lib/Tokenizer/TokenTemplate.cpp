//===- TokenTemplate.cpp - Reading a post-processor -------------*- C++ -*-===//
//
// The `post_processor` of a tokenizer.json, for one sequence.
//
//===----------------------------------------------------------------------===//
#include "TokenizerParts.h"

#include "lowbit/Checkpoint/Message.h"

namespace lowbit {
namespace {

class TemplateReader {
public:
  explicit TemplateReader(size_t size) : size(size) {}

  Status add(const JsonField &field) {
    Result<std::string_view> type = field.get("type").string();
    if (!type)
      return type.error();
    if (*type == "ByteLevel")
      return std::nullopt;
    if (*type == "TemplateProcessing")
      return addTemplate(field);
    if (*type != "Sequence")
      return field.get("type").notSupported(
          "is " + quoted(*type) +
          "; known are TemplateProcessing, ByteLevel, Sequence");
    JsonField processors = field.get("processors");
    Result<const JsonArray *> array = processors.array();
    if (!array)
      return array.error();
    for (size_t i = 0; i < (*array)->size(); ++i)
      if (Status failed = add(processors.at(i)))
        return failed;
    return std::nullopt;
  }

  TokenTemplate around;

private:
  Status addTemplate(const JsonField &field) {
    if (hasTemplate)
      return field.notSupported("is a second template");
    hasTemplate = true;
    JsonField single = field.get("single");
    Result<const JsonArray *> array = single.array();
    if (!array)
      return array.error();
    bool sawText = false;
    for (size_t i = 0; i < (*array)->size(); ++i) {
      JsonField piece = single.at(i);
      if (piece.get("Sequence").value()) {
        JsonField id = piece.get("Sequence").get("id");
        Result<std::string_view> name = id.string();
        if (!name)
          return name.error();
        if (*name != "A" || sawText)
          return id.notSupported("must be A, once");
        sawText = true;
        continue;
      }
      if (Status failed = addSpecial(piece.get("SpecialToken").get("id"),
                                     field.get("special_tokens"),
                                     sawText ? around.after : around.before))
        return failed;
    }
    if (!sawText)
      return single.notSupported("lacks the sequence A");
    return std::nullopt;
  }

  /// Appends the ids of the special token that `name` gives.
  Status addSpecial(const JsonField &name, const JsonField &specialTokens,
                    std::vector<int32_t> &ids) {
    Result<std::string_view> text = name.string();
    if (!text)
      return text.error();
    JsonField list = specialTokens.get(*text).get("ids");
    Result<const JsonArray *> array = list.array();
    if (!array)
      return array.error();
    for (size_t i = 0; i < (*array)->size(); ++i) {
      Result<uint64_t> id = list.at(i).integer(0, size - 1);
      if (!id)
        return id.error();
      ids.push_back(static_cast<int32_t>(*id));
    }
    return std::nullopt;
  }

  size_t size;
  bool hasTemplate = false;
};

} // namespace

Result<TokenTemplate> parseTemplate(const JsonField &field, size_t size) {
  TemplateReader reader(size);
  if (!field.isAbsent())
    if (Status failed = reader.add(field))
      return *failed;
  return std::move(reader.around);
}

} // namespace lowbit
