//===- FloatEnvironment.cpp - Set, restore and test the control register --===//
#include "lowbit/Runtime/FloatEnvironment.h"

#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace lowbit;

#if defined(__x86_64__)
// All exceptions masked, round to nearest, no FTZ, no DAZ.
static constexpr uint32_t strictControl = 0x1F80;

StrictFloatScope::StrictFloatScope() : saved(_mm_getcsr()) {
  _mm_setcsr(strictControl);
}

StrictFloatScope::~StrictFloatScope() {
  _mm_setcsr(static_cast<uint32_t>(saved));
}
#elif defined(__aarch64__)
StrictFloatScope::StrictFloatScope() {
  asm volatile("mrs %0, fpcr" : "=r"(saved));
  asm volatile("msr fpcr, %0" : : "r"(uint64_t(0)));
}

StrictFloatScope::~StrictFloatScope() {
  asm volatile("msr fpcr, %0" : : "r"(saved));
}
#else
#error "no strict floating-point environment for this machine"
#endif

namespace {

enum class Operation { Add, Multiply, Divide, Root };

struct KnownResult {
  Operation operation;
  uint32_t a, b, expected;
};

// Bit patterns of f32. Each line separates round-to-nearest-even from another
// mode, or kept subnormals from flushed ones.
constexpr KnownResult knownResults[16] = {
    {Operation::Add, 0x3F800000, 0x33800000, 0x3F800000},      // 1 + 2^-24
    {Operation::Add, 0x3F800001, 0x33800000, 0x3F800002},      // tie to even
    {Operation::Add, 0xBF800000, 0xB3800000, 0xBF800000},      // −1 − 2^-24
    {Operation::Add, 0xBF800001, 0xB3800000, 0xBF800002},      // tie to even
    {Operation::Add, 0x3F800000, 0x33800001, 0x3F800001},      // above a tie
    {Operation::Add, 0x00000001, 0x00000001, 0x00000002},      // subnormals
    {Operation::Add, 0x00800000, 0x80000001, 0x007FFFFF},      // to subnormal
    {Operation::Add, 0x7F7FFFFF, 0x73000000, 0x7F800000},      // overflow
    {Operation::Multiply, 0x00800000, 0x3F000000, 0x00400000}, // min · ½
    {Operation::Multiply, 0x00000001, 0x3F000000, 0x00000000}, // tie to 0
    {Operation::Multiply, 0x00000003, 0x3F000000, 0x00000002}, // tie to even
    {Operation::Multiply, 0x3F800001, 0x3F800001, 0x3F800002}, // inexact
    {Operation::Divide, 0x3F800000, 0x40400000, 0x3EAAAAAB},   // 1 / 3
    {Operation::Divide, 0x00800000, 0x40000000, 0x00400000},   // min / 2
    {Operation::Root, 0x40000000, 0, 0x3FB504F3},              // √2
    {Operation::Root, 0x00000001, 0, 0x1A3504F3},              // √ subnormal
};

float fromBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

} // namespace

bool lowbit::floatsAreStrict() {
  for (const KnownResult &known : knownResults) {
    // volatile: the compiler must not compute these with its own rounding.
    volatile float a = fromBits(known.a), b = fromBits(known.b), y = 0;
    switch (known.operation) {
    case Operation::Add:
      y = a + b;
      break;
    case Operation::Multiply:
      y = a * b;
      break;
    case Operation::Divide:
      y = a / b;
      break;
    case Operation::Root:
      y = std::sqrt(a);
      break;
    }
    float got = y;
    uint32_t bits;
    memcpy(&bits, &got, sizeof(bits));
    if (bits != known.expected)
      return false;
  }
  return true;
}
