//===- Message.h - How an error line is made --------------------*- C++ -*-===//
//
// One line says all: `file: field: what is wrong, the value, the limit`. Text
// that comes out of a file is cut and escaped, so that a hostile tensor name
// can neither flood nor drive a terminal.
//
//   badInput("config.json", "hidden_size", "is 0, must be at least 1")
//   -> exit 3, "config.json: hidden_size: is 0, must be at least 1"
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_MESSAGE_H
#define LOWBIT_CHECKPOINT_MESSAGE_H

#include "lowbit/Checkpoint/Error.h"

#include <string>
#include <string_view>

namespace lowbit {

/// `text` without quotes, printable: control characters, DEL, and bytes that
/// are not UTF-8 as `\xNN`; C1 controls, bidirectional marks and line
/// separators as `\u{N}`; cut after `limit` bytes of input with `...` and the
/// full length.
std::string escaped(std::string_view text, size_t limit = 120);

/// `escaped(text)` between double quotes.
std::string quoted(std::string_view text, size_t limit = 120);

/// Exit 3. `field` may be empty (the file as a whole); both are escaped here,
/// `problem` must be printable already.
Error badInput(std::string_view file, std::string_view field,
               std::string_view problem);

/// Exit 4: the input is well formed, but is nothing that lowbit can do.
Error unsupported(std::string_view file, std::string_view field,
                  std::string_view problem);

/// An operating system failure. Exit 3 where the file is missing or may not be
/// read (ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, EXDEV, ENAMETOOLONG), exit 6
/// for ENOMEM, else exit 5; the line names the action, errno and its text.
Error fileError(std::string_view file, std::string_view action,
                int errorNumber);

/// As `fileError`, but for something that is written: exit 5 (ENOMEM: 6).
Error outputError(std::string_view file, std::string_view action,
                  int errorNumber);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_MESSAGE_H
