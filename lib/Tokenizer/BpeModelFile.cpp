//===- BpeModelFile.cpp - Reading byte pair encoding ------------*- C++ -*-===//
//
// The `model` of a tokenizer.json: options, vocabulary, merges.
//
//===----------------------------------------------------------------------===//
#include "BpeModel.h"
#include "Utf8.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>
#include <cstdio>

namespace lowbit {

Result<BpeModel> BpeModel::parse(const JsonField &field, size_t addedTokens) {
  BpeModel model;
  if (Status failed = model.readOptions(field))
    return *failed;
  if (Status failed = model.readVocabulary(field.get("vocab"), addedTokens))
    return *failed;
  if (Status failed = model.readUnknown(field.get("unk_token")))
    return *failed;
  if (Status failed = model.readMerges(field.get("merges")))
    return *failed;
  return model;
}

/// Absent, null and the empty text are none.
static Status refuseText(const JsonField &field) {
  if (field.isAbsent())
    return std::nullopt;
  Result<std::string_view> text = field.string();
  if (!text)
    return text.error();
  if (!text->empty())
    return field.notSupported("is " + quoted(*text) + ", must be null");
  return std::nullopt;
}

Status BpeModel::readOptions(const JsonField &field) {
  Result<std::string_view> type = field.get("type").string();
  if (!type)
    return type.error();
  if (*type != "BPE")
    return field.get("type").notSupported("is " + quoted(*type) +
                                          ", must be BPE");
  Result<double> dropout = field.get("dropout").numberOr(0, 0, 1);
  if (!dropout)
    return dropout.error();
  if (*dropout != 0)
    return field.get("dropout").notSupported(
        "is not 0: the same text would give other ids each time");
  for (const char *name : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (Status failed = refuseText(field.get(name)))
      return failed;
  struct {
    const char *name;
    bool *value;
  } flags[] = {{"byte_fallback", &byteFallback},
               {"fuse_unk", &fuseUnknown},
               {"ignore_merges", &ignoreMerges}};
  for (auto &flag : flags) {
    Result<bool> value = field.get(flag.name).booleanOr(false);
    if (!value)
      return value.error();
    *flag.value = *value;
  }
  return std::nullopt;
}

Status BpeModel::readVocabulary(const JsonField &field, size_t addedTokens) {
  Result<const JsonObject *> object = field.object();
  if (!object)
    return object.error();
  if ((*object)->size() == 0)
    return field.bad("is empty");
  // Both numbers are bounded by the number of values in a JSON text.
  size_t limit = (*object)->size() + addedTokens;
  std::vector<bool> taken(limit, false);
  vocabulary.reserve((*object)->size());
  index.reserve((*object)->size());
  for (const JsonMember &member : **object) {
    std::optional<uint64_t> id = member.value.asUint64();
    if (!id || *id >= limit)
      return field.bad(quoted(member.key) + " has the id " +
                       field.get(member.key).describe() +
                       ", must be an integer below " + std::to_string(limit) +
                       ", the number of tokens");
    if (taken[*id])
      return field.bad(quoted(member.key) + " has the id " +
                       std::to_string(*id) + " of another token");
    taken[*id] = true;
    vocabulary.push_back({member.key, static_cast<int32_t>(*id)});
    index.insert(vocabulary.back().text, vocabulary.back().id);
  }
  firstMerge.assign(limit + 1, 0);
  indexCharacters();
  return std::nullopt;
}

void BpeModel::indexCharacters() {
  for (uint32_t c = 0; c < characterTokens.size(); ++c) {
    std::string text;
    appendChar(text, c);
    characterTokens[c] = index.find(text);
  }
  for (unsigned byte = 0; byte < byteTokens.size(); ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    byteTokens[byte] = index.find(text);
  }
}

Status BpeModel::readUnknown(const JsonField &field) {
  if (field.isAbsent())
    return std::nullopt;
  Result<std::string_view> text = field.string();
  if (!text)
    return text.error();
  unknown = index.find(*text);
  if (unknown < 0)
    return field.bad("is " + quoted(*text) + ", which the vocabulary lacks");
  return std::nullopt;
}

/// The two parts of a merge: `["a", "b"]` or `"a b"`.
static Result<std::pair<std::string_view, std::string_view>>
readMerge(const JsonField &field) {
  const JsonValue *value = field.value();
  std::string_view left, right;
  if (value->isString()) {
    std::string_view text = value->asString();
    size_t space = text.find(' ');
    if (space != std::string_view::npos) {
      left = text.substr(0, space);
      right = text.substr(space + 1);
    }
    if (right.find(' ') != std::string_view::npos)
      right = {};
  } else if (value->isArray() && value->asArray().size() == 2 &&
             value->asArray()[0].isString() && value->asArray()[1].isString()) {
    left = value->asArray()[0].asString();
    right = value->asArray()[1].asString();
  }
  if (left.empty() || right.empty())
    return field.mustBe("two texts, or one with a single space");
  return std::pair(left, right);
}

Result<int32_t> BpeModel::tokenOfMerge(const JsonField &field,
                                       std::string_view token) const {
  int32_t id = index.find(token);
  if (id < 0)
    return field.bad("is of " + quoted(token) + ", which the vocabulary lacks");
  return id;
}

Status BpeModel::readMerges(const JsonField &field) {
  Result<const JsonArray *> array = field.array();
  if (!array)
    return array.error();
  std::vector<FileMerge> list;
  list.reserve((*array)->size());
  for (size_t i = 0; i < (*array)->size(); ++i) {
    const JsonValue &value = (**array)[i];
    // A comment that old files took over from merges.txt.
    if (value.isString() && value.asString().rfind("#version", 0) == 0)
      continue;
    JsonField entry = field.at(i);
    auto parts = readMerge(entry);
    if (!parts)
      return parts.error();
    std::string joined(parts->first);
    joined += parts->second;
    int32_t ids[3];
    std::string_view texts[3] = {parts->first, parts->second, joined};
    for (int part = 0; part < 3; ++part) {
      Result<int32_t> id = tokenOfMerge(entry, texts[part]);
      if (!id)
        return id.error();
      ids[part] = *id;
    }
    list.push_back(
        {ids[0], {ids[1], static_cast<uint32_t>(list.size()), ids[2]}});
  }
  return indexMerges(list, field);
}

Status BpeModel::indexMerges(std::vector<FileMerge> &list,
                             const JsonField &field) {
  auto key = [](const FileMerge &m) {
    return std::pair(m.left, m.merge.right);
  };
  std::sort(
      list.begin(), list.end(),
      [&](const FileMerge &a, const FileMerge &b) { return key(a) < key(b); });
  auto twice = std::adjacent_find(
      list.begin(), list.end(),
      [&](const FileMerge &a, const FileMerge &b) { return key(a) == key(b); });
  if (twice != list.end())
    return field.bad("has the merge of the ids " + std::to_string(twice->left) +
                     " and " + std::to_string(twice->merge.right) + " twice");
  merges.reserve(list.size());
  for (const FileMerge &entry : list) {
    ++firstMerge[static_cast<size_t>(entry.left) + 1];
    merges.push_back(entry.merge);
  }
  for (size_t i = 1; i < firstMerge.size(); ++i)
    firstMerge[i] += firstMerge[i - 1];
  return std::nullopt;
}

} // namespace lowbit
