//===- ProfileFile.cpp - A profile in the making --------------------------===//

#include "ProfileFile.h"
#include "Moments.h"
#include "lowbit/Checkpoint/Message.h"

using namespace lowbit;
using namespace lowbit::calibrate;

using Metadata = std::vector<std::pair<std::string, std::string>>;

Result<ProfileFile> ProfileFile::open(const std::string &path, bool replace) {
  OutputOptions how;
  how.replace = replace;
  how.replaceFlag = "--force";
  Result<OutputFile> file = OutputFile::open(path, how);
  if (!file)
    return file.error();
  return ProfileFile(std::move(*file));
}

void ProfileFile::addTensor(const std::string &name, DType type,
                            std::vector<uint64_t> shape) {
  TensorEntry entry;
  entry.name = name;
  entry.dtype = type;
  uint64_t size = dtypeBits(type) / 8;
  for (uint64_t extent : shape) // At most 2^40 moments, by the plan.
    size *= extent;
  entry.shape = std::move(shape);
  entry.begin = entries.empty() ? 0 : entries.back().end;
  entry.end = entry.begin + size;
  entries.push_back(std::move(entry));
}

Status ProfileFile::layOut(const ObservedModel &model,
                           const ProfileFacts &facts) {
  Metadata metadata = {{"kind", "lowbit profile"},
                       {"version", "1"},
                       {"tool", "lowbit " LOWBIT_VERSION},
                       {"model", facts.model},
                       {"text", facts.text},
                       {"moments", facts.moments},
                       {"tokens", std::to_string(facts.tokens)},
                       {"rows", std::to_string(facts.rows)},
                       {"context", std::to_string(facts.context)}};
  auto rows = static_cast<uint64_t>(facts.sampleRows);
  for (int64_t part = 0; part < model.parts(); ++part)
    for (const Observation &seen : model.observations(part)) {
      if (seen.moments != Moments::None)
        addTensor("h." + seen.name, DType::F32,
                  {static_cast<uint64_t>(storedMoments(seen))});
      addTensor("sample." + seen.name, DType::F16,
                {rows, static_cast<uint64_t>(seen.columns)});
      for (const std::string &other : seen.otherNames)
        metadata.push_back({"h." + other, "h." + seen.name});
    }
  Result<std::string> header = buildSafetensorsHeader(entries, metadata);
  if (!header)
    return header.error();
  bytes = header->size() + entries.back().end;
  if (Status status = file.reserve(bytes))
    return status;
  if (Status status = file.writeAt(0, bytesOf(*header)))
    return status;
  Result<uint8_t *> mapped = file.map();
  if (!mapped)
    return mapped.error();
  for (const TensorEntry &entry : entries)
    places[entry.name] = *mapped + header->size() + entry.begin;
  return std::nullopt;
}
