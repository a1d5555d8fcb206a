//===- AddedTokens.cpp - Tokens found before all others ---------*- C++ -*-===//
//
// See AddedTokens.h.
//
//===----------------------------------------------------------------------===//
#include "AddedTokens.h"
#include "TextIndex.h"
#include "UnicodeTables.h"
#include "Utf8.h"

#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

namespace lowbit {
namespace {

Result<AddedToken> parseAddedToken(const JsonField &field) {
  AddedToken token;
  Result<uint64_t> id = field.get("id").integer(0, INT32_MAX - 1);
  if (!id)
    return id.error();
  token.id = static_cast<int32_t>(*id);
  Result<std::string_view> content = field.get("content").string();
  if (!content)
    return content.error();
  if (content->empty())
    return field.get("content").bad("is empty");
  if (content->size() > maxAddedTokenBytes)
    return field.get("content").notSupported(
        "is " + std::to_string(content->size()) + " bytes long, at most " +
        std::to_string(maxAddedTokenBytes) + " are supported");
  token.content = *content;
  struct {
    const char *name;
    bool *value;
  } flags[] = {{"single_word", &token.singleWord},
               {"lstrip", &token.leftStrip},
               {"rstrip", &token.rightStrip},
               {"normalized", &token.normalized},
               {"special", &token.special}};
  for (auto &flag : flags) {
    Result<bool> value = field.get(flag.name).boolean();
    if (!value)
      return value.error();
    *flag.value = *value;
  }
  return token;
}

bool isWord(uint32_t c) { return wordRanges.find(c) != nullptr; }
bool isSpace(uint32_t c) { return spaceRanges.find(c) != nullptr; }

/// Whether text[begin, end) touches no word character on either side.
bool standsAlone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0 && isWord(decodeCharBefore(text, begin)))
    return false;
  return end == text.size() || !isWord(decodeChar(text, end));
}

/// Start of the white space that ends at `end`, but not before `limit`.
size_t skipSpaceBefore(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    size_t before = end;
    if (!isSpace(decodeCharBefore(text, before)))
      break;
    end = before;
  }
  return end;
}

/// End of the white space that starts at `begin`.
size_t skipSpaceAfter(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t after = begin;
    if (!isSpace(decodeChar(text, after)))
      break;
    begin = after;
  }
  return begin;
}

} // namespace

Result<std::vector<AddedToken>> parseAddedTokens(const JsonField &field) {
  std::vector<AddedToken> tokens;
  if (field.isAbsent())
    return tokens;
  Result<const JsonArray *> array = field.array();
  if (!array)
    return array.error();
  tokens.reserve((*array)->size());
  TextIndex contents;
  std::vector<int32_t> ids;
  for (size_t i = 0; i < (*array)->size(); ++i) {
    Result<AddedToken> token = parseAddedToken(field.at(i));
    if (!token)
      return token.error();
    tokens.push_back(std::move(*token));
    if (!contents.insert(tokens.back().content, tokens.back().id))
      return field.at(i).bad("has the content " +
                             quoted(tokens.back().content) +
                             ", which is there twice");
    ids.push_back(tokens.back().id);
  }
  std::sort(ids.begin(), ids.end());
  auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice != ids.end())
    return field.bad("has the id " + std::to_string(*twice) + " twice");
  return tokens;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> list)
    : tokens(std::move(list)) {
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken &a, const AddedToken &b) {
              return a.content < b.content;
            });
  buildTree();
}

/// Level by level: a node stands for a range of `tokens`, which are sorted,
/// that share a prefix.
void AddedTokenFinder::buildTree() {
  struct Range {
    size_t first, last, depth;
  };
  nodes.emplace_back();
  std::vector<Range> ranges{{0, tokens.size(), 0}};
  for (size_t n = 0; n < nodes.size(); ++n) {
    auto [first, last, depth] = ranges[n];
    if (first < last && tokens[first].content.size() == depth)
      nodes[n].token = static_cast<int32_t>(first++);
    nodes[n].firstChild = static_cast<uint32_t>(nodes.size());
    while (first < last) {
      size_t end = first;
      while (end < last &&
             tokens[end].content[depth] == tokens[first].content[depth])
        ++end;
      Node node;
      node.byte = static_cast<uint8_t>(tokens[first].content[depth]);
      nodes.push_back(node);
      ++nodes[n].children;
      ranges.push_back({first, end, depth + 1});
      if (n == 0)
        begins[node.byte] = true;
      first = end;
    }
  }
}

const AddedTokenFinder::Node *AddedTokenFinder::child(const Node &node,
                                                      uint8_t byte) const {
  auto begin = nodes.begin() + node.firstChild;
  auto end = begin + node.children;
  auto it = std::lower_bound(
      begin, end, byte, [](const Node &n, uint8_t b) { return n.byte < b; });
  return it != end && it->byte == byte ? &*it : nullptr;
}

const AddedToken *AddedTokenFinder::longestAt(std::string_view text,
                                              size_t offset) const {
  const AddedToken *longest = nullptr;
  const Node *node = &nodes[0];
  for (size_t i = offset; i < text.size(); ++i) {
    node = child(*node, static_cast<uint8_t>(text[i]));
    if (!node)
      break;
    if (node->token >= 0)
      longest = &tokens[static_cast<size_t>(node->token)];
  }
  return longest;
}

std::vector<AddedTokenMatch> AddedTokenFinder::split(std::string_view text,
                                                     bool parseSpecial) const {
  std::vector<AddedTokenMatch> parts;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const AddedToken *token =
        begins[static_cast<uint8_t>(text[i])] ? longestAt(text, i) : nullptr;
    if (!token) {
      ++i;
      continue;
    }
    size_t begin = i, end = i + token->content.size();
    i = end;
    if (token->special && !parseSpecial)
      continue;
    if (token->singleWord && !standsAlone(text, begin, end))
      continue;
    if (token->leftStrip)
      begin = std::max(skipSpaceBefore(text, begin, done), done);
    if (token->rightStrip)
      end = skipSpaceAfter(text, end);
    if (done < begin)
      parts.push_back({done, begin, nullptr});
    parts.push_back({begin, end, token});
    done = end;
  }
  if (done != text.size())
    parts.push_back({done, text.size(), nullptr});
  return parts;
}

} // namespace lowbit
