//===- Report.cpp - The results as a table --------------------------------===//

#include "Report.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

using namespace lowbit;

namespace {

/// A column: the counter it shows (median over the repetitions).
struct Column {
  const char *counter, *title, *format;
};

// Rates first, then their limits, then the ratios.
constexpr Column columns[] = {
    {"gb_per_s", "GB/s", "%.1f"},
    {"gweights_per_s", "Gw/s", "%.1f"},
    {"gops", "GOPS", "%.0f"},
    {"gflops", "GFLOP/s", "%.1f"},
    {"mweights_per_s", "Mw/s", "%.1f"},
    {"ns_per_element", "ns/el", "%.3f"},
    {"read_gb_per_s", "read GB/s", "%.1f"},
    {"cache_gweights_per_s", "L2 Gw/s", "%.1f"},
    {"peak_gops", "peak GOPS", "%.0f"},
    {"share_read", "of read", "%.2f"},
    {"share_cache", "of L2", "%.2f"},
    {"share_min", "of min", "%.2f"},
    {"share_peak", "of peak", "%.2f"},
    {"share_chain", "of chain", "%.2f"},
    {"clock_ghz", "GHz", "%.2f"},
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle]
                           : (values[middle - 1] + values[middle]) / 2;
}

std::string number(const char *format, double value) {
  char text[64];
  snprintf(text, sizeof(text), format, value);
  return text;
}

class TableReporter final : public benchmark::BenchmarkReporter {
public:
  bool ReportContext(const Context &) override {
    printf("| benchmark | best ms | median ms |");
    for (const Column &column : columns)
      printf(" %s |", column.title);
    printf(" |\n|---|---:|---:|");
    for (size_t i = 0; i < std::size(columns); ++i)
      printf("---:|");
    printf("---|\n");
    return true;
  }

  void ReportRuns(const std::vector<Run> &runs) override {
    std::vector<double> times;
    std::string name, label;
    for (const Run &run : runs) {
      if (run.run_type != Run::RT_Iteration)
        continue;
      name = run.run_name.function_name;
      label = run.report_label;
      if (run.error_occurred) {
        printf("| %s | FAILED |\n", name.c_str());
        fflush(stdout);
        return;
      }
      times.push_back(run.GetAdjustedRealTime());
    }
    if (times.empty())
      return;
    printf("| %s | %.3f | %.3f |", name.c_str(),
           *std::min_element(times.begin(), times.end()), median(times));
    for (const Column &column : columns)
      printf(" %s |", cell(runs, column).c_str());
    printf(" %s |\n", label.c_str());
    fflush(stdout);
  }

private:
  static std::string cell(const std::vector<Run> &runs, const Column &column) {
    std::vector<double> values;
    for (const Run &run : runs) {
      auto found = run.counters.find(column.counter);
      if (run.run_type == Run::RT_Iteration && found != run.counters.end())
        values.push_back(found->second.value);
    }
    return values.empty() ? "" : number(column.format, median(values));
  }
};

} // namespace

std::unique_ptr<benchmark::BenchmarkReporter> bench::createTableReporter() {
  return std::make_unique<TableReporter>();
}
