//===- CalibrationText.cpp - A text as rows of batches --------------------===//

#include "lowbit/Pipelines/CalibrationText.h"
#include "CompileInput.h"
#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/Hash.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

using namespace lowbit;

TextRows lowbit::cutText(const std::vector<int32_t> &ids,
                         std::optional<int32_t> bos, const RowLimits &limits) {
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

Status lowbit::checkTextRange(int64_t tokens, int64_t context,
                              const std::string &prefix) {
  auto usage = [&](const std::string &name, int64_t value,
                   const std::string &range) {
    return Error{ExitCode::Usage, prefix + name + ": is " +
                                      std::to_string(value) + ", must be " +
                                      range};
  };
  if (tokens < 0 || tokens > INT32_MAX)
    return usage("tokens", tokens, "from 1 to 2^31 - 1");
  if (context != 0 && (context < 2 || context > (int64_t(1) << 20)))
    return usage("context", context, "from 2 to 2^20");
  return std::nullopt;
}

Result<RowLimits> lowbit::chooseRowLimits(int64_t positions, int64_t context,
                                          const std::string &model) {
  if (positions < 2)
    return unsupported(model, "max_position_embeddings",
                       "is 1: a window has at least 2 tokens");
  if (context > positions)
    return Error{ExitCode::Usage,
                 "--calibration-context " + std::to_string(context) +
                     " is more than the " + std::to_string(positions) +
                     " positions of a sequence"};
  int64_t window =
      context != 0 ? context : std::min(positions, calibrationRows);
  return RowLimits{window, calibrationRows,
                   std::max<int64_t>(1, calibrationRows / window)};
}

Result<CalibrationText>
lowbit::readCalibrationText(const std::string &path,
                            const std::string &tokenizerJson,
                            const ManifestModel &model, const RowLimits &limits,
                            int64_t tokens, const std::string &flag) {
  Result<std::string> content = readFile(path, Tokenizer::maxTextBytes);
  if (!content)
    return content.error();
  CalibrationText text;
  text.digest = hex(sha256(bytesOf(*content)));
  Result<Tokenizer> tokenizer =
      readTokenizer(tokenizerJson, "tokenizer.json", model);
  if (!tokenizer)
    return tokenizer.error();
  auto ids = tokenizer->encode(*content, /*addSpecial=*/false,
                               /*parseSpecial=*/false);
  if (!ids)
    return Error{ids.error().code, escaped(path) + ": " + ids.error().message};
  auto count = static_cast<int64_t>(ids->size());
  if (count == 0)
    return badInput(path, "", "has no tokens");
  if (tokens > count)
    return badInput(path, "",
                    "has " + std::to_string(count) + " tokens, " + flag +
                        " asks for " + std::to_string(tokens));
  text.tokens = tokens ? tokens : std::min(count, defaultCalibrationTokens);
  ids->resize(text.tokens);
  text.rows = cutText(*ids, model.bos, limits);
  return text;
}
