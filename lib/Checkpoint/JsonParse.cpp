//===- JsonParse.cpp - Text to events, events to a tree -------------------===//
//
// nlohmann's SAX parser does the grammar, iteratively; what it lets pass and
// RFC 8259 does not (a byte order mark, bytes after a NUL) is refused first,
// and what has to be bounded is counted here.
//
//===----------------------------------------------------------------------===//
#define JSON_NOEXCEPTION 1
#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/JsonEvents.h"
#include "lowbit/Checkpoint/Message.h"

#include <cstring>
#include <nlohmann/json.hpp>

using namespace lowbit;

JsonEvents::~JsonEvents() = default;

namespace {

/// Counts and forwards nlohmann's events; `failure` says why it stopped.
class EventCounter : public nlohmann::json_sax<nlohmann::json> {
public:
  EventCounter(std::string_view file, const JsonLimits &limits,
               JsonEvents &events)
      : file(file), limits(limits), events(events) {}

  Status failure;

  bool null() override { return count() && pass(events.scalar({})); }
  bool boolean(bool value) override {
    return count() && pass(events.scalar(value));
  }
  bool number_integer(int64_t value) override {
    return count() && pass(events.scalar(value));
  }
  bool number_unsigned(uint64_t value) override {
    return count() && pass(events.scalar(value));
  }
  bool number_float(double value, const std::string &) override {
    return count() && pass(events.scalar(value));
  }
  bool string(std::string &value) override {
    return count() && pass(events.string(value));
  }
  bool binary(nlohmann::json::binary_t &) override { return false; }
  bool start_object(size_t) override {
    return count() && descend() && pass(events.beginObject());
  }
  bool key(std::string &value) override { return pass(events.key(value)); }
  bool end_object() override {
    --depth;
    return pass(events.endObject());
  }
  bool start_array(size_t) override {
    return count() && descend() && pass(events.beginArray());
  }
  bool end_array() override {
    --depth;
    return pass(events.endArray());
  }
  bool parse_error(size_t, const std::string &,
                   const nlohmann::detail::exception &error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: …"
    std::string_view text = error.what();
    if (size_t end = text.find("] "); end != std::string_view::npos)
      text.remove_prefix(end + 2);
    failure = badInput(file, {}, "is not JSON: " + escaped(text, 240));
    return false;
  }

private:
  bool pass(Status status) {
    failure = std::move(status);
    return !failure;
  }
  bool count() {
    if (++values <= limits.values)
      return true;
    return pass(badInput(file, {},
                         "has more than " + std::to_string(limits.values) +
                             " values, which is the limit"));
  }
  bool descend() {
    if (++depth <= limits.depth)
      return true;
    return pass(badInput(file, {},
                         "is nested deeper than " +
                             std::to_string(limits.depth) +
                             " levels, which is the limit"));
  }

  std::string_view file;
  JsonLimits limits;
  JsonEvents &events;
  uint64_t values = 0;
  unsigned depth = 0;
};

Status checkText(std::string_view text, std::string_view file,
                 const JsonLimits &limits) {
  if (text.size() > limits.bytes)
    return badInput(file, {},
                    "is " + std::to_string(text.size()) + " bytes, limit " +
                        std::to_string(limits.bytes));
  if (text.substr(0, 3) == "\xEF\xBB\xBF")
    return badInput(file, {},
                    "is not JSON: starts with a byte order mark (save it as "
                    "UTF-8 without one)");
  if (text.empty())
    return badInput(file, {}, "is empty, must be JSON");
  if (const void *nul = memchr(text.data(), 0, text.size()))
    return badInput(
        file, {},
        "is not JSON: has a NUL byte at offset " +
            std::to_string(static_cast<const char *>(nul) - text.data()));
  return {};
}

} // namespace

Status lowbit::parseJsonEvents(std::string_view text, std::string_view fileName,
                               const JsonLimits &limits, JsonEvents &events) {
  if (Status status = checkText(text, fileName, limits))
    return status;
  EventCounter counter(fileName, limits, events);
  bool whole = nlohmann::json::sax_parse(
      text.data(), text.data() + text.size(), &counter,
      nlohmann::json::input_format_t::json, /*strict=*/true);
  if (!whole && !counter.failure)
    return badInput(fileName, {}, "is not JSON");
  return std::move(counter.failure);
}

namespace lowbit {

/// Builds the tree. Open containers are on a stack of their own, never on the
/// call stack.
class JsonBuilder : public JsonEvents {
public:
  explicit JsonBuilder(std::string_view file) : file(file) {}

  JsonValue root;

  Status scalar(JsonValue value) override {
    place(std::move(value));
    return {};
  }
  Status string(std::string &text) override {
    place(JsonValue(std::move(text)));
    return {};
  }
  Status key(std::string &text) override {
    open.back().object->members.push_back({std::move(text), {}});
    return {};
  }
  Status beginObject() override {
    JsonValue &value = place(JsonValue::object());
    auto &owner = std::get<std::unique_ptr<JsonObject>>(value.storage);
    open.push_back({nullptr, owner.get()});
    return {};
  }
  Status endObject() override {
    JsonObject &object = *open.back().object;
    object.members.shrink_to_fit();
    std::optional<size_t> twice = object.buildIndex();
    open.pop_back();
    if (!twice)
      return {};
    return badInput(file, pathTo(object.members[*twice].key), "is there twice");
  }
  Status beginArray() override {
    JsonValue &value = place(JsonValue::array());
    auto &owner = std::get<std::unique_ptr<JsonArray>>(value.storage);
    open.push_back({owner.get(), nullptr});
    return {};
  }
  Status endArray() override {
    open.back().array->values.shrink_to_fit();
    open.pop_back();
    return {};
  }

private:
  struct Open {
    JsonArray *array;
    JsonObject *object;
  };

  JsonValue &place(JsonValue value) {
    JsonValue *slot = &root;
    if (!open.empty() && open.back().array)
      slot = &open.back().array->values.emplace_back();
    else if (!open.empty())
      slot = &open.back().object->members.back().value;
    *slot = std::move(value);
    return *slot;
  }

  std::string pathTo(std::string_view key) const {
    std::string path;
    for (const Open &container : open) {
      if (container.array)
        path += "[" + std::to_string(container.array->size() - 1) + "]";
      else
        path +=
            (path.empty() ? "" : ".") + container.object->members.back().key;
    }
    path += path.empty() ? "" : ".";
    path += key;
    return path;
  }

  std::string_view file;
  std::vector<Open> open;
};

} // namespace lowbit

Result<JsonValue> lowbit::parseJson(std::string_view text,
                                    std::string_view fileName,
                                    const JsonLimits &limits) {
  JsonBuilder builder(fileName);
  if (Status status = parseJsonEvents(text, fileName, limits, builder))
    return std::move(*status);
  return std::move(builder.root);
}
