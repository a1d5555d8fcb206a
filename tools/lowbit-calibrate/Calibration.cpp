//===- Calibration.cpp - From a model and a text to a profile -------------===//

#include "Calibration.h"
#include "PartRunner.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Runtime/Model.h"

#include <algorithm>
#include <cstdio>

using namespace lowbit;
using namespace lowbit::calibrate;

namespace {

std::string number(const char *format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

/// One calibration: its state between the steps of `run`.
class Calibration {
public:
  explicit Calibration(const CalibrationOptions &options)
      : options(options), progress(options.logJsonLines) {}

  Result<std::string> run();

private:
  Status openModel();
  Status readText();
  Status checkMemory() const;
  Status runParts(RunContext &context);
  std::string report(const RunContext &context) const;

  const CalibrationOptions &options;
  Progress progress;
  std::optional<ProfileFile> profile;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<ObservedModel> model;
  ProfileFacts facts;
  CalibrationText text;
};

Status Calibration::openModel() {
  auto threads = ThreadPool::create(clampThreads(options.threads));
  if (!threads)
    return threads.error();
  pool = std::move(*threads);
  ObservedOptions observed;
  observed.modelFolder = options.modelFolder;
  observed.target = hostTarget();
  observed.moments = options.moments;
  observed.context = options.context;
  observed.jobs = static_cast<unsigned>(pool->size());
  observed.allowUnused = options.allowUnused;
  observed.program = options.program;
  auto opened = ObservedModel::open(observed, progress);
  if (!opened)
    return opened.error();
  model = std::move(*opened);
  facts.context = model->limits().context;
  facts.model = model->fingerprint();
  facts.moments = options.moments;
  return std::nullopt;
}

Status Calibration::readText() {
  auto read =
      readCalibrationText(options.text, model->tokenizer(), model->facts(),
                          model->limits(), options.tokens, "--tokens");
  if (!read)
    return read.error();
  text = std::move(*read);
  facts.text = text.digest;
  facts.tokens = text.tokens;
  facts.rows = static_cast<int64_t>(text.rows.rows.size());
  facts.sampleRows = std::min(facts.rows, maxSampleRows);
  return std::nullopt;
}

/// Refuses what would be killed half-way: rows between parts, and the moments
/// of the largest part, once in f32 and, for long texts, once more in f64.
Status Calibration::checkMemory() const {
  int64_t moments = 0;
  for (int64_t part = 0; part < model->parts(); ++part) {
    int64_t bytes = 0;
    for (const Observation &seen : model->observations(part)) {
      if (seen.moments == Moments::Full)
        bytes += 4 * seen.columns * seen.columns;
      if (facts.rows > chunkRows)
        bytes += 8 * storedMoments(seen);
    }
    moments = std::max(moments, bytes);
  }
  int64_t hidden = 4 * facts.rows * model->facts().hidden;
  int64_t available = availableMemory();
  if (moments + hidden <= available)
    return std::nullopt;
  return Error{
      ExitCode::Memory,
      "calibration needs " + std::to_string(moments) +
          " bytes for the moments of a part and " + std::to_string(hidden) +
          " for hidden rows, " + std::to_string(available) +
          " are available: take fewer --tokens, or --moments=diagonal"};
}

Status Calibration::runParts(RunContext &context) {
  Memory hidden;
  progress.begin("calibrating", facts.rows * model->parts());
  for (int64_t i = 0; i < model->parts(); ++i) {
    Result<ObservedPart> part = model->build(i);
    if (!part)
      return part.error();
    auto runner = PartRunner::create(std::move(*part), context);
    if (!runner)
      return runner.error();
    if (Status status = (*runner)->run(hidden))
      return status;
  }
  progress.end();
  return std::nullopt;
}

std::string Calibration::report(const RunContext &context) const {
  int64_t inputs = 0;
  for (int64_t i = 0; i < model->parts(); ++i)
    for (const Observation &seen : model->observations(i))
      inputs += seen.moments != Moments::None;
  const Measure &work = context.work;
  std::string result =
      options.output + ": " + std::to_string(profile->size()) + " bytes, " +
      facts.moments + " moments of " + std::to_string(inputs) +
      " inputs over " + std::to_string(facts.rows) + " rows (" +
      std::to_string(facts.tokens) + " tokens in windows of " +
      std::to_string(facts.context) + "), samples of " +
      std::to_string(facts.sampleRows) +
      " rows\nlinears and moments: " + number("%.3e", work.multiplyAdds) +
      " multiply-adds, " + number("%.2f", work.seconds) + " s in kernels, " +
      number("%.2f", work.rate() * 1e-9) + " G/s\n";
  if (options.measure)
    result +=
        "FMA peak in the same run: " +
        number("%.2f", context.peak.rate() * 1e-9) + " G/s; share of it: " +
        number("%.3f", work.rate() / context.peak.rate()) + " by wall time, " +
        number("%.3f", work.cpuRate() / context.peak.cpuRate()) +
        " by CPU time\n";
  if (context.clamped > 0)
    result += "note: " + std::to_string(context.clamped) +
              " sample elements are beyond f16 and were stored as ±65504\n";
  return result;
}

Result<std::string> Calibration::run() {
  Result<ProfileFile> file = ProfileFile::open(options.output, options.force);
  if (!file)
    return file.error();
  profile.emplace(std::move(*file));
  for (auto step : {&Calibration::openModel, &Calibration::readText})
    if (Status status = (this->*step)())
      return *status;
  if (Status status = checkMemory())
    return *status;
  if (Status status = profile->layOut(*model, facts))
    return *status;
  RunContext context{
      text.rows,           *pool,        *profile, progress, facts.sampleRows,
      options.modelFolder, options.stop, {},       {},       options.measure};
  if (Status status = runParts(context))
    return *status;
  if (Status status = model->checkUnchanged())
    return *status;
  if (Status status = profile->publish())
    return *status;
  return report(context);
}

} // namespace

Result<std::string>
lowbit::calibrate::calibrate(const CalibrationOptions &options) {
  return Calibration(options).run();
}
