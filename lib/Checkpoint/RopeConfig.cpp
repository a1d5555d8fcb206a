//===- RopeConfig.cpp - Rotary embedding out of config.json ---------------===//
//
// transformers 4 writes `rope_theta` and `rope_scaling`, transformers 5
// `rope_parameters` with the theta in it; a file may have both, if they agree.
//
//===----------------------------------------------------------------------===//
#include "Architectures.h"
#include "lowbit/Checkpoint/Message.h"

#include <algorithm>

using namespace lowbit;

namespace {

constexpr double maxFactor = 1e6;
constexpr double maxTheta = 1e15;

Result<RopeKind> readKind(const JsonField &scaling) {
  JsonField type = scaling.get("rope_type");
  JsonField oldType = scaling.get("type");
  if (type.isAbsent())
    type = oldType;
  if (type.isAbsent())
    return scaling.get("rope_theta").isAbsent()
               ? Result<RopeKind>(type.mustBe("\"default\", \"linear\" or "
                                              "\"llama3\""))
               : Result<RopeKind>(RopeKind::Default);
  Result<std::string_view> name = type.string();
  if (!name)
    return name.error();
  if (!oldType.isAbsent() && oldType.describe() != type.describe())
    return oldType.bad("is " + oldType.describe() +
                       ", but rope_type beside it is " + type.describe());
  if (*name == "default")
    return RopeKind::Default;
  if (*name == "linear")
    return RopeKind::Linear;
  if (*name == "llama3")
    return RopeKind::Llama3;
  return type.notSupported("is " + quoted(*name, 80) +
                           ", supported are \"default\", \"linear\" and "
                           "\"llama3\"");
}

/// What changes the result must be read; so a field that is not is refused.
Status checkFields(const JsonField &scaling, RopeKind kind) {
  for (const JsonMember &member : scaling.value()->asObject()) {
    std::string_view key = member.key;
    bool known = key == "rope_type" || key == "type" || key == "rope_theta" ||
                 (key == "factor" && kind != RopeKind::Default) ||
                 (kind == RopeKind::Llama3 &&
                  (key == "low_freq_factor" || key == "high_freq_factor" ||
                   key == "original_max_position_embeddings"));
    JsonField field = scaling.get(key);
    if (known || field.isAbsent())
      continue;
    bool neutral = (key == "factor" || key == "partial_rotary_factor") &&
                   member.value.isNumber() && member.value.asDouble() == 1.0;
    if (!neutral)
      return field.notSupported("is " + field.describe() +
                                ", which this kind of rotary embedding does "
                                "not have");
  }
  return {};
}

Status readLlama3(const JsonField &scaling, RopeConfig &rope) {
  JsonField lowField = scaling.get("low_freq_factor");
  JsonField highField = scaling.get("high_freq_factor");
  Result<double> low = lowField.number(1e-6, maxFactor);
  if (!low)
    return low.error();
  Result<double> high = highField.number(1e-6, maxFactor);
  if (!high)
    return high.error();
  if (!(*low < *high))
    return lowField.bad("is " + lowField.describe() +
                        ", must be below high_freq_factor, which is " +
                        highField.describe());
  Result<uint64_t> original = scaling.get("original_max_position_embeddings")
                                  .integer(1, uint64_t(1) << 40);
  if (!original)
    return original.error();
  rope.lowFrequencyFactor = *low;
  rope.highFrequencyFactor = *high;
  rope.originalMaxPositions = *original;
  return {};
}

/// Reads one object, `rope_scaling` or `rope_parameters`. `theta` stands where
/// the object has none of its own.
Result<RopeConfig> readScaling(const JsonField &scaling, double theta) {
  if (Result<const JsonObject *> object = scaling.object(); !object)
    return object.error();
  RopeConfig rope;
  Result<double> own = scaling.get("rope_theta").numberOr(theta, 1.0, maxTheta);
  if (!own)
    return own.error();
  rope.theta = *own;
  Result<RopeKind> kind = readKind(scaling);
  if (!kind)
    return kind.error();
  rope.kind = *kind;
  if (Status status = checkFields(scaling, rope.kind))
    return std::move(*status);
  if (rope.kind == RopeKind::Default)
    return rope;
  Result<double> factor = scaling.get("factor").number(1.0, maxFactor);
  if (!factor)
    return factor.error();
  rope.factor = *factor;
  if (rope.kind == RopeKind::Llama3)
    if (Status status = readLlama3(scaling, rope))
      return std::move(*status);
  return rope;
}

bool isEmptyObject(const JsonField &field) {
  return field.value() && field.value()->isObject() &&
         field.value()->asObject().size() == 0;
}

bool sameRope(const RopeConfig &a, const RopeConfig &b) {
  return a.kind == b.kind && a.theta == b.theta && a.factor == b.factor &&
         a.lowFrequencyFactor == b.lowFrequencyFactor &&
         a.highFrequencyFactor == b.highFrequencyFactor &&
         a.originalMaxPositions == b.originalMaxPositions;
}

/// A theta beside an object that has one too must be the same.
Status checkTheta(const JsonField &config, const JsonField &object) {
  JsonField outer = config.get("rope_theta");
  JsonField inner = object.get("rope_theta");
  if (outer.isAbsent() || inner.isAbsent() ||
      outer.value()->asDouble() == inner.value()->asDouble())
    return {};
  return inner.bad("is " + inner.describe() + ", but rope_theta is " +
                   outer.describe());
}

} // namespace

Result<RopeConfig> lowbit::readRope(const JsonField &config) {
  Result<double> theta =
      config.get("rope_theta").numberOr(10000.0, 1.0, maxTheta);
  if (!theta)
    return theta.error();
  std::optional<RopeConfig> found;
  for (const char *name : {"rope_scaling", "rope_parameters"}) {
    JsonField field = config.get(name);
    if (field.isAbsent() || isEmptyObject(field))
      continue;
    Result<RopeConfig> rope = readScaling(field, *theta);
    if (!rope)
      return rope.error();
    if (Status status = checkTheta(config, field))
      return std::move(*status);
    // rope_scaling may leave the theta to rope_parameters.
    JsonField other = config.get("rope_scaling");
    if (found && config.get("rope_theta").isAbsent() &&
        other.get("rope_theta").isAbsent())
      found->theta = rope->theta;
    if (found && !sameRope(*found, *rope))
      return field.bad("disagrees with rope_scaling; one of them is wrong");
    found = *rope;
  }
  RopeConfig rope = found.value_or(RopeConfig());
  if (!found)
    rope.theta = *theta;
  JsonField original = config.get("original_max_position_embeddings");
  bool differs = !original.isAbsent() && rope.kind == RopeKind::Llama3 &&
                 original.value()->asUint64() != rope.originalMaxPositions;
  if (differs)
    return original.bad("is " + original.describe() +
                        ", but the rotary embedding's own is " +
                        std::to_string(rope.originalMaxPositions));
  return rope;
}
