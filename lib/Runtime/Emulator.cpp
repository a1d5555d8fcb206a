//===- Emulator.cpp - Runs block programs on the host ---------------------===//
#include "lowbit/Runtime/Emulator.h"

#include "Fiber.h"
#include "SharedMemory.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <sys/mman.h>
#include <vector>

using namespace lowbit;

namespace {

constexpr int32_t lanesPerWarp = 32;
/// Kernels call little and keep no arrays; a page that nobody may touch lies
/// below each stack.
constexpr size_t stackBytes = 64 << 10, guardBytes = 4 << 10;
constexpr int64_t mostThreads = 1024;

/// What the lanes of a warp have come together for.
enum class Meeting { None, Barrier, Shuffle, Product };

const char *nameOf(Meeting meeting) {
  switch (meeting) {
  case Meeting::Barrier:
    return "a barrier of the warp";
  case Meeting::Shuffle:
    return "a shuffle";
  case Meeting::Product:
    return "a matrix product";
  case Meeting::None:
    break;
  }
  return "nothing";
}

/// One thread of a block.
struct Lane {
  Fiber fiber;
  bool isDone = false;
  /// What it brought to the meeting of its warp.
  uint32_t value = 0;
  int32_t operand = 0;
  uint32_t *registers = nullptr;
};

struct Warp {
  Meeting meeting = Meeting::None;
  /// Kind of the shuffle or product.
  int32_t kind = 0;
  int32_t arrived = 0;
  uint32_t epoch = 0;
};

/// m16n8k32: fragments as in the PTX ISA, lane = 4 · g + t.
void multiplyU8S8(Lane *lanes) {
  uint8_t a[16][32];
  int8_t b[8][32];
  for (int32_t lane = 0; lane < lanesPerWarp; ++lane) {
    int32_t g = lane / 4, t = lane % 4;
    const uint32_t *registers = lanes[lane].registers;
    for (int32_t i = 0; i < 4; ++i)
      std::memcpy(&a[g + 8 * (i % 2)][4 * t + 16 * (i / 2)], &registers[i], 4);
    for (int32_t i = 0; i < 2; ++i)
      std::memcpy(&b[g][4 * t + 16 * i], &registers[4 + i], 4);
  }
  for (int32_t lane = 0; lane < lanesPerWarp; ++lane) {
    int32_t g = lane / 4, t = lane % 4;
    uint32_t *c = lanes[lane].registers + 6;
    for (int32_t i = 0; i < 4; ++i) {
      const uint8_t *row = a[g + 8 * (i / 2)];
      const int8_t *column = b[2 * t + i % 2];
      uint32_t sum = 0;
      for (int32_t k = 0; k < 32; ++k)
        sum += static_cast<uint32_t>(int32_t(row[k]) * int32_t(column[k]));
      c[i] += sum;
    }
  }
}

} // namespace

/// The table that kernels see, and behind it everything else.
class Emulator::Impl : public EmulatorMachine {
public:
  explicit Impl(uint64_t seed) : seed(seed), state(seed) {
    shared = nullptr;
    launch = doLaunch;
    barrier = doBarrier;
    warpBarrier = doWarpBarrier;
    shuffle = doShuffle;
    mma = doMma;
    access = doAccess;
  }
  ~Impl() {
    if (stacks)
      munmap(stacks, stackCount * (stackBytes + guardBytes));
  }

  Status failure;
  uint64_t threadsRun = 0, switches = 0;

private:
  static Impl &of(EmulatorMachine *machine) {
    return *static_cast<Impl *>(machine);
  }
  static void doLaunch(EmulatorMachine *machine, EmulatedThread thread,
                       uint8_t *const *args, int64_t rows, int64_t begin,
                       int64_t end, int64_t threads, int64_t sharedBytes);
  static void doBarrier(EmulatorMachine *machine);
  static void doWarpBarrier(EmulatorMachine *machine);
  static uint32_t doShuffle(EmulatorMachine *machine, EmulatedShuffle kind,
                            uint32_t value, int32_t operand);
  static void doMma(EmulatorMachine *machine, EmulatedMma kind,
                    uint32_t *registers);
  static void doAccess(EmulatorMachine *machine, const uint8_t *address,
                       int64_t bytes, int32_t isWrite);
  static void runLane(void *context);

  bool prepareStacks(int64_t threads);
  void runBlock(int64_t sharedBytes);
  void wait();
  void yield();
  void fail(const std::string &what);
  void meet(Meeting meeting, int32_t kind);
  void complete(Warp &warp, Lane *lanes);
  uint64_t random();

  Warp &warpOfCurrent() { return warps[current / lanesPerWarp]; }
  Lane &laneOfCurrent() { return lanes[current]; }

  const uint64_t seed;
  uint64_t state;
  uint8_t *stacks = nullptr;
  size_t stackCount = 0;

