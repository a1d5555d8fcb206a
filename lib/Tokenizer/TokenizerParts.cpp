//===- TokenizerParts.cpp - Reading a tokenizer.json ------------*- C++ -*-===//
//
// See TokenizerParts.h. `truncation` and `padding` are not read.
//
//===----------------------------------------------------------------------===//
#include "TokenizerParts.h"

#include "lowbit/Checkpoint/Message.h"

namespace lowbit {

Result<TokenizerParts> TokenizerParts::parse(const JsonField &root) {
  if (Result<const JsonObject *> object = root.object(); !object)
    return object.error();
  if (JsonField version = root.get("version"); version.value()) {
    Result<std::string_view> text = version.string();
    if (!text)
      return text.error();
    if (*text != "1.0")
      return version.notSupported("is " + quoted(*text) + ", must be \"1.0\"");
  }
  JsonField addedField = root.get("added_tokens");
  Result<std::vector<AddedToken>> added = parseAddedTokens(addedField);
  if (!added)
    return added.error();
  TokenizerParts parts;
  if (Status failed = parts.readStages(root, added->size()))
    return *failed;
  if (Status failed = parts.fillTokens(*added, addedField))
    return *failed;
  if (Status failed = parts.addFinders(std::move(*added), addedField))
    return *failed;
  Result<TokenTemplate> around =
      parseTemplate(root.get("post_processor"), parts.tokens.size());
  if (!around)
    return around.error();
  parts.around = std::move(*around);
  return parts;
}

Status TokenizerParts::readStages(const JsonField &root, size_t addedTokens) {
  Result<Normalizer> readNormalizer = Normalizer::parse(root.get("normalizer"));
  if (!readNormalizer)
    return readNormalizer.error();
  normalizer = std::move(*readNormalizer);
  Result<PreTokenizer> readPreTokenizer =
      PreTokenizer::parse(root.get("pre_tokenizer"));
  if (!readPreTokenizer)
    return readPreTokenizer.error();
  preTokenizer = std::move(*readPreTokenizer);
  // "first" asks where the original of a character was, which a replacement
  // that is not one to one may move.
  if (preTokenizer.needsStart() && !normalizer.keepsStart())
    return root.get("pre_tokenizer")
        .notSupported("has Metaspace with prepend_scheme first after a "
                      "normalizer that replaces more than one character");
  Result<TextDecoder> readDecoder = TextDecoder::parse(root.get("decoder"));
  if (!readDecoder)
    return readDecoder.error();
  decoder = std::move(*readDecoder);
  Result<BpeModel> readModel = BpeModel::parse(root.get("model"), addedTokens);
  if (!readModel)
    return readModel.error();
  model = std::move(*readModel);
  return std::nullopt;
}

/// Puts all tokens in the order of their ids.
Status TokenizerParts::fillTokens(const std::vector<AddedToken> &added,
                                  const JsonField &field) {
  size_t count = model.tokens().size();
  for (const AddedToken &token : added)
    count += model.find(token.content) < 0;
  tokens.resize(count);
  for (const BpeModel::Token &token : model.tokens()) {
    size_t id = static_cast<size_t>(token.id);
    if (id >= count)
      return field.bad("leaves gaps: the vocabulary has the id " +
                       std::to_string(id) + " of " + std::to_string(count) +
                       " tokens");
    tokens[id].text = token.text;
  }
  addedIds.reserve(added.size());
  for (size_t i = 0; i < added.size(); ++i) {
    const AddedToken &token = added[i];
    size_t id = static_cast<size_t>(token.id);
    int32_t known = model.find(token.content);
    if (known >= 0 && known != token.id)
      return field.at(i).bad("gives " + quoted(token.content) + " the id " +
                             std::to_string(id) + ", the vocabulary " +
                             std::to_string(known));
    if (id >= count)
      return field.at(i).bad("leaves gaps: the id is " + std::to_string(id) +
                             ", with " + std::to_string(count) + " tokens");
    if (known < 0 && !tokens[id].text.empty())
      return field.at(i).bad("gives " + quoted(token.content) + " the id " +
                             std::to_string(id) + " of " +
                             quoted(tokens[id].text));
    tokens[id].text = token.content;
    tokens[id].special = token.special;
    addedIds.insert(tokens[id].text, token.id);
  }
  return std::nullopt;
}

/// Makes what searches for added tokens.
Status TokenizerParts::addFinders(std::vector<AddedToken> added,
                                  const JsonField &field) {
  std::vector<AddedToken> before, after;
  TextIndex forms;
  after.reserve(added.size());
  for (size_t i = 0; i < added.size(); ++i) {
    AddedToken &token = added[i];
    if (!token.normalized) {
      before.push_back(std::move(token));
      continue;
    }
    Result<std::string> form = normalizer.apply(token.content);
    if (!form)
      return form.error();
    if (form->empty() || form->size() > maxAddedTokenBytes)
      return field.at(i).notSupported("has a content that normalizes to " +
                                      std::to_string(form->size()) + " bytes");
    if (*form != token.content)
      tokens[static_cast<size_t>(token.id)].normalizedForm = *form;
    token.content = std::move(*form);
    after.push_back(std::move(token));
    if (!forms.insert(after.back().content, after.back().id))
      return field.at(i).bad("has a content that normalizes to " +
                             quoted(after.back().content) +
                             ", as another one does");
  }
  plain = AddedTokenFinder(std::move(before));
  normalized = AddedTokenFinder(std::move(after));
  for (Token &token : tokens) {
    int32_t id = addedIds.find(token.decoded());
    token.skipped = id >= 0 && tokens[static_cast<size_t>(id)].special;
  }
  return std::nullopt;
}

} // namespace lowbit
