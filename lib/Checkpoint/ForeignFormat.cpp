//===- ForeignFormat.cpp - What a file is that is not ours ----------------===//
#include "lowbit/Checkpoint/ForeignFormat.h"

#include <algorithm>

using namespace lowbit;

namespace {
struct Signature {
  std::string_view start;
  std::string_view hint;
};
} // namespace

std::string_view lowbit::foreignFormatHint(Bytes file) {
  using namespace std::string_view_literals;
  static constexpr Signature signatures[] = {
      {"version https://git-lfs"sv,
       " (this is a Git LFS pointer, not the file: run git lfs pull)"sv},
      {"<!doctype"sv, " (this is an HTML page: the download failed)"sv},
      {"<html"sv, " (this is an HTML page: the download failed)"sv},
      {"pk\x03\x04"sv,
       " (this is a zip archive, as PyTorch's .bin and .pth: convert it to "
       "safetensors)"sv},
      {"gguf"sv, " (this is a GGUF file: use the Hugging Face folder)"sv},
      {"\x80\x02"sv, " (this is a Python pickle: convert it to safetensors)"sv},
      {"\x80\x04"sv, " (this is a Python pickle: convert it to safetensors)"sv},
      {"\x80\x05"sv, " (this is a Python pickle: convert it to safetensors)"sv},
      {"\x1f\x8b"sv, " (this is gzip: unpack it first)"sv},
      {"\xef\xbb\xbf"sv, " (it starts with a byte order mark: remove it)"sv},
  };
  std::string_view text = file.text();
  for (const Signature &signature : signatures) {
    if (text.size() < signature.start.size())
      continue;
    bool same = std::equal(
        signature.start.begin(), signature.start.end(), text.begin(),
        [](char want, char have) {
          return want == (have >= 'A' && have <= 'Z' ? have + 32 : have);
        });
    if (same)
      return signature.hint;
  }
  return {};
}
