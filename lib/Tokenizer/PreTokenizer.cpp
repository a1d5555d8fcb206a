//===- PreTokenizer.cpp - Where tokens may not reach across -----*- C++ -*-===//
//
// The steps themselves; PreTokenizerFile.cpp reads them.
//
//===----------------------------------------------------------------------===//
#include "PreTokenizer.h"
#include "ByteLevel.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Tokenizer/Tokenizer.h"

#include <algorithm>

namespace lowbit {
namespace {

/// A part of a text, and whether it is a match.
struct Part {
  Span span;
  bool isMatch;
};

/// The matches and what is between them, in order.
std::vector<Part> partsOf(const std::vector<Span> &matches, size_t size,
                          bool invert) {
  std::vector<Part> parts;
  parts.reserve(matches.size() + 1);
  size_t done = 0;
  for (const Span &match : matches) {
    if (done < match.begin)
      parts.push_back({{done, match.begin}, invert});
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done < size)
    parts.push_back({{done, size}, invert});
  return parts;
}

/// Whether `part` joins the part before it (or, for MergedWithNext, after it),
/// which was a match or not.
bool joins(const Part &part, bool neighbourIsMatch, SplitBehavior behavior) {
  if (behavior == SplitBehavior::Contiguous)
    return part.isMatch == neighbourIsMatch;
  return part.isMatch && !neighbourIsMatch;
}

/// The parts joined from left to right. There is no match before the first.
std::vector<Span> joinForward(const std::vector<Part> &parts,
                              SplitBehavior behavior) {
  std::vector<Span> spans;
  bool previous = false;
  for (const Part &part : parts) {
    if (!spans.empty() && joins(part, previous, behavior))
      spans.back().end = part.span.end;
    else
      spans.push_back(part.span);
    previous = part.isMatch;
  }
  return spans;
}

/// The same from right to left.
std::vector<Span> joinBackward(const std::vector<Part> &parts) {
  std::vector<Span> spans;
  bool previous = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!spans.empty() && joins(*part, previous, SplitBehavior::MergedWithNext))
      spans.back().begin = part->span.begin;
    else
      spans.push_back(part->span);
    previous = part->isMatch;
  }
  std::reverse(spans.begin(), spans.end());
  return spans;
}

Status checkSize(const Pieces &pieces) {
  if (pieces.text.size() <= Tokenizer::maxTextBytes)
    return std::nullopt;
  return badInput("text", "",
                  "is longer than " + std::to_string(Tokenizer::maxTextBytes) +
                      " bytes in the tokenizer's spelling");
}

} // namespace

std::vector<Span> splitAt(const std::vector<Span> &matches, size_t size,
                          SplitBehavior behavior, bool invert) {
  std::vector<Part> parts = partsOf(matches, size, invert);
  switch (behavior) {
  case SplitBehavior::MergedWithPrevious:
  case SplitBehavior::Contiguous:
    return joinForward(parts, behavior);
  case SplitBehavior::MergedWithNext:
    return joinBackward(parts);
  case SplitBehavior::Removed:
  case SplitBehavior::Isolated:
    break;
  }
  std::vector<Span> spans;
  spans.reserve(parts.size());
  for (const Part &part : parts)
    if (behavior == SplitBehavior::Isolated || !part.isMatch)
      spans.push_back(part.span);
  return spans;
}

Result<Pieces> PreTokenizer::cut(Pieces pieces, const Split &split) {
  std::vector<Piece> list;
  list.reserve(pieces.list.size());
  for (const Piece &piece : pieces.list) {
    if (piece.id >= 0) {
      list.push_back(piece);
      continue;
    }
    Result<std::vector<Span>> matches =
        split.pattern.findAll(pieces.textOf(piece));
    if (!matches)
      return matches.error();
    for (const Span &span : splitAt(*matches, piece.end - piece.begin,
                                    split.behavior, split.invert))
      list.push_back({piece.begin + span.begin, piece.begin + span.end, -1,
                      piece.atStart && span.begin == 0});
  }
  pieces.list = std::move(list);
  return pieces;
}

Result<Pieces> PreTokenizer::run(Pieces pieces, const Split &step) {
  return cut(std::move(pieces), step);
}

Result<Pieces> PreTokenizer::run(Pieces pieces, const ByteLevel &step) {
  if (step.addPrefixSpace) {
    Pieces spaced;
    for (const Piece &piece : pieces.list) {
      std::string_view text = pieces.textOf(piece);
      bool lacks = piece.id < 0 && text[0] != ' ';
      spaced.append((lacks ? " " : "") + std::string(text), piece.id,
                    piece.atStart);
    }
    pieces = std::move(spaced);
  }
  if (step.split) {
    Result<Pieces> split = cut(std::move(pieces), *step.split);
    if (!split)
      return split;
    pieces = std::move(*split);
  }
  Pieces spelled;
  spelled.list.reserve(pieces.list.size());
  spelled.text.reserve(pieces.text.size() + pieces.text.size() / 4);
  for (const Piece &piece : pieces.list) {
    size_t begin = spelled.text.size();
    if (piece.id < 0)
      appendByteLevel(spelled.text, pieces.textOf(piece));
    spelled.list.push_back(
        {begin, spelled.text.size(), piece.id, piece.atStart});
  }
  return spelled;
}

Result<Pieces> PreTokenizer::run(Pieces pieces, const Metaspace &step) {
  Pieces replaced;
  for (const Piece &piece : pieces.list) {
    if (piece.id >= 0) {
      replaced.append({}, piece.id, false);
      continue;
    }
    std::string text;
    for (char byte : pieces.textOf(piece))
      byte == ' ' ? text += step.replacement : text += byte;
    bool wanted = step.prepend == Metaspace::Always ||
                  (step.prepend == Metaspace::First && piece.atStart);
    if (wanted && text.rfind(step.replacement, 0) != 0)
      text.insert(0, step.replacement);
    replaced.append(text, -1, piece.atStart);
  }
  return step.split ? cut(std::move(replaced), *step.split) : replaced;
}

Result<Pieces> PreTokenizer::apply(Pieces pieces) const {
  for (const Step &step : steps) {
    Result<Pieces> next = std::visit(
        [&](const auto &step) { return run(std::move(pieces), step); }, step);
    if (!next)
      return next;
    pieces = std::move(*next);
    if (Status failed = checkSize(pieces))
      return *failed;
  }
  return pieces;
}

bool PreTokenizer::needsStart() const {
  return std::any_of(steps.begin(), steps.end(), [](const Step &step) {
    const auto *metaspace = std::get_if<Metaspace>(&step);
    return metaspace && metaspace->prepend == Metaspace::First;
  });
}

} // namespace lowbit
