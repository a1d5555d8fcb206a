//===- TextDecoder.cpp - Reading a decoder ----------------------*- C++ -*-===//
//
// See TextDecoder.h; TextStream.cpp does the work.
//
//===----------------------------------------------------------------------===//
#include "TextDecoder.h"

#include "lowbit/Checkpoint/Message.h"

namespace lowbit {

Result<TextDecoder> TextDecoder::parse(const JsonField &field) {
  TextDecoder decoder;
  if (field.isAbsent())
    return decoder;
  decoder.mode = Joined;
  if (Status failed = decoder.add(field))
    return *failed;
  return decoder;
}

Status TextDecoder::add(const JsonField &field) {
  Result<std::string_view> type = field.get("type").string();
  if (!type)
    return type.error();
  if (*type == "Sequence")
    return addSequence(field.get("decoders"));
  if (*type == "Fuse") {
    fused = true;
    return std::nullopt;
  }
  if (*type == "Strip")
    return addStrip(field);
  if (*type != "ByteLevel" && *type != "ByteFallback" && *type != "Metaspace" &&
      *type != "Replace")
    return field.get("type").notSupported(
        "is " + quoted(*type) +
        "; known are ByteLevel, ByteFallback, Fuse, "
        "Metaspace, Replace, Strip, Sequence");
  if (fused || mode == ByteLevel)
    return field.notSupported("comes after Fuse or ByteLevel");
  if (*type == "Replace")
    return addReplace(field);
  if (*type == "Metaspace")
    return addMetaspace(field);
  if (*type == "ByteFallback")
    steps.push_back(ByteFallback{});
  else if (steps.empty())
    mode = ByteLevel;
  else
    return field.notSupported("is ByteLevel after another decoder");
  return std::nullopt;
}

// Recursion is as deep as the JSON, which its reader bounds.
Status TextDecoder::addSequence(const JsonField &field) {
  Result<const JsonArray *> array = field.array();
  if (!array)
    return array.error();
  for (size_t i = 0; i < (*array)->size(); ++i)
    if (Status failed = add(field.at(i)))
      return failed;
  return std::nullopt;
}

Status TextDecoder::addReplace(const JsonField &field) {
  JsonField pattern = field.get("pattern");
  if (pattern.get("Regex").value())
    return pattern.notSupported("is a regular expression, must be a String");
  Result<std::string_view> from = pattern.get("String").string();
  if (!from)
    return from.error();
  if (from->empty())
    return pattern.get("String").bad("is empty");
  Result<std::string_view> to = field.get("content").string();
  if (!to)
    return to.error();
  steps.push_back(Replace{std::string(*from), std::string(*to)});
  return std::nullopt;
}

static Result<std::string> oneCharacter(const JsonField &field) {
  Result<std::string_view> text = field.string();
  if (!text)
    return text.error();
  size_t end = 0;
  if (text->empty() || (decodeChar(*text, end), end != text->size()))
    return field.mustBe("one character");
  return std::string(*text);
}

Status TextDecoder::addMetaspace(const JsonField &field) {
  Result<std::string> replacement = oneCharacter(field.get("replacement"));
  if (!replacement)
    return replacement.error();
  Result<bool> add = field.get("add_prefix_space").booleanOr(true);
  if (!add)
    return add.error();
  bool drop = *add;
  JsonField scheme = field.get("prepend_scheme");
  if (!scheme.isAbsent()) {
    Result<std::string_view> name = scheme.string();
    if (!name)
      return name.error();
    drop = *name != "never";
    if (drop && *name != "always" && *name != "first")
      return scheme.notSupported("is " + quoted(*name) +
                                 "; known are always, first, never");
  }
  steps.push_back(Metaspace{std::move(*replacement), drop});
  return std::nullopt;
}

Status TextDecoder::addStrip(const JsonField &field) {
  Result<std::string> content = oneCharacter(field.get("content"));
  if (!content)
    return content.error();
  Result<uint64_t> start = field.get("start").integer(0, INT32_MAX);
  if (!start)
    return start.error();
  Result<uint64_t> stop = field.get("stop").integer(0, INT32_MAX);
  if (!stop)
    return stop.error();
  if (*stop != 0)
    return field.get("stop").notSupported("is " + std::to_string(*stop) +
                                          ", must be 0");
  if (mode == ByteLevel || stripFused.count != 0)
    return field.notSupported("comes after ByteLevel or another Strip");
  Strip strip{std::move(*content), static_cast<size_t>(*start)};
  if (fused)
    stripFused = std::move(strip);
  else
    steps.push_back(std::move(strip));
  return std::nullopt;
}

} // namespace lowbit
