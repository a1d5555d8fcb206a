//===- TinyModel.cpp - A whole artifact made by hand ----------------------===//
#include "TinyModel.h"

#include "lowbit/Checkpoint/Json.h"
#include "lowbit/Checkpoint/Safetensors.h"
#include "lowbit/Runtime/Digest.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

using namespace lowbit;
using namespace lowbit::test;

TemporaryFolder::TemporaryFolder() {
  char name[] = "/tmp/lowbit-test-XXXXXX";
  if (mkdtemp(name))
    path = name;
}

TemporaryFolder::~TemporaryFolder() {
  if (!path.empty() && system(("rm -rf " + path).c_str()) != 0)
    ADD_FAILURE() << "cannot remove " << path;
}

void lowbit::test::writeFile(const std::string &path,
                             const std::string &content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string lowbit::test::readFile(const std::string &path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

std::string lowbit::test::compileObject(const std::string &source,
                                        const std::string &flags) {
  TemporaryFolder folder;
  writeFile(folder.file("k.c"), source);
  std::string command = std::string(LOWBIT_C_COMPILER) +
                        " -O1 -fPIC -shared -nostdlib -fuse-ld=lld "
                        "-ffp-contract=off -fvisibility=hidden -fno-builtin "
                        "-Wno-everything -o " +
                        folder.file("k.so") + " " + folder.file("k.c") + " " +
                        flags + " 2>" + folder.file("log");
  EXPECT_EQ(system(command.c_str()), 0) << command << "\n"
                                        << readFile(folder.file("log"));
  return readFile(folder.file("k.so"));
}

std::string lowbit::test::tinySource(int abi) {
  std::string source = R"(
typedef unsigned char u8; typedef int i32; typedef unsigned int u32;
typedef long i64; typedef float f32;
enum { H = 8, V = 272, PAGES = 3 };
static void embed(u8 *const *a, i64 n, i64 b, i64 e, u8 *s) {
  const i32 *ids = (void *)a[0]; const f32 *t = (void *)a[1]; f32 *x = (void *)a[2];
  for (i64 r = b; r < e; ++r)
    for (i64 h = 0; h < H; ++h) x[r * H + h] = t[ids[r] * H + h];
}
static void store(u8 *const *a, i64 n, i64 b, i64 e, u8 *s) {
  const f32 *x = (void *)a[0]; const i32 *rows = (void *)a[1];
  const i32 *pages = (void *)a[2]; f32 *cache = (void *)a[3];
  for (i64 r = b; r < e; ++r) {
    i64 q = rows[2 * r], p = rows[2 * r + 1];
    f32 *slot = cache + (pages[q * PAGES + p / 64] * 64L + p % 64) * H;
    for (i64 h = 0; h < H; ++h) slot[h] = x[r * H + h];
  }
}
static void mean(u8 *const *a, i64 n, i64 b, i64 e, u8 *s) {
  const i32 *rows = (void *)a[0]; const i32 *pages = (void *)a[1];
  const f32 *cache = (void *)a[2]; f32 *y = (void *)a[3]; f32 *sum = (void *)s;
  for (i64 r = b; r < e; ++r) {
    i64 q = rows[2 * r], p = rows[2 * r + 1];
    for (i64 h = 0; h < H; ++h) sum[h] = 0;
    for (i64 j = 0; j <= p; ++j)
      for (i64 h = 0; h < H; ++h)
        sum[h] += cache[(pages[q * PAGES + j / 64] * 64L + j % 64) * H + h];
    for (i64 h = 0; h < H; ++h) y[r * H + h] = sum[h] / (f32)(p + 1);
  }
}
static void pick(u8 *const *a, i64 n, i64 b, i64 e, u8 *s) {
  const f32 *y = (void *)a[0]; const i32 *select = (void *)a[1]; f32 *z = (void *)a[2];
  for (i64 r = b; r < e; ++r)
    for (i64 h = 0; h < H; ++h) z[r * H + h] = y[select[r] * H + h];
}
static void head(u8 *const *a, i64 n, i64 b, i64 e, u8 *s) {
  const f32 *z = (void *)a[0]; const f32 *w = (void *)a[1]; f32 *l = (void *)a[2];
  for (i64 t = b; t < e; ++t)
    for (i64 v = t * 16; v < t * 16 + 16; ++v)
      for (i64 r = 0; r < n; ++r) {
        f32 sum = 0;
        for (i64 h = 0; h < H; ++h) sum += z[r * H + h] * w[v * H + h];
        l[r * V + v] = sum;
      }
}
struct entry { const char *name; u32 variant, reserved; void (*f)(u8 *const *, i64, i64, i64, u8 *); };
static const struct entry entries[] = {{"embed", 0, 0, embed}, {"store", 0, 0, store},
  {"mean", 0, 0, mean}, {"pick", 0, 0, pick}, {"head", 0, 0, head}, {"head", 1, 0, head}};
struct table { u32 abi, count; const struct entry *entries; };
__attribute__((visibility("default"))) extern const struct table lowbit_kernels;
)";
  return source + "const struct table lowbit_kernels = {" +
         std::to_string(abi) +
         ", sizeof(entries) / sizeof(entries[0]), entries};\n";
}

const std::string &lowbit::test::tinyCode() {
  static const std::string code = compileObject(tinySource());
  return code;
}

Plan lowbit::test::tinyPlan() {
  constexpr int64_t rowBytes = tinyHidden * 4,
                    tableBytes = tinyVocabulary * rowBytes;
  enum { Ids, Rows, Select, Pages, Table, Head, Cache, X, Y, Z, Logits };
  Plan plan;
  plan.limits = {16, 8, 4, 6, 3};
  plan.scratch = rowBytes;
  plan.buffers = {
      {"ids", BufferKind::Input, {0, 4, 0, 0}, "", 0},
      {"rows", BufferKind::Input, {0, 8, 0, 0}, "", 0},
      {"select", BufferKind::Input, {0, 0, 4, 0}, "", 0},
      {"page_table", BufferKind::Input, {4 * 4 * 3, 0, 0, 0}, "", 0},
      {"table", BufferKind::Weight, {tableBytes, 0, 0, 0}, "weights.table", 0},
      {"head", BufferKind::Weight, {tableBytes, 0, 0, 0}, "weights.head", 0},
      {"cache", BufferKind::Cache, {0, 0, 0, 64 * rowBytes}, "", 0},
      {"x", BufferKind::Arena, {0, rowBytes, 0, 0}, "", 0},
      {"y", BufferKind::Arena, {0, rowBytes, 0, 0}, "", 16 * rowBytes},
      // Alive when x no longer is.
      {"z", BufferKind::Arena, {0, 0, rowBytes, 0}, "", 0},
      {"logits", BufferKind::Output, {0, 0, 4 * tinyVocabulary, 0}, "", 0},
  };
  auto whole = [&](int32_t buffer, Access access) {
    return PlanArgument{buffer, 0, plan.buffers[buffer].bytes, access};
  };
  auto entry = [&](int64_t first, int64_t last) {
    const Affine rows{0, 1, 0, 0}, logits{0, 0, 1, 0};
    return PlanEntry{
        first,
        last,
        0,
        {{"embed",
          StepCount::Rows,
          rows,
          {whole(Ids, Access::Read), whole(Table, Access::Read),
           whole(X, Access::Write)}},
         {"store",
          StepCount::Rows,
          rows,
          {whole(X, Access::Read), whole(Rows, Access::Read),
           whole(Pages, Access::Read), whole(Cache, Access::Write)}},
         {"mean",
          StepCount::Rows,
          rows,
          {whole(Rows, Access::Read), whole(Pages, Access::Read),
           whole(Cache, Access::Read), whole(Y, Access::Write)}},
         {"pick",
          StepCount::Logits,
          logits,
          {whole(Y, Access::Read), whole(Select, Access::Read),
           whole(Z, Access::Write)}},
         {"head",
          StepCount::Logits,
          {tinyVocabulary / 16, 0, 0, 0},
          {whole(Z, Access::Read), whole(Head, Access::Read),
           whole(Logits, Access::Write)}}}};
  };
  plan.entries = {entry(1, 1), entry(2, 16)};
  return plan;
}

Manifest lowbit::test::tinyManifest() {
  Manifest manifest;
  manifest.tool = "lowbit test";
  manifest.model = {tinyHidden,     1,   1,       1,         tinyHidden,
                    tinyVocabulary, 150, tinyBos, {tinyEnd}, "f32"};
  manifest.recipe = "name: tiny\n";
  manifest.pipeline = "none";
  manifest.inputs = {{"model.safetensors", 12, std::string(64, 'a')}};
  manifest.parameters = 2 * tinyVocabulary * tinyHidden;
  manifest.linearParameters = tinyVocabulary * tinyHidden;
  manifest.tensors = {
      {"table", "", "", tinyVocabulary, tinyHidden, 8704, 8704, 0, "embedding"},
      {"head", "", "", tinyVocabulary, tinyHidden, 8704, 8704, 0, "head"}};
  manifest.linearBits = 32;
  manifest.modelBits = 32;
  manifest.targets = {"x86_64"};
  return manifest;
}

std::string lowbit::test::tinyTokenizer() {
  // The 256 characters that byte-level tokenizers write bytes as.
  std::string vocabulary;
  int shifted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    bool isPlain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    int point = isPlain ? byte : 256 + shifted++;
    std::string character;
    if (point < 128) {
      character += static_cast<char>(point);
    } else {
      character += static_cast<char>(0xC0 | point >> 6);
      character += static_cast<char>(0x80 | (point & 63));
    }
    vocabulary += byte ? "," : "";
    appendJsonString(vocabulary, character);
    vocabulary += ":" + std::to_string(byte);
  }
  auto special = [](int id, const char *text) {
    return "{\"id\":" + std::to_string(id) + ",\"content\":\"" + text +
           "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
           "\"normalized\":false,\"special\":true}";
  };
  return "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,"
         "\"added_tokens\":[" +
         special(tinyBos, "<s>") + "," + special(tinyEnd, "</s>") +
         "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
         "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
         "\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{"
         "\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\","
         "\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"
         "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[256],"
         "\"tokens\":[\"<s>\"]}}},\"decoder\":{\"type\":\"ByteLevel\","
         "\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},"
         "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
         "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
         "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{" +
         vocabulary + "},\"merges\":[]}}";
}

