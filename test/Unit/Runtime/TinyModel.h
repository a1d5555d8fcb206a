//===- TinyModel.h - A whole artifact made by hand --------------*- C++ -*-===//
//
// A "model" of five kernels written in C and compiled when the tests run, with
// a plan, a tokenizer of bytes and an artifact around them: what the runtime
// does can be tested without the compiler. A token's hidden row is the mean of
// the embeddings of its sequence so far, out of the paged cache; logits are
// that row times a head.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TEST_UNIT_RUNTIME_TINYMODEL_H
#define LOWBIT_TEST_UNIT_RUNTIME_TINYMODEL_H

#include "lowbit/Runtime/Manifest.h"
#include "lowbit/Runtime/Plan.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lowbit::test {

constexpr int64_t tinyHidden = 8;
constexpr int64_t tinyVocabulary = 272;
constexpr int32_t tinyBos = 256;
constexpr int32_t tinyEnd = 257;

/// A folder that goes with its content when the object does.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  std::string path;
};

void writeFile(const std::string &path, const std::string &content);
std::string readFile(const std::string &path);

/// Compiles and links C source to a shared object with these extra flags; fails
/// the test when the compiler does.
std::string compileObject(const std::string &source,
                          const std::string &flags = "");

/// The source of the kernels, and of a table with the given ABI number.
std::string tinySource(int abi = 1);
/// compileObject(tinySource()), once.
const std::string &tinyCode();

Plan tinyPlan();
Manifest tinyManifest();
std::string tinyTokenizer();

/// Embedding table and head, f32 [vocabulary][hidden] each.
const std::vector<float> &tinyTable();
const std::vector<float> &tinyHead();

/// Logits after the last token of `ids`, computed plainly.
std::vector<float> tinyLogits(const std::vector<int32_t> &ids);

/// Sections of an artifact in order, without digests.
using Sections = std::vector<std::pair<std::string, std::string>>;
Sections tinySections();

/// An artifact of these sections (padded here) with right digests.
std::string buildArtifact(
    const Sections &sections,
    const std::vector<std::pair<std::string, std::string>> &metadata = {
        {"kind", "lowbit"}, {"version", "1"}});

/// tinySections as an artifact.
std::string tinyArtifact();

/// Replaces the content of one section.
Sections withSection(Sections sections, const std::string &name,
                     const std::string &content);

} // namespace lowbit::test

#endif // LOWBIT_TEST_UNIT_RUNTIME_TINYMODEL_H
