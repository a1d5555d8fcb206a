//===- Api.h - What is behind the handles of the C API ----------*- C++ -*-===//
#ifndef LOWBIT_RUNTIME_API_H
#define LOWBIT_RUNTIME_API_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Runtime/Model.h"
#include "lowbit/Runtime/Session.h"
#include "lowbit/Runtime/lowbit_runtime.h"
#include "lowbit/Tokenizer/Tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>

struct lowbit_error {
  lowbit::Error error;
};

struct lowbit_model {
  std::shared_ptr<lowbit::Model> model;
};

struct lowbit_tokenizer {
  lowbit::Tokenizer tokenizer;
};

struct lowbit_context {
  std::unique_ptr<lowbit::Session> session;
  /// Held during every call.
  std::mutex mutex;
};

namespace lowbit {

/// The error as a handle.
inline lowbit_error *toApi(Error error) {
  return new lowbit_error{std::move(error)};
}
inline lowbit_error *toApi(Status status) {
  return status ? toApi(std::move(*status)) : nullptr;
}

/// A copy of bytes that lowbit_free frees, with a NUL after them.
inline char *copyForCaller(const void *data, size_t bytes) {
  auto *copy = static_cast<char *>(malloc(bytes + 1));
  if (copy && bytes > 0)
    memcpy(copy, data, bytes);
  if (copy)
    copy[bytes] = '\0';
  return copy;
}

inline lowbit_error *outOfMemory() {
  return toApi(Error{ExitCode::Memory, "out of memory"});
}

/// The caller's options over the defaults: only as many bytes as the caller's
/// struct has. Exit 2 for an impossible size.
template <typename Options>
Status readOptions(const Options *given, void (*init)(Options *),
                   Options &options) {
  init(&options);
  if (!given)
    return {};
  if (given->size < sizeof(size_t) || given->size > sizeof(Options))
    return Error{ExitCode::Usage,
                 "options: size is " + std::to_string(given->size) +
                     ", must be " + std::to_string(sizeof(Options))};
  memcpy(&options, given, given->size);
  options.size = sizeof(Options);
  return {};
}

/// Gives the caller as many bytes of `facts` as its struct has.
template <typename Facts> void writeFacts(const Facts &facts, Facts *to) {
  size_t size = std::min(to->size, sizeof(Facts));
  if (size <= sizeof(size_t))
    return;
  memcpy(reinterpret_cast<char *>(to) + sizeof(size_t),
         reinterpret_cast<const char *>(&facts) + sizeof(size_t),
         size - sizeof(size_t));
}

} // namespace lowbit

#endif // LOWBIT_RUNTIME_API_H
