//===- Trust.h - Which artifacts may run code -------------------*- C++ -*-===//
//
// An artifact holds machine code, so it runs only where this user made it or
// says so (Spec.md, section 6). Making one leaves a record, named by the root
// digest: an HMAC of the digest under a key that only this user can read.
//
//   if (auto folder = trustFolder())
//     status = recordTrust(*folder, root);            // compiler
//   status = checkTrust(*folder, root, "m.lowbit");   // runner
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_TRUST_H
#define LOWBIT_RUNTIME_TRUST_H

#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Checkpoint/Hash.h"

#include <string>

namespace lowbit {

/// `$XDG_CONFIG_HOME/lowbit`, else `$HOME/.config/lowbit`. Exit 5 where neither
/// variable holds an absolute path.
Result<std::string> trustFolder();

/// Makes the key where there is none (32 random bytes, mode 0600) and writes
/// the record for `root`. Exit 5 when the folder cannot be written, 7 for a key
/// that others can read or that is not this user's.
Status recordTrust(const std::string &folder, const Sha256Digest &root);

/// Nothing when there is a valid record for `root`; else exit 7, and the line
/// says how to trust `file`.
Status checkTrust(const std::string &folder, const Sha256Digest &root,
                  const std::string &file);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_TRUST_H
