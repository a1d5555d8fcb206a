//===- Defect.cpp - Numbers that cannot be stored ---------------*- C++ -*-===//
//
// A defect, and the words for each kind.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Numerics/Defect.h"

#include <cstdio>

namespace lowbit {

Defect defectAt(Defect::Kind kind, int64_t row, int64_t column, float value) {
  Defect defect;
  defect.kind = kind;
  defect.row = row;
  defect.column = column;
  defect.value = value;
  return defect;
}

/// What is refused, and the limit it breaks.
struct DefectWords {
  const char *what;
  const char *limit;
};

static DefectWords wordsOf(Defect::Kind kind) {
  switch (kind) {
  case Defect::Kind::NonFiniteWeight:
    return {"weight", "must be finite"};
  case Defect::Kind::BadImportance:
    return {"importance", "must be finite and not negative"};
  case Defect::Kind::ScaleOverflow:
    return {"scale", "exceeds"};
  case Defect::Kind::BadScale:
    return {"scale of the group", "must be finite and not signed"};
  case Defect::Kind::BadFactor:
    return {"factor of the scales", "must be finite and positive, and 1 for "
                                    "formats without one"};
  case Defect::Kind::BadCode:
    return {"code", "must be below 2^bits"};
  case Defect::Kind::BadZero:
    return {"zero point of the group", "must be below 2^bits"};
  }
  return {"number", "cannot be stored"};
}

/// With as many digits as tell all f32 apart.
static std::string describeNumber(float value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", static_cast<double>(value));
  return text;
}

std::string describe(const Defect &defect) {
  DefectWords words = wordsOf(defect.kind);
  std::string place;
  if (defect.row >= 0)
    place += " row " + std::to_string(defect.row) + ",";
  if (defect.group >= 0)
    place += " group " + std::to_string(defect.group);
  else if (defect.column >= 0)
    place += " column " + std::to_string(defect.column);
  std::string text = words.what;
  if (!place.empty())
    text += " at" + place;
  text += " is " + describeNumber(defect.value) + ", " + words.limit;
  if (defect.kind == Defect::Kind::ScaleOverflow)
    text += " " + describeNumber(defect.limit) + ", the largest that is stored";
  if (defect.count > 1)
    text += " (" + std::to_string(defect.count) + " such in this tile)";
  return text;
}

} // namespace lowbit
