//===- CheckpointFuzzer.cpp - libFuzzer on the readers of hostile bytes ---===//
//
// The first byte chooses the reader: a safetensors header, JSON, or a
// config.json. Built with -DLOWBIT_FUZZ=ON and
// -DLOWBIT_SANITIZE=address,undefined,fuzzer-no-link:
//
//   LowbitCheckpointFuzzer -max_total_time=120 CORPUS
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Checkpoint/ModelConfig.h"
#include "lowbit/Checkpoint/Safetensors.h"

using namespace lowbit;

/// Ends the run where something that must hold does not.
static void require(bool holds) {
  if (!holds)
    __builtin_trap();
}

static void readHeader(Bytes file) {
  Result<SafetensorsHeader> header = readSafetensorsHeader(file, "f");
  if (!header)
    return;
  uint64_t covered = 0;
  for (const TensorEntry &entry : header->entries) {
    require(entry.begin == covered && entry.end >= entry.begin);
    require(file.sub(header->dataStart + entry.begin, entry.byteSize())
                .has_value());
    covered = entry.end;
  }
  require(header->dataStart + covered == file.size);
  // What was read can be written, and is then read as the same.
  Result<std::string> again =
      buildSafetensorsHeader(header->entries, header->metadata);
  require(static_cast<bool>(again));
  again->append(static_cast<size_t>(covered), '\0');
  Result<SafetensorsHeader> back = readSafetensorsHeader(bytesOf(*again), "f");
  require(back && back->entries.size() == header->entries.size());
}

static void readText(std::string_view text, bool asConfig) {
  Result<JsonValue> json = parseJson(text, "f", configLimits);
  if (!json)
    return;
  std::string written = writeJson(*json);
  Result<JsonValue> back = parseJson(written, "f", {uint64_t(1) << 30});
  require(back && writeJson(*back) == written);
  if (asConfig)
    (void)static_cast<bool>(readModelConfig(*json, "config.json"));
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  Bytes rest{data + 1, size - 1};
  if (data[0] % 3 == 0)
    readHeader(rest);
  else
    readText(rest.text(), data[0] % 3 == 2);
  (void)escaped(rest.text());
  return 0;
}
