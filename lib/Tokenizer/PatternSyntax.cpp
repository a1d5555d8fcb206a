//===- PatternSyntax.cpp - The patterns that are understood -----*- C++ -*-===//
//
// One pass from left to right; groups are a stack of their own, so that no
// pattern can exhaust the program's.
//
//===----------------------------------------------------------------------===//
#include "PatternSyntax.h"
#include "Utf8.h"

#include <array>
#include <cctype>
#include <cstdio>
#include <optional>

namespace lowbit {
namespace {

constexpr size_t maxPatternBytes = size_t(1) << 16;
constexpr size_t maxGroupDepth = 64;
constexpr unsigned maxRepeat = 1000;

constexpr std::array<std::string_view, 36> categories = {
    "C",  "Cc", "Cf", "Cn", "Co", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",
    "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Pe", "Pf",
    "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs"};

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isAsciiLetter(uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Reader {
public:
  explicit Reader(std::string_view pattern) : text(pattern) {}

  std::variant<PatternSyntax, PatternRefusal> read() {
    if (text.size() > maxPatternBytes)
      return PatternRefusal{"is longer than 65536 bytes"};
    if (text.substr(0, 4) == "(?i)") {
      pos = 4;
      result.pcre2 = "(?i)";
      groups.back().caseless = true;
    }
    while (reason.empty() && pos < text.size())
      readItem();
    if (reason.empty() && groups.size() != 1)
      refuse("has an unclosed group");
    if (!reason.empty())
      return PatternRefusal{reason};
    return std::move(result);
  }

private:
  struct Group {
    bool caseless = false;
    bool lookaround = false;
  };

  /// An element of a class: a character, or a set such as \s.
  struct Element {
    std::optional<uint32_t> character;
  };

  void refuse(std::string why) {
    if (reason.empty())
      reason = std::move(why) + " at byte " + std::to_string(pos);
  }
  bool at(char c) const { return pos < text.size() && text[pos] == c; }
  bool caseless() const { return groups.back().caseless; }

  void readItem();
  void readGroup();
  void closeGroup();
  void readQuantifier();
  std::string readBraces();
  void readClass();
  std::optional<Element> readClassElement();
  void readRangeEnd(uint32_t first);
  std::optional<Element> readEscape();
  std::optional<Element> readCategory(bool negative);
  std::optional<uint32_t> readHex(size_t digits);
  void emitCharacter(uint32_t c);
  void noteLiteral(uint32_t c);
  void name(uint32_t first, uint32_t last);

  std::string_view text;
  size_t pos = 0;
  std::string reason;
  PatternSyntax result;
  std::vector<Group> groups{Group()};
  /// Whether a quantifier may come next.
  bool repeatable = false;
  /// The literal just before this place, for ligatures; 0 if none.
  uint32_t previous = 0;
};

void Reader::readItem() {
  char c = text[pos];
  switch (c) {
  case '(':
    return readGroup();
  case ')':
    return closeGroup();
  case '|':
    ++pos;
    result.pcre2 += '|';
    repeatable = false;
    previous = 0;
    return;
  case '?':
  case '*':
  case '+':
  case '{':
    return readQuantifier();
  case '[':
    return readClass();
  case '^':
  case '$':
    return refuse(std::string("has the anchor ") + c);
  case ']':
  case '}':
    return refuse(std::string("has a lone ") + c);
  case '.':
    ++pos;
    result.pcre2 += '.';
    repeatable = true;
    previous = 0;
    return;
  default:
    break;
  }
  if (c == '\\') {
    std::optional<Element> element = readEscape();
    previous = 0;
    if (element && element->character)
      noteLiteral(*element->character);
  } else {
    noteLiteral(decodeChar(text, pos));
  }
  repeatable = true;
}

void Reader::readGroup() {
  static constexpr std::array<std::string_view, 7> kinds = {
      "(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
  Group group = groups.back();
  group.lookaround = false;
  std::string_view opening = "(?:"; // nothing refers back to a group
  size_t length = 1;
  if (text.substr(pos, 2) == "(?") {
    length = 0;
    for (std::string_view kind : kinds)
      if (text.substr(pos, kind.size()) == kind) {
        opening = kind;
        length = kind.size();
      }
    if (length == 0)
      return refuse("has a group of an unknown kind");
    group.caseless |= opening == "(?i:";
    group.lookaround = opening.find_first_of("=!") != std::string_view::npos;
  } else if (text.substr(pos, 2) == "(*") {
    return refuse("has a (* verb");
  }
  if (groups.size() > maxGroupDepth)
    return refuse("has groups more than 64 deep");
  groups.push_back(group);
  pos += length;
  result.pcre2 += opening;
  repeatable = false;
  previous = 0;
}

void Reader::closeGroup() {
  if (groups.size() == 1)
    return refuse("has an unopened )");
  repeatable = !groups.back().lookaround;
  groups.pop_back();
  ++pos;
  result.pcre2 += ')';
  previous = 0;
}

void Reader::readQuantifier() {
  if (!repeatable)
    return refuse("has a quantifier after nothing that it could repeat");
  bool braces = at('{');
  std::string quantifier = braces ? readBraces() : std::string(1, text[pos++]);
  if (!reason.empty())
    return;
  bool exact = braces && quantifier.find(',') == std::string::npos;
  if (at('?')) {
    if (exact) // optional in Oniguruma, lazy in PCRE2
      return refuse("has {n}?");
    quantifier += text[pos++];
  } else if (at('+')) {
    if (braces) // a repeated repetition in Oniguruma, possessive in PCRE2
      return refuse("has + after braces");
    quantifier += text[pos++];
  }
  result.pcre2 += quantifier;
  repeatable = false;
  previous = 0;
}

/// Reads `{n}`, `{n,}` or `{n,m}`.
std::string Reader::readBraces() {
  size_t begin = pos++;
  auto number = [&]() -> std::optional<unsigned> {
    unsigned value = 0;
    size_t digits = 0;
    for (; pos < text.size() && isDigit(text[pos]) && digits < 5; ++digits)
      value = value * 10 + static_cast<unsigned>(text[pos++] - '0');
    return digits ? std::optional<unsigned>(value) : std::nullopt;
  };
  std::optional<unsigned> least = number();
  std::optional<unsigned> most = least;
  if (at(',')) {
    ++pos;
    most = number();
  }
  if (!least || !at('}'))
    refuse("has { that begins no quantifier");
  else if (*least > maxRepeat || (most && *most > maxRepeat))
    refuse("repeats more than 1000 times");
  else if (most && *most < *least)
    refuse("has a quantifier {n,m} with m < n");
  if (!reason.empty())
    return {};
  ++pos;
  return std::string(text.substr(begin, pos - begin));
}

void Reader::readClass() {
  ++pos;
  result.pcre2 += '[';
  if (at('^')) {
    ++pos;
    result.pcre2 += '^';
  }
  if (at(']'))
    return refuse("has a class that begins with ]");
  while (reason.empty() && !at(']')) {
    if (pos >= text.size())
      return refuse("has an unclosed class");
    std::optional<Element> element = readClassElement();
    if (!element)
      return;
    bool range = at('-') && text.substr(pos, 2) != "-]";
    if (range && !element->character)
      return refuse("has a range that begins with a set");
    if (range)
      readRangeEnd(*element->character);
    else if (element->character)
      name(*element->character, *element->character);
  }
  if (!reason.empty())
    return;
  ++pos;
  result.pcre2 += ']';
  repeatable = true;
  previous = 0;
}

/// Reads and emits one character or set; the name of a character is left to
/// the caller.
std::optional<Reader::Element> Reader::readClassElement() {
  if (at('\\')) {
    std::optional<Element> element = readEscape();
    if (element && element->character)
      emitCharacter(*element->character);
    return element;
  }
  if (at('[') || text.substr(pos, 2) == "&&") {
    refuse("has a class within a class");
    return std::nullopt;
  }
  Element element{decodeChar(text, pos)};
  emitCharacter(*element.character);
  return element;
}

void Reader::readRangeEnd(uint32_t first) {
  ++pos;
  result.pcre2 += '-';
  std::optional<Element> last = readClassElement();
  if (!last)
    return refuse("has an unclosed range");
  if (!last->character)
    return refuse("has a range that ends with a set");
  if (*last->character < first)
    return refuse("has a range whose end is before its start");
  if (caseless() && *last->character >= 0x80)
    return refuse("has characters beyond ASCII under (?i)");
  name(first, *last->character);
}

/// Reads what follows a backslash. A set is emitted; a character is not.
std::optional<Reader::Element> Reader::readEscape() {
  ++pos;
  if (pos >= text.size()) {
    refuse("ends with a backslash");
    return std::nullopt;
  }
  char c = text[pos++];
  static constexpr std::string_view controls = "n\nr\rt\tf\f";
  if (size_t i = controls.find(c); i != std::string_view::npos && i % 2 == 0)
    return Element{static_cast<uint32_t>(controls[i + 1])};
  switch (c) {
  case 's':
  case 'S':
    result.usesSpace = true;
    result.pcre2 += {'\\', c};
    return Element{};
  case 'd':
  case 'D':
    result.usesCategories = true;
    result.pcre2 += {'\\', c};
    return Element{};
  case 'p':
  case 'P':
    return readCategory(c == 'P');
  case 'x':
  case 'u':
    if (std::optional<uint32_t> value = readHex(c == 'u' ? 4 : 2))
      return Element{value};
    refuse(std::string("has a malformed \\") + c);
    return std::nullopt;
  default:
    break;
  }
  if (std::ispunct(static_cast<unsigned char>(c)))
    return Element{static_cast<uint32_t>(c)};
  --pos;
  refuse(static_cast<uint8_t>(c) < 0x80 && std::isgraph(c)
             ? std::string("has \\") + c
             : std::string("escapes a character that needs none"));
  return std::nullopt;
}

/// Reads `{L}` or `{^L}`; only general categories.
std::optional<Reader::Element> Reader::readCategory(bool negative) {
  size_t end = at('{') ? text.find('}', pos) : std::string_view::npos;
  if (end == std::string_view::npos) {
    refuse("has \\p without braces");
    return std::nullopt;
  }
  std::string_view category = text.substr(pos + 1, end - pos - 1);
  if (!category.empty() && category[0] == '^') {
    negative = !negative;
    category.remove_prefix(1);
  }
  for (std::string_view known : categories) {
    if (category != known)
      continue;
    if (caseless() && (known == "Ll" || known == "Lu" || known == "Lt"))
      refuse("has a category of cased letters under (?i)");
    pos = end + 1;
    result.usesCategories = true;
    result.pcre2 += negative ? "\\P{" : "\\p{";
    result.pcre2 += known;
    result.pcre2 += '}';
    return Element{};
  }
  refuse("has \\p of what is no general category");
  return std::nullopt;
}

/// Reads \uHHHH (4), \xHH (2, ASCII) or \x{H…}: a code point, no surrogate.
std::optional<uint32_t> Reader::readHex(size_t digits) {
  bool braces = digits == 2 && at('{');
  size_t end = pos + digits;
  if (braces)
    end = text.find('}', ++pos);
  if (end == std::string_view::npos || end > text.size() || end == pos ||
      end - pos > 8)
    return std::nullopt;
  uint32_t value = 0;
  for (; pos < end; ++pos) {
    auto c = static_cast<unsigned char>(text[pos]);
    if (!std::isxdigit(c) || value > 0x10FFFF)
      return std::nullopt;
    value = value * 16 + (std::isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10u);
  }
  pos += braces;
  bool surrogate = value >= 0xD800 && value < 0xE000;
  bool byte = digits == 2 && !braces && value >= 0x80;
  if (value > 0x10FFFF || surrogate || byte)
    return std::nullopt;
  return value;
}

/// Emits a character outside a class.
void Reader::noteLiteral(uint32_t c) {
  static constexpr std::array<std::string_view, 5> ligatures = {
      "ss", "ff", "fi", "fl", "st"};
  if (caseless())
    for (std::string_view pair : ligatures)
      if ((previous | 0x20) == static_cast<uint32_t>(pair[0]) &&
          (c | 0x20) == static_cast<uint32_t>(pair[1]))
        return refuse("has letters under (?i) that fold with a ligature");
  emitCharacter(c);
  name(c, c);
  previous = c;
}

void Reader::emitCharacter(uint32_t c) {
  if (caseless() && c >= 0x80)
    return refuse("has characters beyond ASCII under (?i)");
  if (isAsciiLetter(c) || (c < 0x80 && isDigit(static_cast<char>(c)))) {
    result.pcre2 += static_cast<char>(c);
    return;
  }
  char spelled[16];
  std::snprintf(spelled, sizeof spelled, "\\x{%X}", static_cast<unsigned>(c));
  result.pcre2 += spelled;
}

void Reader::name(uint32_t first, uint32_t last) {
  result.named.push_back({first, last});
}

} // namespace

std::variant<PatternSyntax, PatternRefusal>
readPattern(std::string_view pattern) {
  return Reader(pattern).read();
}

} // namespace lowbit
