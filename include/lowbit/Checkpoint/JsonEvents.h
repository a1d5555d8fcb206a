//===- JsonEvents.h - Strict JSON as a stream of events ---------*- C++ -*-===//
//
// The same grammar and the same limits as parseJson, without a tree: for texts
// whose shape is known and that may be large (a safetensors header of 100 MB).
// Duplicate keys are the handler's business: only it knows what it keeps.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_JSONEVENTS_H
#define LOWBIT_CHECKPOINT_JSONEVENTS_H

#include "lowbit/Checkpoint/Json.h"

namespace lowbit {

/// Receives the events of one text in order. Each returns an Error to stop.
class JsonEvents {
public:
  virtual ~JsonEvents();
  /// A null, a boolean or a number (never a string or a container).
  virtual Status scalar(JsonValue value) = 0;
  virtual Status string(std::string &text) = 0;
  virtual Status key(std::string &text) = 0;
  virtual Status beginObject() = 0;
  virtual Status endObject() = 0;
  virtual Status beginArray() = 0;
  virtual Status endArray() = 0;
};

/// Sends the events of `text` to `events`; errors of the text itself are exit 3
/// and name `fileName` and the line and column.
Status parseJsonEvents(std::string_view text, std::string_view fileName,
                       const JsonLimits &limits, JsonEvents &events);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_JSONEVENTS_H
