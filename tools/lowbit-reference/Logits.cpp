//===- Logits.cpp - Token ids in, logits out --------------------*- C++ -*-===//

#include "Logits.h"

#include "lowbit/Checkpoint/File.h"
#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Checkpoint/OutputFile.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>

using namespace lowbit;

Result<std::vector<int32_t>> lowbit::readIds(const std::string &path) {
  Result<std::string> text = readFile(path, uint64_t(1) << 28);
  if (!text)
    return text.error();
  std::vector<int32_t> ids;
  llvm::StringRef rest = *text;
  constexpr llvm::StringLiteral separators = " \t\r\n,[]";
  while (!(rest = rest.ltrim(separators)).empty()) {
    llvm::StringRef word =
        rest.take_until([&](char c) { return separators.contains(c); });
    rest = rest.drop_front(word.size());
    int32_t id;
    if (word.getAsInteger(10, id) || id < 0)
      return badInput(path, "token " + std::to_string(ids.size()),
                      "is " + quoted(word.str()) +
                          ", must be a decimal number from 0 to 2147483647");
    ids.push_back(id);
  }
  return ids;
}

/// Magic, version 1.0, and the dictionary padded to 64 bytes.
static std::string npyHeader(int64_t rows, int64_t columns) {
  std::string dictionary =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
      std::to_string(rows) + ", " + std::to_string(columns) + "), }";
  while ((10 + dictionary.size() + 1) % 64 != 0)
    dictionary += ' ';
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 255);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

/// Logits of rows `first … first + count − 1`, which are next in the sequence.
static Result<HostTensor> nextRows(Interpreter &interpreter,
                                   const std::vector<int32_t> &ids,
                                   int64_t first, int64_t count) {
  Batch batch;
  for (int64_t row = 0; row < count; ++row) {
    batch.ids.push_back(ids[first + row]);
    batch.sequences.push_back(0);
    batch.positions.push_back(static_cast<int32_t>(first + row));
    batch.select.push_back(static_cast<int32_t>(row));
  }
  return interpreter.forward(batch);
}

Status lowbit::writeLogits(Interpreter &interpreter,
                           const std::vector<int32_t> &ids,
                           const std::string &path) {
  if (ids.empty())
    return badInput("ids", "", "has no token, must have at least one");
  OutputOptions options;
  options.replace = true;
  Result<OutputFile> out = OutputFile::open(path, options);
  if (!out)
    return out.error();
  interpreter.clearCache();
  // In parts, so that the logits of a long text never lie in memory at once.
  constexpr int64_t rowsAtOnce = 256;
  int64_t size = ids.size();
  uint64_t offset = 0;
  for (int64_t first = 0; first < size; first += rowsAtOnce) {
    Result<HostTensor> logits =
        nextRows(interpreter, ids, first, std::min(rowsAtOnce, size - first));
    if (!logits)
      return logits.error();
    int64_t count = logits->rows() * logits->columns();
    std::vector<float> values(count);
    for (int64_t i = 0; i < count; ++i)
      values[i] = static_cast<float>(logits->at(i));
    std::string header =
        first == 0 ? npyHeader(size, logits->columns()) : std::string();
    if (Status failed = out->writeAt(offset, bytesOf(header)))
      return failed;
    offset += header.size();
    Bytes bytes{reinterpret_cast<const uint8_t *>(values.data()),
                values.size() * sizeof(float)};
    if (Status failed = out->writeAt(offset, bytes))
      return failed;
    offset += bytes.size;
  }
  return out->publish();
}
