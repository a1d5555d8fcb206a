//===- Report.h - The results as a table ------------------------*- C++ -*-===//
//
// One line for each benchmark: best and median time, median rates, and median
// ratios to the limits measured beside them. `--benchmark_format=json` gives
// every repetition instead.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_TOOLS_BENCH_REPORT_H
#define LOWBIT_TOOLS_BENCH_REPORT_H

#include <benchmark/benchmark.h>
#include <memory>

namespace lowbit::bench {

std::unique_ptr<benchmark::BenchmarkReporter> createTableReporter();

} // namespace lowbit::bench

#endif // LOWBIT_TOOLS_BENCH_REPORT_H
