//===- Reference.cpp - Let the reference engine compute -------------------===//
//
// The runner has no MLIR, so the interpreter is a tool of the compiler that
// lies beside this one and gets the same request.
//
//===----------------------------------------------------------------------===//
#include "Actions.h"
#include "Terminal.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <unistd.h>

using namespace lowbit::run;

/// The arguments of lowbit-reference for the same request; empty where it
/// cannot do it.
static std::vector<std::string> referenceArguments(const CommandLine &line) {
  std::vector<std::string> arguments{
      "lowbit-reference", "--model=" + line.model,
      std::string("--engine=") +
          (line.engine == "reference-f64" ? "f64" : "strict")};
  if (line.threads > 0)
    arguments.push_back("--jobs=" + std::to_string(line.threads));
  if (!line.perplexityFile.empty()) {
    if (!line.compareWith.empty())
      return {};
    arguments.push_back("--perplexity=" + line.perplexityFile);
    arguments.push_back("--windows=" + std::to_string(line.windows));
    arguments.push_back("--protocol=" + line.protocol);
    if (line.context > 0)
      arguments.push_back("--context=" + std::to_string(line.context));
    return arguments;
  }
  if (line.idsFile.empty() || line.logitsFile.empty())
    return {};
  arguments.push_back("--ids=" + line.idsFile);
  arguments.push_back("--logits=" + line.logitsFile);
  return arguments;
}

int lowbit::run::runReference(const CommandLine &line) {
  std::vector<std::string> arguments = referenceArguments(line);
  if (arguments.empty())
    return fail(4, "--engine=" + line.engine +
                       " computes --ids FILE --logits OUT.npy and --perplexity "
                       "FILE");
  char self[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  std::string folder(self, length > 0 ? static_cast<size_t>(length) : 0);
  std::string tool =
      folder.substr(0, folder.find_last_of('/') + 1) + "lowbit-reference";
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execv(tool.c_str(), pointers.data());
  if (errno == ENOENT)
    return fail(4, "--engine=" + line.engine +
                       ": the reference engine comes with the compiler tools; "
                       "there is no " +
                       tool);
  return fail(5, tool + ": " + strerror(errno));
}
