//===- Device.h - What can run a plan ---------------------------*- C++ -*-===//
//
// Devices by name: `cpu`, `emulated` (a GPU's plan on the CPU) and `cuda:N`. A
// GPU is found through NVIDIA's driver, a library that is loaded when it is
// asked for: nothing here is linked against it.
//
//===----------------------------------------------------------------------===//
#ifndef LOWBIT_RUNTIME_DEVICE_H
#define LOWBIT_RUNTIME_DEVICE_H

#include "lowbit/Checkpoint/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace lowbit {

/// The library of NVIDIA's driver.
constexpr const char *cudaLibrary = "libcuda.so.1";

/// What the driver says of a GPU.
struct GpuDevice {
  std::string name;
  /// Compute capability · 10.
  int32_t capability = 0;
  int32_t multiprocessors = 0;
  /// Bytes of its memory.
  uint64_t memory = 0;
};

/// The GPUs of this machine, as `library` numbers them; at least one. Exit 8
/// with the reason: no driver, a driver that does not answer (the message names
/// the call), or no device.
Result<std::vector<GpuDevice>>
findGpus(const std::string &library = cudaLibrary);

/// The target whose code a GPU of this compute capability runs; empty where
/// only PTX can serve it.
std::string gpuTarget(int32_t capability);

/// The target whose plan and code `device` runs. Exit 2 for an unknown name, 8
/// where there is no such GPU, 4 for a GPU that is there: the runner cannot
/// run on one yet.
Result<std::string> deviceTarget(const std::string &device,
                                 const std::string &library = cudaLibrary);

/// One line for each device: its name for `--device`, a tab, what it is, or
/// why there is none.
std::string listDevices(const std::string &library = cudaLibrary);

} // namespace lowbit

#endif // LOWBIT_RUNTIME_DEVICE_H
