//===- DeviceTest.cpp - Devices, with and without a driver ----------------===//
#include "lowbit/Runtime/Device.h"
#include "lowbit/Runtime/Model.h"

#include <cstdlib>
#include <gtest/gtest.h>

using namespace lowbit;

namespace {

/// Sets a variable of the environment as long as it lives.
class Variable {
public:
  Variable(const char *name, const char *value) : name(name) {
    setenv(name, value, 1);
  }
  ~Variable() { unsetenv(name); }

private:
  const char *name;
};

bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

constexpr const char *noLibrary = "lowbit-no-such-library.so.1";

} // namespace

TEST(Device, CpuAndEmulatedNeedNoDriver) {
  EXPECT_EQ(*deviceTarget("cpu", noLibrary), hostTarget());
  EXPECT_EQ(*deviceTarget("emulated", noLibrary), "emulated");
}

TEST(Device, RefusesUnknownNames) {
  for (const char *name : {"", "gpu", "cuda", "cuda:", "cuda:x", "cuda:-1",
                           "cuda:0x", "cuda:99999999999999999999"}) {
    Result<std::string> target = deviceTarget(name, LOWBIT_FAKE_CUDA);
    ASSERT_FALSE(target) << name;
    EXPECT_EQ(target.error().code, ExitCode::Usage) << name;
  }
}

TEST(Device, SaysThatThereIsNoDriver) {
  Result<std::string> target = deviceTarget("cuda:0", noLibrary);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().code, ExitCode::Device);
  EXPECT_TRUE(contains(target.error().message,
                       "device cuda:0: no NVIDIA driver: "
                       "lowbit-no-such-library.so.1: cannot open"))
      << target.error().message;
  EXPECT_TRUE(contains(listDevices(noLibrary), "\ncuda\tnone: no NVIDIA"));
}

TEST(Device, SaysThatTheDriverLacksAFunction) {
  Result<std::vector<GpuDevice>> gpus = findGpus("libc.so.6");
  ASSERT_FALSE(gpus);
  EXPECT_EQ(gpus.error().code, ExitCode::Device);
  EXPECT_TRUE(contains(gpus.error().message, "no function cuInit"));
}

TEST(Device, SaysThatThereIsNoGpu) {
  Result<std::string> target = deviceTarget("cuda:0", LOWBIT_FAKE_CUDA);
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().code, ExitCode::Device);
  EXPECT_TRUE(contains(target.error().message, "finds no GPU"));
}

TEST(Device, NamesTheCallThatFails) {
  Variable devices("FAKE_CUDA_DEVICES", "1");
  for (const char *call :
       {"cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName",
        "cuDeviceGetAttribute", "cuDeviceTotalMem_v2"}) {
    Variable failing("FAKE_CUDA_FAIL", call);
    Result<std::vector<GpuDevice>> gpus = findGpus(LOWBIT_FAKE_CUDA);
    ASSERT_FALSE(gpus) << call;
    EXPECT_EQ(gpus.error().code, ExitCode::Device);
    EXPECT_EQ(gpus.error().message,
              std::string(call) +
                  " of the NVIDIA driver: CUDA_ERROR_UNKNOWN (999)");
  }
}

TEST(Device, DescribesGpus) {
  Variable devices("FAKE_CUDA_DEVICES", "2");
  Result<std::vector<GpuDevice>> gpus = findGpus(LOWBIT_FAKE_CUDA);
  ASSERT_TRUE(gpus) << gpus.error().message;
  ASSERT_EQ(gpus->size(), 2u);
  EXPECT_EQ((*gpus)[1].name, "Fake 1");
  EXPECT_EQ((*gpus)[1].capability, 81);
  EXPECT_EQ((*gpus)[1].multiprocessors, 7);
  EXPECT_EQ((*gpus)[1].memory, uint64_t(3) << 30);
  EXPECT_TRUE(contains(listDevices(LOWBIT_FAKE_CUDA),
                       "cuda:1\tFake 1, compute capability 8.1, 7 "
                       "multiprocessors, 3072 MiB; runs code for sm_80 or "
                       "ptx\n"));
  Result<std::string> beyond = deviceTarget("cuda:2", LOWBIT_FAKE_CUDA);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ExitCode::Device);
  EXPECT_TRUE(contains(beyond.error().message, "the last GPU is cuda:1"));
  Result<std::string> there = deviceTarget("cuda:1", LOWBIT_FAKE_CUDA);
  ASSERT_FALSE(there);
  EXPECT_EQ(there.error().code, ExitCode::Unsupported);
}

TEST(Device, KnowsTheTargetOfACapability) {
  EXPECT_EQ(gpuTarget(90), "sm_90a");
  EXPECT_EQ(gpuTarget(89), "sm_89");
  EXPECT_EQ(gpuTarget(80), "sm_80");
  EXPECT_EQ(gpuTarget(86), "sm_80");
  EXPECT_EQ(gpuTarget(75), "");
  EXPECT_EQ(gpuTarget(100), "");
}
