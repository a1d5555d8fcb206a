//===- Inspect.cpp - What is in an artifact, and whether it is whole ------===//
#include "Actions.h"
#include "Terminal.h"

#include "lowbit/Checkpoint/JsonField.h"
#include "lowbit/Checkpoint/Message.h"

#include <cstdio>
#include <cstring>

using namespace lowbit;
using namespace lowbit::run;

namespace {

/// A value of the manifest as text for a person.
std::string show(const JsonField &field) { return field.describe(); }

/// Text without quotes, safe to print.
std::string plain(const JsonField &field) {
  auto text = field.string();
  return text ? escaped(*text) : field.describe();
}

double numberOf(const JsonField &field) {
  auto value = field.number(-1e300, 1e300);
  return value ? *value : 0;
}

size_t sizeOf(const JsonField &field) {
  auto array = field.array();
  return array ? (*array)->size() : 0;
}

void printModel(const JsonField &root) {
  JsonField manifest = root.get("manifest"), model = manifest.get("model");
  printf("file        %s, %.0f bytes\nroot        %s\nmade by     %s\n",
         plain(root.get("file")).c_str(), numberOf(root.get("bytes")),
         plain(root.get("root")).c_str(), plain(manifest.get("tool")).c_str());
  printf("model      ");
  for (const char *fact :
       {"hidden", "layers", "heads", "kv_heads", "head_dim", "vocabulary",
        "context", "bos", "cache", "cache_bits"})
    printf(" %s %s", fact, show(model.get(fact)).c_str());
  printf(" eos");
  for (size_t i = 0; i < sizeOf(model.get("eos")); ++i)
    printf(" %s", show(model.get("eos").at(i)).c_str());
  printf("\nparameters  %.0f, of linears %.0f\nbits        %.4f of linears, "
         "%.4f of the whole model\ntargets    ",
         numberOf(manifest.get("parameters").get("all")),
         numberOf(manifest.get("parameters").get("linears")),
         numberOf(manifest.get("bits").get("linears")),
         numberOf(manifest.get("bits").get("model")));
  JsonField targets = manifest.get("targets");
  for (size_t i = 0; i < sizeOf(targets); ++i)
    printf(" %s", plain(targets.at(i)).c_str());
  printf("\npipeline    %s\n\ninputs\n",
         plain(manifest.get("pipeline")).c_str());
  JsonField inputs = manifest.get("inputs");
  for (size_t i = 0; i < sizeOf(inputs); ++i)
    printf("  %s %14.0f  %s\n", plain(inputs.at(i).get("sha256")).c_str(),
           numberOf(inputs.at(i).get("bytes")),
           plain(inputs.at(i).get("file")).c_str());
}

void printSections(const JsonField &root) {
  printf("\nsections\n");
  JsonField sections = root.get("sections");
  size_t weights = 0;
  double weightBytes = 0;
  for (size_t i = 0; i < sizeOf(sections); ++i) {
    JsonField section = sections.at(i);
    std::string name = plain(section.get("name"));
    double bytes = numberOf(section.get("bytes"));
    if (name.rfind("weights.", 0) == 0) {
      ++weights;
      weightBytes += bytes;
      continue;
    }
    printf("  %14.0f  %s\n", bytes, name.c_str());
  }
  printf("  %14.0f  weights (%zu tensors)\n", weightBytes, weights);
}

void printTensors(const JsonField &root) {
  printf("\ntensors%27s rows x columns   bytes (padding)   bits  format\n", "");
  JsonField tensors = root.get("manifest").get("tensors");
  for (size_t i = 0; i < sizeOf(tensors); ++i) {
    JsonField tensor = tensors.at(i);
    double rows = numberOf(tensor.get("rows")),
           columns = numberOf(tensor.get("columns")),
           bytes = numberOf(tensor.get("bytes"));
    std::string format = plain(tensor.get("format"));
    std::string layout = plain(tensor.get("layout"));
    printf("  %-28s %8.0f x %-7.0f %10.0f (%.0f) %8.3f  %s%s%s\n",
           plain(tensor.get("name")).c_str(), rows, columns, bytes,
           numberOf(tensor.get("padding")),
           rows * columns > 0 ? 8 * bytes / (rows * columns) : 0.0,
           format.empty() ? "float" : format.c_str(), layout.empty() ? "" : " ",
           layout.c_str());
  }
}

} // namespace

int lowbit::run::inspectArtifact(const CommandLine &line) {
  char *text = nullptr;
  if (auto *error = lowbit_inspect(line.model.c_str(), &text))
    return fail(error);
  std::string json = text;
  lowbit_free(text);
  if (line.format == "json") {
    printf("%s\n", json.c_str());
    return 0;
  }
  auto tree = parseJson(json, line.model, {uint64_t(1) << 28});
  if (!tree)
    return fail(static_cast<int>(tree.error().code), tree.error().message);
  JsonField root(*tree, line.model);
  printModel(root);
  printSections(root);
  printTensors(root);
  return 0;
}

int lowbit::run::verifyArtifact(const CommandLine &line) {
  if (auto *error =
          lowbit_verify(line.model.c_str(), static_cast<int32_t>(line.threads)))
    return fail(error);
  printf("%s: ok\n", escaped(line.model, 4096).c_str());
  return 0;
}

int lowbit::run::listDevices() {
  char *text = lowbit_list_devices();
  if (!text)
    return fail(6, "no memory");
  for (const char *line = text; *line;) {
    const char *tab = strchr(line, '\t');
    const char *end = strchr(line, '\n');
    printf("%-9.*s %.*s\n", static_cast<int>(tab - line), line,
           static_cast<int>(end - tab - 1), tab + 1);
    line = end + 1;
  }
  lowbit_free(text);
  return 0;
}

int lowbit::run::listVariants() {
  for (uint32_t i = 0; const char *name = lowbit_variant_name(i); ++i) {
    char *missing = lowbit_variant_missing(i);
    bool canRun = missing && !*missing;
    printf("%-9s %s%s\n", name, canRun ? "yes" : "no: this CPU lacks ",
           canRun || !missing ? "" : missing);
    lowbit_free(missing);
  }
  return 0;
}
