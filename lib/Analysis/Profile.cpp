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
  Result<Safetensors> container = Safetensors::open(path);
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

const TensorEntry *
Profile::find(const std::vector<std::string> &tensors) const {
  for (const std::string &tensor : tensors) {
    std::string name = "h." + tensor;
    if (const TensorEntry *entry = container.find(name))
      return entry;
    for (const auto &[key, target] : container.metadata())
      if (key == name)
        return container.find(target);
  }
  return nullptr;
}

Status Profile::checkColumns(const TensorEntry &entry, int64_t columns) const {
  bool isVector = entry.shape.size() == 1;
  auto wanted = static_cast<uint64_t>(columns);
  if (entry.shape[0] == (isVector && isPacked ? triangle(wanted) : wanted))
    return std::nullopt;
  return badInput(container.file().name(), entry.name,
                  "is " + entry.describe() + ", the linear has " +
                      std::to_string(columns) + " columns" +
                      (isVector && isPacked
                           ? ", the triangle " +
                                 std::to_string(triangle(wanted)) + " elements"
                           : ""));
}

bool Profile::hasMoments(const std::vector<std::string> &tensors) const {
  const TensorEntry *entry = find(tensors);
  return entry && isFull(*entry);
}

bool Profile::hasFullMoments() const {
  for (const TensorEntry &entry : container.entries())
    if (entry.name.compare(0, 2, "h.") == 0 && isFull(entry))
      return true;
  return false;
}

Result<std::optional<std::vector<float>>>
Profile::diagonal(const std::vector<std::string> &tensors,
                  int64_t columns) const {
  const TensorEntry *entry = find(tensors);
  if (!entry)
    return std::optional<std::vector<float>>();
  if (Status status = checkColumns(*entry, columns))
    return *status;
  bool isVector = entry->shape.size() == 1;
  auto place = [&](uint64_t i) {
    return !isVector  ? i * (static_cast<uint64_t>(columns) + 1)
           : isPacked ? triangle(i + 1) - 1
                      : i;
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

Result<std::optional<std::vector<float>>>
Profile::moments(const std::vector<std::string> &tensors,
                 int64_t columns) const {
  const TensorEntry *entry = find(tensors);
  if (!entry || !isFull(*entry))
    return std::optional<std::vector<float>>();
  if (Status status = checkColumns(*entry, columns))
    return *status;
  const uint8_t *bytes = container.bytes(*entry).data;
  bool isSquare = entry->shape.size() == 2;
  std::vector<float> moments(triangle(columns));
  for (int64_t i = 0; i < columns; ++i) {
    float *row = moments.data() + triangle(i);
    std::memcpy(row,
                bytes + sizeof(float) * (isSquare ? i * columns : triangle(i)),
                sizeof(float) * (i + 1));
    for (int64_t j = 0; j <= i; ++j)
      if (!isFiniteFloat(row[j]) || (i == j && row[j] < 0))
        return badInput(container.file().name(), entry->name,
                        "element [" + std::to_string(i) + ", " +
                            std::to_string(j) + "] is " +
                            std::to_string(row[j]) + ", must be finite" +
                            (i == j ? " and not negative" : ""));
  }
  return std::optional<std::vector<float>>(std::move(moments));
}

Result<std::vector<float>>
Profile::samples(const std::vector<std::string> &tensors,
                 int64_t columns) const {
  const TensorEntry *entry = find(tensors);
  return entry ? samplesAt(entry->name.substr(2), columns)
               : std::vector<float>();
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
