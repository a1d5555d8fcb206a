//===- Error.h - What went wrong, and the exit code it means ----*- C++ -*-===//
//
// Every failure a user can cause is an Error: an exit code (Spec.md, section 7)
// and one line that names file, field, value and limit. Nothing throws.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_ERROR_H
#define LOWBIT_CHECKPOINT_ERROR_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace lowbit {

/// Process exit codes; stable and documented in Spec.md, section 7.
enum class ExitCode : int {
  Ok = 0,
  Usage = 2,
  BadInput = 3,
  Unsupported = 4,
  IO = 5,
  Memory = 6,
  Mismatch = 7,
  Device = 8,
  Internal = 70,
  Stopped = 75,
};

/// A failure: what it means for the process, and one line for a person.
struct [[nodiscard]] Error {
  ExitCode code;
  std::string message;
};

/// A value of type T, or the Error that kept it from existing.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::move(value)) {}
  Result(Error error) : state(std::move(error)) {}

  explicit operator bool() const { return std::holds_alternative<T>(state); }
  T &operator*() { return std::get<T>(state); }
  const T &operator*() const { return std::get<T>(state); }
  T *operator->() { return &std::get<T>(state); }
  const T *operator->() const { return &std::get<T>(state); }

  /// The failure; only valid when the result holds no value.
  const Error &error() const { return std::get<Error>(state); }

private:
  std::variant<T, Error> state;
};

/// Success (nothing), or an Error.
using Status = std::optional<Error>;

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_ERROR_H
