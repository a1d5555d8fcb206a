//===- Perplexity.cpp - How well a model foretells a text -----------------===//
#include "lowbit/Runtime/Perplexity.h"

#include "lowbit/Runtime/Sampler.h"

#include <algorithm>
#include <cmath>

using namespace lowbit;

std::vector<Window> lowbit::makeWindows(const std::vector<int32_t> &ids,
                                        const PerplexityOptions &options) {
  std::vector<Window> windows;
  auto isEnough = [&] {
    return options.windows > 0 &&
           static_cast<int64_t>(windows.size()) == options.windows;
  };
  auto size = static_cast<int64_t>(ids.size());
  if (options.protocol == Protocol::LlamaCpp) {
    std::vector<int32_t> stream;
    if (options.bos)
      stream.push_back(*options.bos);
    stream.insert(stream.end(), ids.begin(), ids.end());
    auto total = static_cast<int64_t>(stream.size());
    for (int64_t at = 0; at + options.context <= total && !isEnough();
         at += options.context) {
      auto first = stream.begin() + at;
      Window window{{first, first + options.context}, options.context / 2 + 1};
      if (options.bos)
        window.tokens[0] = *options.bos;
      if (window.firstScored < options.context)
        windows.push_back(std::move(window));
    }
    return windows;
  }
  int64_t lead = options.bos ? 1 : 0;
  for (int64_t at = 0; at < size && !isEnough(); at += options.context - lead) {
    Window window;
    if (options.bos)
      window.tokens.push_back(*options.bos);
    int64_t last = std::min(at + options.context - lead, size);
    window.tokens.insert(window.tokens.end(), ids.begin() + at,
                         ids.begin() + last);
    if (window.tokens.size() > 1)
      windows.push_back(std::move(window));
  }
  return windows;
}

Estimate lowbit::estimate(const std::vector<double> &samples) {
  Estimate result;
  auto count = static_cast<double>(samples.size());
  if (samples.empty())
    return result;
  for (double sample : samples)
    result.mean += sample;
  result.mean /= count;
  double squares = 0;
  for (double sample : samples)
    squares += (sample - result.mean) * (sample - result.mean);
  if (samples.size() > 1)
    result.standardError = std::sqrt(squares / (count - 1) / count);
  return result;
}

double lowbit::logSumExp(const float *logits, int64_t vocabulary) {
  float top = logits[0];
  for (int64_t i = 0; i < vocabulary; ++i) {
    if (!std::isfinite(logits[i]))
      return NAN;
    top = std::max(top, logits[i]);
  }
  double sum = 0;
  for (int64_t i = 0; i < vocabulary; ++i)
    sum += strictExp(double(logits[i]) - top);
  return top + std::log(sum);
}

double lowbit::divergence(const float *p, double pLogSum, const float *q,
                          double qLogSum, int64_t vocabulary) {
  double sum = 0;
  for (int64_t i = 0; i < vocabulary; ++i) {
    double logP = p[i] - pLogSum, logQ = q[i] - qLogSum;
    sum += strictExp(logP) * (logP - logQ);
  }
  return sum;
}

namespace {

/// Rows of logits that foretell the tokens `ids`.
struct ScoredRows {
  const float *logits;
  const int32_t *ids;
  int64_t count;
};

Status checkOptions(const Session &session, const PerplexityOptions &options) {
  if (options.context < 2 || options.context > session.context())
    return Error{ExitCode::Usage,
                 "context of a window: " + std::to_string(options.context) +
                     " is not in 2…" + std::to_string(session.context())};
  if (options.windows < 0)
    return Error{ExitCode::Usage,
                 "windows: " + std::to_string(options.windows) +
                     " is not in 0…"};
  return {};
}

/// Rows [from, to) of a window through one session; their logits, from the one
/// that foretells the first scored token on.
Result<ScoredRows> runRows(Session &session, int32_t sequence,
                           const Window &window, int64_t from, int64_t to) {
  std::vector<BatchRow> rows;
  std::vector<int32_t> selected;
  for (int64_t i = from; i < to; ++i) {
    if (i + 1 >= window.firstScored)
      selected.push_back(static_cast<int32_t>(i - from));
    rows.push_back({sequence, static_cast<int32_t>(i), window.tokens[i]});
  }
  auto logits = session.step(rows, selected);
  if (!logits)
    return logits.error();
  auto count = static_cast<int64_t>(selected.size());
  return ScoredRows{*logits, window.tokens.data() + (to - count) + 1, count};
}

/// Rows that one step can have, all with logits.
int64_t chunkOf(const Session &session) {
  return std::min(session.maxRows(), session.maxLogits());
}

Error notFinite() {
  return {ExitCode::Internal,
          "logits are not finite: the model's numbers overflow"};
}

/// Where the samples of one model go.
struct Scores {
  std::vector<double> nats;

