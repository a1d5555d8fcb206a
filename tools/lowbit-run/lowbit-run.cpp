//===- lowbit-run.cpp - Runs a compiled model -----------------------------===//
//
//   lowbit-run model.lowbit -p "Once upon a time"
//   lowbit-run model.lowbit --perplexity FILE
//   lowbit-run model.lowbit --bench
//
//===----------------------------------------------------------------------===//
#include "Actions.h"
#include "Terminal.h"

using namespace lowbit::run;

static int dispatch(const CommandLine &line) {
  if (line.listVariants)
    return listVariants();
  if (line.listDevices)
    return listDevices();
  if (line.inspect)
    return inspectArtifact(line);
  if (line.verify)
    return verifyArtifact(line);
  if (line.tokenize)
    return printTokens(line);
  if (line.engine != "kernels")
    return runReference(line);
  if (!line.perplexityFile.empty())
    return measurePerplexity(line);
  if (line.bench)
    return runBenchmark(line);
  if (!line.logitsFile.empty())
    return writeLogits(line);
  return generateText(line);
}

int main(int argc, char **argv) {
  prepareProcess();
  CommandLine line;
  int code = parseCommandLine(argc, argv, line);
  if (code < 0)
    code = dispatch(line);
  return finish(code);
}
