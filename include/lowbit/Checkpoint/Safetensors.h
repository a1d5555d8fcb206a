//===- Safetensors.h - The container of weights and artifacts ---*- C++ -*-===//
//
// A safetensors file is 8 bytes of length n, a JSON header of n bytes, and the
// tensors' bytes without gap or overlap up to the end of the file. The reader
// takes nothing on trust and refuses what the format does not allow, also where
// other readers are lenient (duplicate keys, unknown keys, ranks above 8, names
// with control characters).
//
//   auto file = Safetensors::open(*MappedFile::open("model.safetensors"));
//   const TensorEntry *norm = file->find("model.norm.weight");
//   Bytes bytes = file->bytes(*norm);
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_CHECKPOINT_SAFETENSORS_H
#define LOWBIT_CHECKPOINT_SAFETENSORS_H

#include "lowbit/Checkpoint/Bytes.h"
#include "lowbit/Checkpoint/Error.h"
#include "lowbit/Checkpoint/File.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lowbit {

/// Element types of the format, by their names in the header.
enum class DType : uint8_t {
  Bool,
  U8,
  I8,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  F4,
  F6_E2M3,
  F6_E3M2,
  U16,
  I16,
  F16,
  BF16,
  U32,
  I32,
  F32,
  U64,
  I64,
  F64,
  C64,
};

/// Name in the header (`BF16`); bits of one element.
std::string_view dtypeName(DType dtype);
unsigned dtypeBits(DType dtype);

/// One tensor of a file.
struct TensorEntry {
  std::string name;
  DType dtype = DType::U8;
  /// At most 8 dimensions; empty for a scalar.
  std::vector<uint64_t> shape;
  /// Bytes [begin, end), counted from the first byte after the header.
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t byteSize() const { return end - begin; }
  /// Product of the shape; cannot overflow in an entry that was read.
  uint64_t elements() const;
  /// `BF16 [4096, 256]`
  std::string describe() const;
};

/// `[4096, 256]`
std::string describeShape(const std::vector<uint64_t> &shape);

/// Largest header that is read or written, in bytes.
inline constexpr uint64_t maxSafetensorsHeader = 100000000;
/// Longest tensor name, in bytes.
inline constexpr size_t maxTensorName = 1024;

/// What stands in the header.
struct SafetensorsHeader {
  /// In the order of their bytes.
  std::vector<TensorEntry> entries;
  /// `__metadata__`, in the order of the file.
  std::vector<std::pair<std::string, std::string>> metadata;
  /// Bytes before the tensors': 8 + the header's length.
  uint64_t dataStart = 0;
};

/// Reads the header of a whole file's bytes. Exit 3, or 4 for a dtype that is
/// not known; the line names `fileName` and the tensor.
Result<SafetensorsHeader> readSafetensorsHeader(Bytes file,
                                                std::string_view fileName);

/// An opened file. Move-only.
class Safetensors {
public:
  /// The errors of readSafetensorsHeader; of a path also those of
  /// MappedFile::open.
  static Result<Safetensors> open(MappedFile file);
  static Result<Safetensors> open(const std::string &path);

  const std::vector<TensorEntry> &entries() const { return header.entries; }
  /// The tensor with that name, or null; a binary search.
  const TensorEntry *find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>> &metadata() const {
    return header.metadata;
  }
  /// The tensor's bytes; `entry` must be one of this file. They may start at
  /// any address: load elements with memcpy.
  Bytes bytes(const TensorEntry &entry) const;
  /// Offset of the tensor's first byte in the file.
  uint64_t fileOffset(const TensorEntry &entry) const {
    return header.dataStart + entry.begin;
  }
  /// Bytes before the first tensor: length and header.
  uint64_t dataStart() const { return header.dataStart; }
  const MappedFile &file() const { return mapped; }

private:
  Safetensors() = default;

  MappedFile mapped;
  SafetensorsHeader header;
  /// Positions in `entries`, sorted by name.
  std::vector<uint32_t> byName;
};

/// The first bytes of a file with these tensors: length and header, padded with
/// spaces to a multiple of `alignment`, canonical JSON, `__metadata__` first
/// (where there is any), tensors in the order given. `begin` and `end` must be
/// set, without gaps. Exit 3 for anything that the reader would refuse.
Result<std::string> buildSafetensorsHeader(
    const std::vector<TensorEntry> &entries,
    const std::vector<std::pair<std::string, std::string>> &metadata,
    uint64_t alignment = 64);

} // namespace lowbit

#endif // LOWBIT_CHECKPOINT_SAFETENSORS_H