  PerplexityResult result(int64_t windows) const {
    PerplexityResult result;
    result.windows = windows;
    result.scored = static_cast<int64_t>(nats.size());
    result.nats = estimate(nats);
    result.perplexity.mean = std::exp(result.nats.mean);
    result.perplexity.standardError =
        result.perplexity.mean * result.nats.standardError;
    return result;
  }
};

/// A sequence that ends with this object.
class ScopedSequence {
public:
  explicit ScopedSequence(Session &session)
      : session(session), sequence(session.addSequence()) {}
  ~ScopedSequence() {
    if (sequence)
      (void)session.removeSequence(*sequence);
  }
  Session &session;
  Result<int32_t> sequence;
};

Error tooShort(size_t tokens) {
  return {ExitCode::BadInput, "text has " + std::to_string(tokens) +
                                  " tokens, too few to score one"};
}

} // namespace

Result<PerplexityResult> lowbit::perplexity(Session &session,
                                            const std::vector<int32_t> &ids,
                                            const PerplexityOptions &options,
                                            const Progress &progress) {
  if (auto error = checkOptions(session, options))
    return *error;
  std::vector<Window> windows = makeWindows(ids, options);
  if (windows.empty())
    return tooShort(ids.size());
  ScopedSequence scope(session);
  if (!scope.sequence)
    return scope.sequence.error();
  int64_t chunk = chunkOf(session), vocabulary = session.vocabulary();
  Scores scores;
  for (size_t w = 0; w < windows.size(); ++w) {
    auto rows = static_cast<int64_t>(windows[w].tokens.size()) - 1;
    for (int64_t at = 0; at < rows; at += chunk) {
      auto part = runRows(session, *scope.sequence, windows[w], at,
                          std::min(at + chunk, rows));
      if (!part)
        return part.error();
      size_t base = scores.nats.size();
      scores.nats.resize(base + part->count);
      session.pool().run([&](int thread) {
        Share share = session.pool().share(part->count, thread);
        for (int64_t i = share.begin; i < share.end; ++i) {
          const float *row = part->logits + i * vocabulary;
          scores.nats[base + i] =
              logSumExp(row, vocabulary) - row[part->ids[i]];
        }
      });
      for (size_t i = base; i < scores.nats.size(); ++i)
        if (!std::isfinite(scores.nats[i]))
          return notFinite();
    }
    if (progress)
      progress(static_cast<int64_t>(w) + 1,
               static_cast<int64_t>(windows.size()));
  }
  return scores.result(static_cast<int64_t>(windows.size()));
}

Result<ComparisonResult> lowbit::compare(Session &mine, Session &other,
                                         const std::vector<int32_t> &ids,
                                         const PerplexityOptions &options,
                                         const Progress &progress) {
  for (Session *session : {&mine, &other})
    if (auto error = checkOptions(*session, options))
      return *error;
  int64_t vocabulary = mine.vocabulary();
  if (vocabulary != other.vocabulary())
    return Error{ExitCode::Usage,
                 "vocabularies differ: " + std::to_string(vocabulary) +
                     " and " + std::to_string(other.vocabulary())};
  std::vector<Window> windows = makeWindows(ids, options);
  if (windows.empty())
    return tooShort(ids.size());
  ScopedSequence myScope(mine), otherScope(other);
  for (ScopedSequence *scope : {&myScope, &otherScope})
    if (!scope->sequence)
      return scope->sequence.error();
  int64_t chunk = std::min(chunkOf(mine), chunkOf(other));
  Scores myScores, otherScores;
  std::vector<double> divergences, differences, sameTop;
  for (size_t w = 0; w < windows.size(); ++w) {
    auto rows = static_cast<int64_t>(windows[w].tokens.size()) - 1;
    for (int64_t at = 0; at < rows; at += chunk) {
      int64_t end = std::min(at + chunk, rows);
      auto a = runRows(mine, *myScope.sequence, windows[w], at, end);
      if (!a)
        return a.error();
      auto b = runRows(other, *otherScope.sequence, windows[w], at, end);
      if (!b)
        return b.error();
      size_t base = divergences.size(), size = base + a->count;
      for (auto *samples : {&myScores.nats, &otherScores.nats, &divergences,
                            &differences, &sameTop})
        samples->resize(size);
      mine.pool().run([&](int thread) {
        Share share = mine.pool().share(a->count, thread);
        for (int64_t i = share.begin; i < share.end; ++i) {
          const float *q = a->logits + i * vocabulary;
          const float *p = b->logits + i * vocabulary;
          double qSum = logSumExp(q, vocabulary);
          double pSum = logSumExp(p, vocabulary);
          myScores.nats[base + i] = qSum - q[a->ids[i]];
          otherScores.nats[base + i] = pSum - p[b->ids[i]];
          divergences[base + i] = divergence(p, pSum, q, qSum, vocabulary);
          sameTop[base + i] = std::max_element(q, q + vocabulary) - q ==
                              std::max_element(p, p + vocabulary) - p;
        }
      });
      for (size_t i = base; i < size; ++i) {
        differences[i] = myScores.nats[i] - otherScores.nats[i];
        if (!std::isfinite(differences[i]))
          return notFinite();
      }
    }
    if (progress)
      progress(static_cast<int64_t>(w) + 1,
               static_cast<int64_t>(windows.size()));
  }
  auto count = static_cast<int64_t>(windows.size());
  return ComparisonResult{otherScores.result(count), myScores.result(count),
                          estimate(divergences), estimate(differences),
                          estimate(sameTop)};
}
