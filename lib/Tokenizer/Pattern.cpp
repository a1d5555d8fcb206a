//===- Pattern.cpp - Finding the matches of a pattern -----------*- C++ -*-===//
//
// See Pattern.h.
//
//===----------------------------------------------------------------------===//
#include "Pattern.h"
#include "PatternSyntax.h"
#include "Utf8.h"

#include "lowbit/Checkpoint/Message.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cassert>
#include <limits>

namespace lowbit {
namespace {

template <auto Free> struct Release {
  template <typename T> void operator()(T *pointer) const { Free(pointer); }
};
using Code = std::unique_ptr<pcre2_code, Release<pcre2_code_free>>;
using CompileContext =
    std::unique_ptr<pcre2_compile_context, Release<pcre2_compile_context_free>>;
using MatchContext =
    std::unique_ptr<pcre2_match_context, Release<pcre2_match_context_free>>;
using MatchData =
    std::unique_ptr<pcre2_match_data, Release<pcre2_match_data_free>>;

/// Backtracking steps at one place of the text: a pattern of single repeats
/// takes a few for each byte of the run that begins there.
constexpr uint64_t stepsBase = 10000;
constexpr uint64_t stepsPerByte = 16;
constexpr uint32_t heapKiB = 65536;

constexpr uint32_t pcre2Space = 0x180E;

std::string pcre2Message(int code) {
  char text[256];
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR *>(text),
                          sizeof text);
  return text;
}

bool overlaps(const CodePointRange &range, uint32_t first, uint32_t last) {
  return range.first <= last && first <= range.last;
}

} // namespace

struct Pattern::Compiled {
  Code code;
  /// What is replaced by its stand-in: nothing, U+180E, or all of the table.
  enum StandIns { None, SpaceOnly, All } standIns = None;

  std::string replaced(std::string_view text) const;
};

/// A copy of `text` for PCRE2, of the same length.
std::string Pattern::Compiled::replaced(std::string_view text) const {
  std::string copy(text);
  for (size_t i = 0; i < text.size();) {
    size_t begin = i;
    uint32_t c = decodeChar(text, i);
    if (c < 0x80 || (standIns == SpaceOnly && c != pcre2Space))
      continue;
    if (const StandInRange *range = standInRanges.find(c)) {
      std::string standIn;
      appendChar(standIn, range->standIn);
      copy.replace(begin, i - begin, standIn);
    }
  }
  return copy;
}

Result<Pattern> Pattern::parse(const JsonField &field) {
  Result<const JsonObject *> object = field.object();
  if (!object)
    return object.error();
  bool isRegex = field.get("Regex").value() != nullptr;
  JsonField member = field.get(isRegex ? "Regex" : "String");
  Result<std::string_view> value = member.string();
  if (!value)
    return value.error();
  if ((*object)->size() != 1)
    return field.mustBe("one of String and Regex");
  return isRegex ? regex(*value, member) : literal(std::string(*value), member);
}

Result<Pattern> Pattern::literal(std::string text, const JsonField &field) {
  if (text.empty())
    return field.bad("is empty");
  Pattern pattern;
  pattern.text = std::move(text);
  return pattern;
}

/// Whether a pattern names a character that would be replaced, or a stand-in.
static bool namesStandIns(const PatternSyntax &syntax, bool spaceOnly) {
  for (const CodePointRange &range : syntax.named)
    for (const StandInRange &row : standInRanges) {
      if (spaceOnly && row.first != pcre2Space)
        continue;
      if (overlaps(range, row.first, row.last) ||
          overlaps(range, row.standIn, row.standIn))
        return true;
    }
  return false;
}

Result<Pattern> Pattern::regex(std::string_view text, const JsonField &field) {
  auto read = readPattern(text);
  if (auto *refusal = std::get_if<PatternRefusal>(&read))
    return field.notSupported("is the pattern " + quoted(text) + ", which " +
                              refusal->reason);
  const PatternSyntax &syntax = std::get<PatternSyntax>(read);
  auto compiled = std::make_shared<Compiled>();
  if (syntax.usesCategories || syntax.usesSpace)
    compiled->standIns =
        syntax.usesCategories ? Compiled::All : Compiled::SpaceOnly;
  if (compiled->standIns != Compiled::None &&
      namesStandIns(syntax, compiled->standIns == Compiled::SpaceOnly))
    return field.notSupported(
        "is the pattern " + quoted(text) +
        ", which names characters newer than Unicode 14 beside categories");

  CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int code = 0;
  PCRE2_SIZE offset = 0;
  compiled->code.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(syntax.pcre2.data()), syntax.pcre2.size(),
      PCRE2_UTF | PCRE2_UCP, &code, &offset, context.get()));
  if (!compiled->code)
    return field.notSupported("is the pattern " + quoted(text) +
                              ", which PCRE2 refuses: " + pcre2Message(code));
  uint32_t matchesEmpty = 0;
  pcre2_pattern_info(compiled->code.get(), PCRE2_INFO_MATCHEMPTY,
                     &matchesEmpty);
  if (matchesEmpty)
    return field.notSupported("is the pattern " + quoted(text) +
                              ", which can match the empty text");
  Pattern pattern;
  pattern.compiled = std::move(compiled);
  return pattern;
}

static std::vector<Span> findLiteral(std::string_view text,
                                     std::string_view literal) {
  std::vector<Span> spans;
  for (size_t at = text.find(literal); at != std::string_view::npos;
       at = text.find(literal, at + literal.size()))
    spans.push_back({at, at + literal.size()});
  return spans;
}

Result<std::vector<Span>> Pattern::findAll(std::string_view subject) const {
  if (!compiled)
    return findLiteral(subject, text);
  std::string copy;
  if (compiled->standIns != Compiled::None && !isAscii(subject)) {
    copy = compiled->replaced(subject);
    subject = copy;
  }
  MatchContext context(pcre2_match_context_create(nullptr));
  uint64_t steps = std::min<uint64_t>(stepsBase + stepsPerByte * subject.size(),
                                      std::numeric_limits<uint32_t>::max());
  pcre2_set_match_limit(context.get(), static_cast<uint32_t>(steps));
  pcre2_set_heap_limit(context.get(), heapKiB);
  MatchData data(pcre2_match_data_create(1, nullptr));
  std::vector<Span> spans;
  for (size_t start = 0; start < subject.size();) {
    int found = pcre2_match(
        compiled->code.get(), reinterpret_cast<PCRE2_SPTR>(subject.data()),
        subject.size(), start, PCRE2_NO_UTF_CHECK, data.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH)
      break;
    if (found < 0)
      return badInput("text", "",
                      "a pattern of the tokenizer gives up at byte " +
                          std::to_string(start) + ": " + pcre2Message(found));
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(data.get());
    assert(bounds[0] < bounds[1] && "a pattern that matches nothing");
    spans.push_back({bounds[0], bounds[1]});
    start = bounds[1];
  }
  return spans;
}

bool Pattern::isOneCharacter() const {
  size_t end = 0;
  return !compiled && (decodeChar(text, end), end == text.size());
}

} // namespace lowbit
