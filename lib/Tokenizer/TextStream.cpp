//===- TextStream.cpp - From token texts to text ----------------*- C++ -*-===//
//
// See TextDecoder.h.
//
//===----------------------------------------------------------------------===//
#include "ByteLevel.h"
#include "TextDecoder.h"

#include <cctype>
#include <optional>

namespace lowbit {
namespace {

constexpr std::string_view replacementCharacter = "\xEF\xBF\xBD"; // U+FFFD

std::string replaceAll(std::string_view text, std::string_view from,
                       std::string_view to) {
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(from); at != std::string_view::npos;
       at = text.find(from, done)) {
    out += text.substr(done, at - done);
    out += to;
    done = at + from.size();
  }
  out += text.substr(done);
  return out;
}

/// Removes `prefix` from the start, at most `count` times; how often it was
/// there.
size_t stripStart(std::string_view &text, std::string_view prefix,
                  size_t count) {
  size_t done = 0;
  for (; done < count && text.substr(0, prefix.size()) == prefix; ++done)
    text.remove_prefix(prefix.size());
  return done;
}

/// The byte of a token `<0xHH>`; nothing for any other text.
std::optional<uint8_t> byteOf(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>')
    return std::nullopt;
  unsigned value = 0;
  for (char c : token.substr(3, 2)) {
    if (!std::isxdigit(static_cast<unsigned char>(c)))
      return std::nullopt;
    bool letter = c > '9';
    value = value * 16 +
            static_cast<unsigned>(letter ? (c | 0x20) - 'a' + 10 : c - '0');
  }
  return static_cast<uint8_t>(value);
}

} // namespace

TextStream::TextStream(const TextDecoder &decoder)
    : decoder(&decoder), memories(decoder.steps.size()),
      strips(decoder.stripFused.count) {}

void TextStream::push(std::string_view token, std::string &out) {
  if (decoder->mode == TextDecoder::ByteLevel)
    return repair.push(decodeByteLevel(token), out);
  pass(0, std::string(token), out);
}

void TextStream::finish(std::string &out) {
  for (size_t i = 0; i < memories.size(); ++i)
    if (!memories[i].bytes.empty())
      passBytes(i, out);
  repair.finish(out);
  *this = TextStream(*decoder);
}

void TextStream::pass(size_t first, std::string token, std::string &out) {
  for (size_t i = first; i < decoder->steps.size(); ++i) {
    const TextDecoder::Step &step = decoder->steps[i];
    Memory &memory = memories[i];
    if (const auto *replace = std::get_if<TextDecoder::Replace>(&step)) {
      token = replaceAll(token, replace->from, replace->to);
    } else if (const auto *meta = std::get_if<TextDecoder::Metaspace>(&step)) {
      bool drop = meta->dropFirst && !memory.started;
      token = replaceAll(token, meta->replacement, drop ? "" : " ");
      memory.started = true;
    } else if (const auto *strip = std::get_if<TextDecoder::Strip>(&step)) {
      std::string_view rest = token;
      stripStart(rest, strip->content, strip->count);
      token = std::string(rest);
    } else if (std::optional<uint8_t> byte = byteOf(token)) {
      memory.bytes.push_back(static_cast<char>(*byte));
      return;
    } else if (!memory.bytes.empty()) {
      passBytes(i, out);
    }
  }
  write(token, out);
}

void TextStream::passBytes(size_t step, std::string &out) {
  std::string bytes = std::move(memories[step].bytes);
  memories[step].bytes.clear();
  if (!findInvalidUtf8(bytes))
    return pass(step + 1, std::move(bytes), out);
  for (size_t i = 0; i < bytes.size(); ++i)
    pass(step + 1, std::string(replacementCharacter), out);
}

void TextStream::write(std::string_view text, std::string &out) {
  if (decoder->mode == TextDecoder::JoinedBySpaces && started)
    out += ' ';
  if (strips > 0 && !text.empty()) {
    size_t stripped = stripStart(text, decoder->stripFused.content, strips);
    strips = text.empty() ? strips - stripped : 0;
  }
  started = true;
  out += text;
}

} // namespace lowbit
