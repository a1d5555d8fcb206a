//===- CheckFolder.cpp - Open a model folder and say what is wrong --------===//
//
// lowbit-check-folder [--strict] [--allow-unused] FOLDER
// lowbit-check-folder --file FILE         one safetensors file, header only
//
// Prints notes and the error as the compiler does, exits with its code.
//
//===----------------------------------------------------------------------===//
#include "lowbit/Checkpoint/ModelConfig.h"
#include "lowbit/Checkpoint/ModelFolder.h"
#include "lowbit/Checkpoint/ModelTensors.h"

#include <cstdio>
#include <cstring>

using namespace lowbit;

static int fail(const Error &error) {
  fprintf(stderr, "error: %s\n", error.message.c_str());
  return static_cast<int>(error.code);
}

static void print(const std::vector<std::string> &notes) {
  for (const std::string &note : notes)
    fprintf(stderr, "note: %s\n", note.c_str());
}

static int checkFile(const char *path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return fail(file.error());
  Result<Safetensors> tensors = Safetensors::open(std::move(*file));
  if (!tensors)
    return fail(tensors.error());
  printf("%zu tensors\n", tensors->entries().size());
  return 0;
}

/// Reads every weight, as a compiler would: every mapped byte must be there.
static unsigned readAll(const ModelFolder &folder) {
  unsigned sum = 0;
  for (const TensorRef &ref : folder.tensors()) {
    Bytes bytes = folder.bytes(ref);
    for (uint64_t i = 0; i < bytes.size; ++i)
      sum = sum * 31 + bytes.data[i];
  }
  return sum;
}

static int checkFolder(const char *path, const ModelFolderOptions &options,
                       const TensorCheckOptions &tensorOptions) {
  Result<ModelFolder> folder = ModelFolder::open(path, options);
  if (!folder)
    return fail(folder.error());
  print(folder->notes());
  Result<ModelConfig> config =
      readModelConfig(folder->config(), folder->pathOf("config.json"));
  if (!config)
    return fail(config.error());
  print(config->notes);
  Result<ModelTensors> tensors = checkTensors(*config, *folder, tensorOptions);
  if (!tensors)
    return fail(tensors.error());
  print(tensors->notes);
  unsigned sum = readAll(*folder);
  if (Status status = folder->checkUnchanged())
    return fail(*status);
  printf("%zu layers, %zu tensors, %zu files, sum %08x\n",
         tensors->layers.size(), folder->tensors().size(), folder->shardCount(),
         sum);
  return 0;
}

int main(int argc, char **argv) {
  exitOnMappedFileFault();
  ModelFolderOptions options;
  TensorCheckOptions tensorOptions;
  bool oneFile = false;
  const char *path = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--strict") == 0)
      options.strict = true;
    else if (strcmp(argv[i], "--allow-unused") == 0)
      tensorOptions.allowUnused = true;
    else if (strcmp(argv[i], "--file") == 0)
      oneFile = true;
    else
      path = argv[i];
  }
  if (!path) {
    fprintf(stderr, "usage: lowbit-check-folder [--strict] [--allow-unused] "
                    "FOLDER | --file FILE\n");
    return static_cast<int>(ExitCode::Usage);
  }
  return oneFile ? checkFile(path) : checkFolder(path, options, tensorOptions);
}
