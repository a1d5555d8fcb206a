//===- FmaPeak.h - What the machine allows ----------------------*- C++ -*-===//
#ifndef LOWBIT_TOOLS_CALIBRATE_FMAPEAK_H
#define LOWBIT_TOOLS_CALIBRATE_FMAPEAK_H

#include "lowbit/Runtime/ThreadPool.h"

namespace lowbit::calibrate {

/// Work and the time that it took: wall time, and CPU time of all threads.
struct Measure {
  double multiplyAdds = 0;
  double seconds = 0;
  double cpuSeconds = 0;

  double rate() const { return seconds > 0 ? multiplyAdds / seconds : 0; }
  double cpuRate() const {
    return cpuSeconds > 0 ? multiplyAdds / cpuSeconds : 0;
  }
};

/// Adds the time of `work()` to `measure`.
class Stopwatch {
public:
  Stopwatch();
  void stop(Measure &measure) const;

private:
  double wall, cpu;
};

/// Runs f32 multiply-adds from registers on all threads of the pool for about
/// ten milliseconds, in the widest vectors of this CPU, and adds what was done.
void measureFmaPeak(ThreadPool &pool, Measure &measure);

} // namespace lowbit::calibrate

#endif // LOWBIT_TOOLS_CALIBRATE_FMAPEAK_H
