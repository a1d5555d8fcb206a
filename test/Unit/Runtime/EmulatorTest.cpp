//===- EmulatorTest.cpp - Fibers, collectives, races ----------------------===//
//
// Threads written in C++ against the emulator's table, as compiled kernels use
// it: what lanes do together is right on every schedule, and each mistake that
// the emulator promises to find is found.
//
//===----------------------------------------------------------------------===//

#include "lowbit/Runtime/Emulator.h"

#include <cstring>
#include <gtest/gtest.h>
#include <vector>

using namespace lowbit;

namespace {

EmulatorMachine &machineOf(Emulator &emulator) {
  return *reinterpret_cast<EmulatorMachine *>(emulator.scratch());
}

/// Runs `blocks` blocks of `thread`; what the emulator says.
std::string run(EmulatedThread thread, uint64_t seed, int64_t threads,
                int64_t sharedBytes, void *data, int64_t blocks = 3) {
  Emulator emulator(seed);
  uint8_t *args[] = {static_cast<uint8_t *>(data)};
  EmulatorMachine &machine = machineOf(emulator);
  machine.launch(&machine, thread, args, 1, 0, blocks, threads, sharedBytes);
  Status failure = emulator.takeFailure();
  if (!failure) {
    EXPECT_EQ(emulator.threadsRun(), uint64_t(threads * blocks));
  }
  return failure ? failure->message : "";
}

void store(EmulatorMachine *machine, int64_t i, int32_t value) {
  uint8_t *place = machine->shared + 4 * i;
  machine->access(machine, place, 4, 1);
  std::memcpy(place, &value, 4);
}

int32_t load(EmulatorMachine *machine, int64_t i) {
  const uint8_t *place = machine->shared + 4 * i;
  machine->access(machine, place, 4, 0);
  int32_t value;
  std::memcpy(&value, place, 4);
  return value;
}

constexpr int64_t threads = 128;

/// out[block][thread] = the number of the thread opposite, by shared memory.
void mirror(uint8_t *const *args, int64_t, int64_t block, int64_t thread,
            EmulatorMachine *machine) {
  store(machine, thread, int32_t(thread));
  machine->barrier(machine);
  reinterpret_cast<int32_t *>(args[0])[block * threads + thread] =
      load(machine, threads - 1 - thread);
}

void mirrorWithoutBarrier(uint8_t *const *, int64_t, int64_t, int64_t thread,
                          EmulatorMachine *machine) {
  store(machine, thread, int32_t(thread));
  load(machine, threads - 1 - thread);
}

/// Writes again before all have read.
void reuseWithoutBarrier(uint8_t *const *, int64_t, int64_t, int64_t thread,
                         EmulatorMachine *machine) {
  store(machine, thread, 0);
  machine->barrier(machine);
  load(machine, threads - 1 - thread);
  store(machine, thread, 1);
}

/// A barrier of the warp orders its own lanes and no others.
template <int64_t flip>
void warpMirror(uint8_t *const *, int64_t, int64_t, int64_t thread,
                EmulatorMachine *machine) {
  store(machine, thread, int32_t(thread));
  machine->warpBarrier(machine);
  load(machine, thread ^ flip);
}

/// Lane 0 gets the sum of a warp's lanes; all lanes by shuffles.
void warpSum(uint8_t *const *args, int64_t, int64_t block, int64_t thread,
             EmulatorMachine *machine) {
  auto value = uint32_t(thread + 1);
  for (int32_t mask = 16; mask > 0; mask /= 2)
    value += machine->shuffle(machine, EmulatedShuffle::Xor, value, mask);
  uint32_t third =
      machine->shuffle(machine, EmulatedShuffle::Index, uint32_t(thread), 3);
  auto *out = reinterpret_cast<int32_t *>(args[0]);
  out[block * threads + thread] = int32_t(value + 1000 * third);
}

/// c[m][n] of one product, whose a and b are functions of their place.
int32_t aOf(int32_t m, int32_t k) { return (m * 37 + k * 11) % 256; }
int32_t bOf(int32_t k, int32_t n) { return (k * 29 + n * 53) % 256 - 128; }

void product(uint8_t *const *args, int64_t, int64_t block, int64_t thread,
             EmulatorMachine *machine) {
  int32_t g = int32_t(thread) / 4, t = int32_t(thread) % 4;
  uint8_t bytes[24];
  for (int32_t i = 0; i < 4; ++i)
    for (int32_t byte = 0; byte < 4; ++byte)
      bytes[4 * i + byte] =
          uint8_t(aOf(g + 8 * (i % 2), 4 * t + byte + 16 * (i / 2)));
  for (int32_t i = 0; i < 2; ++i)
    for (int32_t byte = 0; byte < 4; ++byte)
      bytes[16 + 4 * i + byte] = uint8_t(bOf(4 * t + byte + 16 * i, g));
  uint32_t registers[10] = {};
  std::memcpy(registers, bytes, sizeof(bytes));
  registers[6] = 7; // added to c0
  machine->mma(machine, EmulatedMma::U8S8, registers);
  auto *out = reinterpret_cast<int32_t *>(args[0]) + block * 128;
  for (int32_t i = 0; i < 4; ++i)
    out[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = int32_t(registers[6 + i]);
}

void readUnwritten(uint8_t *const *, int64_t, int64_t, int64_t,
                   EmulatorMachine *machine) {
  load(machine, 2);
}

void writeOutside(uint8_t *const *, int64_t, int64_t, int64_t,
                  EmulatorMachine *machine) {
  store(machine, threads, 1);
}

void skipBarrier(uint8_t *const *, int64_t, int64_t, int64_t thread,
                 EmulatorMachine *machine) {
  if (thread != 5)
    machine->barrier(machine);
}

void differ(uint8_t *const *, int64_t, int64_t, int64_t thread,
            EmulatorMachine *machine) {
  if (thread % 2)
    machine->warpBarrier(machine);
  else
    machine->shuffle(machine, EmulatedShuffle::Xor, 0, 1);
}

bool contains(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

const uint64_t seeds[] = {0, 1, 2, 3, 77};

} // namespace

TEST(Emulator, BarriersAndSharedMemory) {
  if (!Emulator::isSupported())
    GTEST_SKIP() << "no fibers on this machine";
  for (uint64_t seed : seeds) {
    std::vector<int32_t> out(3 * threads, -1);
    EXPECT_EQ(run(mirror, seed, threads, 4 * threads, out.data()), "");
    for (int64_t i = 0; i < 3 * threads; ++i)
      EXPECT_EQ(out[i], threads - 1 - i % threads);
  }
}

TEST(Emulator, ShufflesOfAWarp) {
  if (!Emulator::isSupported())
    GTEST_SKIP() << "no fibers on this machine";
  for (uint64_t seed : seeds) {
    std::vector<int32_t> out(3 * threads, -1);
    EXPECT_EQ(run(warpSum, seed, threads, 0, out.data()), "");
    for (int64_t i = 0; i < 3 * threads; ++i) {
      int64_t first = i % threads / 32 * 32;
      EXPECT_EQ(out[i], 32 * first + 32 * 33 / 2 + 1000 * (first + 3));
    }
  }
}

TEST(Emulator, MatrixProducts) {
  if (!Emulator::isSupported())
    GTEST_SKIP() << "no fibers on this machine";
  std::vector<int32_t> out(128, -1);
  EXPECT_EQ(run(product, 9, 32, 0, out.data(), 1), "");
  for (int32_t m = 0; m < 16; ++m)
    for (int32_t n = 0; n < 8; ++n) {
      // The 7 went to c0: rows 0 … 7, even columns.
      int32_t expected = m < 8 && n % 2 == 0 ? 7 : 0;
      for (int32_t k = 0; k < 32; ++k)
        expected += aOf(m, k) * bOf(k, n);
      EXPECT_EQ(out[m * 8 + n], expected) << m << " " << n;
    }
}

TEST(Emulator, FindsRaces) {
  if (!Emulator::isSupported())
    GTEST_SKIP() << "no fibers on this machine";
  for (uint64_t seed : seeds) {
    EXPECT_TRUE(
        contains(run(mirrorWithoutBarrier, seed, threads, 4 * threads, nullptr),
                 seed == 0 ? "nobody wrote" : ""));
    EXPECT_NE(run(mirrorWithoutBarrier, seed, threads, 4 * threads, nullptr),
              "");
    EXPECT_TRUE(
        contains(run(reuseWithoutBarrier, seed, threads, 4 * threads, nullptr),
                 "without a barrier between them"));
    EXPECT_NE(run(warpMirror<32>, seed, threads, 4 * threads, nullptr), "");
  }
  for (uint64_t seed : seeds)
    EXPECT_EQ(run(warpMirror<1>, seed, threads, 4 * threads, nullptr), "");
}

TEST(Emulator, FindsOtherMistakes) {
  if (!Emulator::isSupported())
    GTEST_SKIP() << "no fibers on this machine";
  EXPECT_TRUE(contains(run(readUnwritten, 0, 32, 64, nullptr),
                       "reads shared byte 8 that nobody wrote"));
  EXPECT_TRUE(contains(run(writeOutside, 0, 32, 4 * threads, nullptr),
                       "writes shared byte 512, the block has 512"));
  EXPECT_TRUE(contains(run(skipBarrier, 1, threads, 0, nullptr),
                       "waits at a barrier of the block to which others never "
                       "come"));
  EXPECT_TRUE(contains(run(differ, 0, 32, 0, nullptr),
                       "while lanes of its warp are at"));
  EXPECT_TRUE(contains(run(differ, 0, 33, 0, nullptr), "33 threads"));
}