/// Numbers in [−1, 1) that are different everywhere.
static std::vector<float> numbers(uint32_t seed) {
  std::vector<float> values(tinyVocabulary * tinyHidden);
  for (float &value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

const std::vector<float> &lowbit::test::tinyTable() {
  static const std::vector<float> table = numbers(1);
  return table;
}

const std::vector<float> &lowbit::test::tinyHead() {
  static const std::vector<float> head = numbers(2);
  return head;
}

std::vector<float> lowbit::test::tinyLogits(const std::vector<int32_t> &ids) {
  float mean[tinyHidden] = {};
  for (int32_t id : ids)
    for (int64_t h = 0; h < tinyHidden; ++h)
      mean[h] += tinyTable()[id * tinyHidden + h];
  std::vector<float> logits(tinyVocabulary);
  for (float &value : mean)
    value /= static_cast<float>(ids.size());
  for (int64_t v = 0; v < tinyVocabulary; ++v)
    for (int64_t h = 0; h < tinyHidden; ++h)
      logits[v] += mean[h] * tinyHead()[v * tinyHidden + h];
  return logits;
}

static std::string bytesOfFloats(const std::vector<float> &values) {
  return {reinterpret_cast<const char *>(values.data()),
          values.size() * sizeof(float)};
}

Sections lowbit::test::tinySections() {
  return {{"manifest", writeManifest(tinyManifest())},
          {"plan.x86_64", writePlan(tinyPlan())},
          {"code.x86_64", tinyCode()},
          {"tokenizer", tinyTokenizer()},
          {"weights.table", bytesOfFloats(tinyTable())},
          {"weights.head", bytesOfFloats(tinyHead())}};
}

std::string lowbit::test::buildArtifact(
    const Sections &sections,
    const std::vector<std::pair<std::string, std::string>> &metadata) {
  std::vector<TensorEntry> entries;
  std::string data;
  ChunkDigests digests;
  auto add = [&](const std::string &name, std::string content) {
    bool isJson = name == "manifest" || name == "tokenizer" ||
                  name.rfind("plan.", 0) == 0;
    if (name != "digest.root")
      content.resize((content.size() + 63) / 64 * 64, isJson ? ' ' : '\0');
    entries.push_back({name,
                       DType::U8,
                       {content.size()},
                       data.size(),
                       data.size() + content.size()});
    data += content;
    digests.update(bytesOf(content));
    digests.endTensor();
  };
  for (auto &[name, content] : sections)
    add(name, content);
  std::string chunks = digests.tensor();
  add("digest.chunks", chunks);
  size_t rootAt = data.size();
  add("digest.root", std::string(32, '\0'));
  auto header = buildSafetensorsHeader(entries, metadata);
  EXPECT_TRUE(bool(header)) << header.error().message;
  Sha256Digest root = rootDigest(bytesOf(*header), bytesOf(chunks));
  memcpy(data.data() + rootAt, root.data(), root.size());
  return *header + data;
}

std::string lowbit::test::tinyArtifact() {
  static const std::string artifact = buildArtifact(tinySections());
  return artifact;
}

Sections lowbit::test::withSection(Sections sections, const std::string &name,
                                   const std::string &content) {
  for (auto &section : sections)
    if (section.first == name)
      section.second = content;
  return sections;
}