  /// The launch that runs.
  EmulatedThread body = nullptr;
  uint8_t *const *arguments = nullptr;
  int64_t rowCount = 0, block = 0;
  int32_t threadCount = 0;

  /// The block that runs.
  SharedMemory memory;
  std::vector<Lane> lanes;
  std::vector<Warp> warps;
  std::vector<int32_t> ready;
  int32_t current = 0, atBarrier = 0, running = 0;
  uint64_t blockEpoch = 0;
  bool hasFailed = false;
  Fiber scheduler;
};

/// splitmix64.
uint64_t Emulator::Impl::random() {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

bool Emulator::Impl::prepareStacks(int64_t threads) {
  auto count = static_cast<size_t>(threads);
  if (count <= stackCount)
    return true;
  if (stacks)
    munmap(stacks, stackCount * (stackBytes + guardBytes));
  stackCount = 0;
  stacks = nullptr;
  size_t each = stackBytes + guardBytes;
  void *room =
      mmap(nullptr, count * each, PROT_NONE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (room == MAP_FAILED)
    return false;
  auto *start = static_cast<uint8_t *>(room);
  for (size_t i = 0; i < count; ++i)
    if (mprotect(start + i * each + guardBytes, stackBytes,
                 PROT_READ | PROT_WRITE) != 0) {
      munmap(room, count * each);
      return false;
    }
  stacks = start;
  stackCount = count;
  return true;
}

void Emulator::Impl::doLaunch(EmulatorMachine *machine, EmulatedThread thread,
                              uint8_t *const *args, int64_t rows, int64_t begin,
                              int64_t end, int64_t threads,
                              int64_t sharedBytes) {
  Impl &emulator = of(machine);
  if (emulator.failure)
    return;
  if (!hasFibers() || threads < 1 || threads > mostThreads ||
      threads % lanesPerWarp != 0 || sharedBytes < 0) {
    emulator.failure =
        Error{ExitCode::Internal, "a launch with " + std::to_string(threads) +
                                      " threads cannot be emulated here"};
    return;
  }
  if (!emulator.prepareStacks(threads)) {
    emulator.failure =
        Error{ExitCode::Memory, "no memory for the stacks of " +
                                    std::to_string(threads) + " threads"};
    return;
  }
  emulator.body = thread;
  emulator.arguments = args;
  emulator.rowCount = rows;
  emulator.threadCount = static_cast<int32_t>(threads);
  std::vector<int64_t> order(
      static_cast<size_t>(std::max<int64_t>(0, end - begin)));
  std::iota(order.begin(), order.end(), begin);
  if (emulator.seed)
    for (size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[emulator.random() % i]);
  for (int64_t item : order) {
    emulator.block = item;
    emulator.runBlock(sharedBytes);
    if (emulator.failure)
      return;
  }
}

void Emulator::Impl::runLane(void *context) {
  Impl &emulator = *static_cast<Impl *>(context);
  int32_t mine = emulator.current;
  emulator.lanes[mine].fiber.entered();
  emulator.body(emulator.arguments, emulator.rowCount, emulator.block, mine,
                &emulator);
  emulator.lanes[mine].isDone = true;
  ++emulator.threadsRun;
  --emulator.running;
  emulator.scheduler.leaveFrom(emulator.lanes[mine].fiber);
}

/// Runs all threads of a block until they end, or one of them fails.
void Emulator::Impl::runBlock(int64_t sharedBytes) {
  memory.begin(sharedBytes, ++blockEpoch);
  shared = memory.data();
  lanes.assign(threadCount, Lane());
  warps.assign(threadCount / lanesPerWarp, Warp());
  ready.clear();
  atBarrier = 0;
  hasFailed = false;
  running = threadCount;
  for (int32_t i = 0; i < threadCount; ++i) {
    uint8_t *stack = stacks + i * (stackBytes + guardBytes) + guardBytes;
    lanes[i].fiber.start(stack, stackBytes, runLane, this);
    ready.push_back(i);
  }
  size_t next = 0;
  while (!ready.empty() && !hasFailed) {
    if (seed) {
      size_t drawn = random() % ready.size();
      current = ready[drawn];
      ready[drawn] = ready.back();
      ready.pop_back();
    } else {
      current = ready[next++];
      if (next == ready.size()) {
        ready.clear();
        next = 0;
      } else if (next == size_t(mostThreads)) {
        ready.erase(ready.begin(), ready.begin() + mostThreads);
        next = 0;
      }
    }
    ++switches;
    lanes[current].fiber.switchFrom(scheduler);
  }
  if (hasFailed || running == 0)
    return;
  // Nobody can go on: the first that waits is as good as any.
  for (current = 0; lanes[current].isDone;)
    ++current;
  const Warp &warp = warpOfCurrent();
  fail("waits at " +
       std::string(warp.meeting == Meeting::None ? "a barrier of the block"
                                                 : nameOf(warp.meeting)) +
       " to which others never come");
}

/// Leaves the current fiber; somebody puts it among the ready again.
void Emulator::Impl::wait() {
  int32_t mine = current;
  scheduler.switchFrom(lanes[mine].fiber);
}

void Emulator::Impl::yield() {
  ready.push_back(current);
  wait();
}

/// Ends the block: what runs is left and never goes on.
void Emulator::Impl::fail(const std::string &what) {
  if (!hasFailed)
    failure = Error{ExitCode::Internal,
                    "block " + std::to_string(block) + ", thread " +
                        std::to_string(current) + ": " + what};
  hasFailed = true;
}

void Emulator::Impl::doBarrier(EmulatorMachine *machine) {
  Impl &emulator = of(machine);
  if (++emulator.atBarrier < emulator.threadCount)
    return emulator.wait();
  emulator.atBarrier = 0;
  ++emulator.blockEpoch;
  for (int32_t i = 0; i < emulator.threadCount; ++i)
    if (i != emulator.current)
      emulator.ready.push_back(i);
}

void Emulator::Impl::complete(Warp &warp, Lane *first) {
  if (warp.meeting == Meeting::Barrier) {
    ++warp.epoch;
  } else if (warp.meeting == Meeting::Product) {
    multiplyU8S8(first);
  } else {
    uint32_t values[lanesPerWarp];
    for (int32_t lane = 0; lane < lanesPerWarp; ++lane) {
      auto kind = static_cast<EmulatedShuffle>(warp.kind);
      int32_t from = kind == EmulatedShuffle::Xor ? lane ^ first[lane].operand
                                                  : first[lane].operand;
      values[lane] = first[from & (lanesPerWarp - 1)].value;
    }
    for (int32_t lane = 0; lane < lanesPerWarp; ++lane)
      first[lane].value = values[lane];
  }
  warp.meeting = Meeting::None;
  warp.arrived = 0;
}

/// Waits until all lanes of the warp have come to the same meeting.
void Emulator::Impl::meet(Meeting meeting, int32_t kind) {
  Warp &warp = warpOfCurrent();
  if (warp.meeting == Meeting::None) {
    warp.meeting = meeting;
    warp.kind = kind;
  } else if (warp.meeting != meeting || warp.kind != kind) {
    fail(std::string("comes to ") + nameOf(meeting) +
         " while lanes of its warp are at " + nameOf(warp.meeting));
    return wait();
  }
  if (++warp.arrived < lanesPerWarp)
    return wait();
  int32_t first = current / lanesPerWarp * lanesPerWarp;
  complete(warp, &lanes[first]);
  for (int32_t i = first; i < first + lanesPerWarp; ++i)
    if (i != current)
      ready.push_back(i);
}

void Emulator::Impl::doWarpBarrier(EmulatorMachine *machine) {
  of(machine).meet(Meeting::Barrier, 0);
}

uint32_t Emulator::Impl::doShuffle(EmulatorMachine *machine,
                                   EmulatedShuffle kind, uint32_t value,
                                   int32_t operand) {
  Impl &emulator = of(machine);
  Lane &lane = emulator.laneOfCurrent();
  lane.value = value;
  lane.operand = operand;
  emulator.meet(Meeting::Shuffle, static_cast<int32_t>(kind));
  return lane.value;
}

void Emulator::Impl::doMma(EmulatorMachine *machine, EmulatedMma kind,
                           uint32_t *registers) {
  Impl &emulator = of(machine);
  emulator.laneOfCurrent().registers = registers;
  emulator.meet(Meeting::Product, static_cast<int32_t>(kind));
}

void Emulator::Impl::doAccess(EmulatorMachine *machine, const uint8_t *address,
                              int64_t bytes, int32_t isWrite) {
  Impl &emulator = of(machine);
  constexpr uint64_t yieldEvery = 16;
  if (emulator.seed && emulator.random() % yieldEvery == 0)
    emulator.yield();
  AccessTime time{emulator.current, emulator.warpOfCurrent().epoch,
                  emulator.blockEpoch};
  std::string wrong =
      emulator.memory.access(address, bytes, isWrite != 0, time);
  if (wrong.empty())
    return;
  emulator.fail(wrong);
  emulator.wait();
}

bool Emulator::isSupported() { return hasFibers(); }

Emulator::Emulator(uint64_t seed) : impl(std::make_unique<Impl>(seed)) {}

Emulator::~Emulator() = default;

uint8_t *Emulator::scratch() {
  return reinterpret_cast<uint8_t *>(
      static_cast<EmulatorMachine *>(impl.get()));
}

Status Emulator::takeFailure() {
  Status taken = std::move(impl->failure);
  impl->failure.reset();
  return taken;
}

uint64_t Emulator::threadsRun() const { return impl->threadsRun; }

uint64_t Emulator::switches() const { return impl->switches; }
