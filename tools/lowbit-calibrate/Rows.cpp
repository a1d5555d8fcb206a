//===- Rows.cpp - The text as rows of batches -----------------------------===//

#include "Rows.h"

#include <algorithm>

using namespace lowbit::calibrate;

TextRows lowbit::calibrate::cutText(const std::vector<int32_t> &ids,
                                    std::optional<int32_t> bos,
                                    const RowLimits &limits) {
  TextRows text;
  auto count = static_cast<int64_t>(ids.size());
  int64_t lead = bos ? 1 : 0;
  int32_t sequence = 0;
  for (int64_t at = 0; at < count; at += limits.context - lead) {
    int64_t tokens = std::min(limits.context - lead, count - at);
    int64_t length = tokens + lead;
    bool fits = !text.batches.empty() && sequence + 1 < limits.sequences &&
                text.batches.back().end - text.batches.back().begin + length <=
                    limits.rows;
    sequence = fits ? sequence + 1 : 0;
    auto begin = static_cast<int64_t>(text.rows.size());
    for (int64_t i = 0; i < length; ++i)
      text.rows.push_back({i < lead ? *bos : ids[at + i - lead], sequence,
                           static_cast<int32_t>(i)});
    if (fits) {
      text.batches.back().end += length;
      continue;
    }
    for (int64_t i = 0; i < length; i += limits.rows)
      text.batches.push_back(
          {begin + i, begin + std::min(length, i + limits.rows)});
  }
  return text;
}
