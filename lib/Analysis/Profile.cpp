//===- Profile.cpp - What calibration measured ----------------------------===//

#include "lowbit/Analysis/Profile.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Numerics/Elements.h"
#include "lowbit/Numerics/Float.h"

#include <cstring>

using namespace lowbit;

namespace {

/// Elements of the lower triangle, with the diagonal, of K columns.
uint64_t triangle(uint64_t columns) { return columns * (columns + 1) / 2; }

/// Whether a tensor of moments has a shape that can be read: a vector or a
/// square.
bool isMoments(const TensorEntry &entry) {
  return entry.dtype == DType::F32 &&
         (entry.shape.size() == 1 ||
          (entry.shape.size() == 2 && entry.shape[0] == entry.shape[1]));
}

} // namespace

Result<Profile> Profile::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  Result<Safetensors> container = Safetensors::open(std::move(*file));
  if (!container)
    return container.error();
  bool any = false;
  for (const TensorEntry &entry : container->entries()) {
    if (entry.name.compare(0, 2, "h.") != 0)
      continue;
    any = true;
    if (!isMoments(entry))
      return badInput(path, entry.name,
                      "is " + entry.describe() +
                          ", must be F32 [K] or F32 [K, K]");
  }
  if (!any)
    return badInput(path, "", "has no tensor h.<parameter>: not a profile");
  for (const auto &[key, target] : container->metadata())
    if (key.compare(0, 2, "h.") == 0 && !container->find(target))
      return badInput(path, key,
                      "stands for " + quoted(target) +
                          ", which the profile does not have");
  Profile profile(std::move(*container));
  for (const auto &[key, value] : profile.container.metadata()) {
    if (key != "moments")
      continue;
    if (value != "diagonal" && value != "full")
      return badInput(path, key,
                      "is " + quoted(value) + ", must be diagonal or full");
    profile.isPacked = value == "full";
  }
  return profile;
}

std::optional<std::string> Profile::model() const {
  for (const auto &[key, value] : container.metadata())
    if (key == "model")
      return value;
  return std::nullopt;
}

const TensorEntry *Profile::find(const std::string &parameter) const {
  std::string name = "h." + parameter;
  if (const TensorEntry *entry = container.find(name))
    return entry;
  for (const auto &[key, target] : container.metadata())
    if (key == name)
      return container.find(target);
  return nullptr;
}

Result<const TensorEntry *>
Profile::findMoments(const std::vector<std::string> &parameters,
                     int64_t columns) const {
  const TensorEntry *entry = nullptr;
  for (const std::string &parameter : parameters)
    if ((entry = find(parameter)))
      break;
  if (!entry)
    return entry;
  bool isVector = entry->shape.size() == 1;
  auto wanted = static_cast<uint64_t>(columns);
  if (entry->shape[0] != (isVector && isPacked ? triangle(wanted) : wanted))
    return badInput(container.file().name(), entry->name,
                    "is " + entry->describe() + ", the linear has " +
                        std::to_string(columns) + " columns" +
                        (isVector && isPacked
                             ? ", the triangle " +
                                   std::to_string(triangle(wanted)) +
                                   " elements"
                             : ""));
  return entry;
}

Result<std::optional<std::vector<float>>>
Profile::diagonal(const std::vector<std::string> &parameters,
                  int64_t columns) const {
  Result<const TensorEntry *> found = findMoments(parameters, columns);
  if (!found)
    return found.error();
  const TensorEntry *entry = *found;
  if (!entry)
    return std::optional<std::vector<float>>();
  bool isVector = entry->shape.size() == 1;
  auto wanted = static_cast<uint64_t>(columns);
  auto place = [&](uint64_t i) {
    return !isVector ? i * (wanted + 1) : isPacked ? triangle(i + 1) - 1 : i;
  };
  Bytes bytes = container.bytes(*entry);
  std::vector<float> diagonal(columns);
  for (int64_t i = 0; i < columns; ++i) {
    std::memcpy(&diagonal[i], bytes.data + place(i) * sizeof(float),
                sizeof(float));
    if (!isFiniteFloat(diagonal[i]) || diagonal[i] < 0)
      return badInput(container.file().name(), entry->name,
                      "element " + std::to_string(i) + " of the diagonal is " +
                          std::to_string(diagonal[i]) +
                          ", must be finite and not negative");
  }
  return std::optional<std::vector<float>>(std::move(diagonal));
}

Result<std::optional<std::vector<double>>>
Profile::moments(const std::vector<std::string> &parameters,
                 int64_t columns) const {
  Result<const TensorEntry *> found = findMoments(parameters, columns);
  if (!found)
    return found.error();
  const TensorEntry *entry = *found;
  bool isSquare = entry && entry->shape.size() == 2;
  if (!entry || !(isSquare || isPacked))
    return std::optional<std::vector<double>>();
  Bytes bytes = container.bytes(*entry);
  std::vector<double> moments(columns * columns);
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      float value;
      uint64_t place = isSquare ? i * columns + j : triangle(i) + j;
      std::memcpy(&value, bytes.data + place * sizeof(float), sizeof(float));
      if (!isFiniteFloat(value))
        return badInput(container.file().name(), entry->name,
                        "element [" + std::to_string(i) + ", " +
                            std::to_string(j) + "] is not finite");
      moments[i * columns + j] = moments[j * columns + i] = value;
    }
  return std::optional<std::vector<double>>(std::move(moments));
}

Result<std::vector<float>>
Profile::samples(const std::vector<std::string> &parameters,
                 int64_t columns) const {
  for (const std::string &parameter : parameters)
    if (const TensorEntry *entry = find(parameter))
      return samplesAt(entry->name.substr(2), columns);
  return std::vector<float>();
}

Result<std::vector<float>> Profile::samplesAt(const std::string &place,
                                              int64_t columns) const {
  const TensorEntry *entry = container.find("sample." + place);
  if (!entry)
    return std::vector<float>();
  const std::string &path = container.file().name();
  if (entry->dtype != DType::F16 || entry->shape.size() != 2 ||
      entry->shape[1] != static_cast<uint64_t>(columns))
    return badInput(path, entry->name,
                    "is " + entry->describe() + ", must be F16 [rows, " +
                        std::to_string(columns) + "]");
  Bytes bytes = container.bytes(*entry);
  std::vector<float> rows(entry->shape[0] * entry->shape[1]);
  widenElements(ElementType::F16, bytes.data, rows.size(), rows.data());
  for (float value : rows)
    if (!isFiniteFloat(value))
      return badInput(path, entry->name, "has a value that is not finite");
  return rows;
}
