//===- Device.cpp - What can run a plan -----------------------------------===//
#include "lowbit/Runtime/Device.h"

#include "lowbit/Checkpoint/Message.h"
#include "lowbit/Runtime/Emulator.h"
#include "lowbit/Runtime/KernelTable.h"
#include "lowbit/Runtime/Model.h"

#include <charconv>
#include <dlfcn.h>
#include <memory>
#include <optional>
#include <string_view>

using namespace lowbit;

namespace {

/// The calls of the driver API (CUDA Driver API, "Device Management") that find
/// out about devices. All return 0 where they succeed.
class CudaDriver {
public:
  static Result<CudaDriver> load(const std::string &library);
  Result<std::vector<GpuDevice>> devices();

private:
  struct Close {
    void operator()(void *handle) const { dlclose(handle); }
  };
  explicit CudaDriver(void *handle) : handle(handle) {}
  /// Finds function `name`; exit 8 where the library has none.
  template <typename Function>
  Status find(const char *name, Function *&function);
  /// What a call that returned `code` says.
  Error failed(const char *call, int code);
  Result<GpuDevice> describe(int index);

  std::unique_ptr<void, Close> handle;
  int (*init)(unsigned) = nullptr;
  int (*getCount)(int *) = nullptr;
  int (*getDevice)(int *, int) = nullptr;
  int (*getName)(char *, int, int) = nullptr;
  int (*getAttribute)(int *, int, int) = nullptr;
  int (*getMemory)(size_t *, int) = nullptr;
  int (*getErrorName)(int, const char **) = nullptr;
};

/// CUdevice_attribute.
constexpr int multiprocessorCount = 16, capabilityMajor = 75,
              capabilityMinor = 76;

Error deviceError(const std::string &what) { return {ExitCode::Device, what}; }

template <typename Function>
Status CudaDriver::find(const char *name, Function *&function) {
  function = reinterpret_cast<Function *>(dlsym(handle.get(), name));
  if (function)
    return {};
  return deviceError(std::string("the driver has no function ") + name +
                     "; it is too old");
}

Result<CudaDriver> CudaDriver::load(const std::string &library) {
  void *loaded = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded) {
    const char *why = dlerror();
    return deviceError("no NVIDIA driver: " +
                       escaped(why ? why : library.c_str()));
  }
  CudaDriver driver(loaded);
  for (Status missing :
       {driver.find("cuInit", driver.init),
        driver.find("cuDeviceGetCount", driver.getCount),
        driver.find("cuDeviceGet", driver.getDevice),
        driver.find("cuDeviceGetName", driver.getName),
        driver.find("cuDeviceGetAttribute", driver.getAttribute),
        driver.find("cuDeviceTotalMem_v2", driver.getMemory),
        driver.find("cuGetErrorName", driver.getErrorName)})
    if (missing)
      return *missing;
  return driver;
}

Error CudaDriver::failed(const char *call, int code) {
  const char *name = nullptr;
  if (getErrorName(code, &name) != 0 || !name)
    name = "unknown error";
  return deviceError(std::string(call) + " of the NVIDIA driver: " +
                     escaped(name) + " (" + std::to_string(code) + ")");
}

Result<GpuDevice> CudaDriver::describe(int index) {
  GpuDevice device;
  int id = 0, major = 0, minor = 0;
  char name[256] = {};
  size_t memory = 0;
  if (int code = getDevice(&id, index))
    return failed("cuDeviceGet", code);
  if (int code = getName(name, sizeof(name) - 1, id))
    return failed("cuDeviceGetName", code);
  if (int code = getMemory(&memory, id))
    return failed("cuDeviceTotalMem_v2", code);
  for (auto [attribute, value] :
       {std::pair{capabilityMajor, &major}, std::pair{capabilityMinor, &minor},
        std::pair{multiprocessorCount, &device.multiprocessors}})
    if (int code = getAttribute(value, attribute, id))
      return failed("cuDeviceGetAttribute", code);
  device.name = name;
  device.capability = 10 * major + minor;
  device.memory = memory;
  return device;
}

Result<std::vector<GpuDevice>> CudaDriver::devices() {
  int count = 0;
  if (int code = init(0))
    return failed("cuInit", code);
  if (int code = getCount(&count))
    return failed("cuDeviceGetCount", code);
  if (count < 1)
    return deviceError("the NVIDIA driver finds no GPU");
  std::vector<GpuDevice> devices;
  for (int i = 0; i < count; ++i) {
    auto device = describe(i);
    if (!device)
      return device.error();
    devices.push_back(std::move(*device));
  }
  return devices;
}

/// `cuda:N`: N.
std::optional<size_t> gpuIndex(std::string_view device) {
  constexpr std::string_view prefix = "cuda:";
  if (device.substr(0, prefix.size()) != prefix)
    return std::nullopt;
  device.remove_prefix(prefix.size());
  size_t index = 0;
  auto [end, error] =
      std::from_chars(device.data(), device.data() + device.size(), index);
  if (error != std::errc() || end != device.data() + device.size())
    return std::nullopt;
  return index;
}

std::string describe(const GpuDevice &device) {
  std::string target = gpuTarget(device.capability);
  return escaped(device.name) + ", compute capability " +
         std::to_string(device.capability / 10) + "." +
         std::to_string(device.capability % 10) + ", " +
         std::to_string(device.multiprocessors) + " multiprocessors, " +
         std::to_string(device.memory >> 20) + " MiB; runs code for " +
         (target.empty() ? "ptx" : target + " or ptx");
}

} // namespace

Result<std::vector<GpuDevice>> lowbit::findGpus(const std::string &library) {
  auto driver = CudaDriver::load(library);
  if (!driver)
    return driver.error();
  return driver->devices();
}

std::string lowbit::gpuTarget(int32_t capability) {
  // A cubin runs on later minor versions of its major one; sm_90a on 9.0 alone.
  if (capability == 90)
    return "sm_90a";
  if (capability == 89)
    return "sm_89";
  return capability / 10 == 8 ? "sm_80" : "";
}

Result<std::string> lowbit::deviceTarget(const std::string &device,
                                         const std::string &library) {
  if (device == "cpu")
    return std::string(hostTarget());
  if (device == "emulated")
    return device;
  std::optional<size_t> index = gpuIndex(device);
  if (!index)
    return Error{ExitCode::Usage, "device: " + quoted(device) +
                                      " is not known, must be cpu, emulated "
                                      "or cuda:N"};
  auto gpus = findGpus(library);
  if (!gpus)
    return deviceError("device " + device + ": " + gpus.error().message);
  if (*index >= gpus->size())
    return deviceError("device " + device + ": the last GPU is cuda:" +
                       std::to_string(gpus->size() - 1));
  return Error{ExitCode::Unsupported,
               "device " + device + ": " + describe((*gpus)[*index]) +
                   "; this runner cannot run on a GPU yet"};
}

std::string lowbit::listDevices(const std::string &library) {
  Variant best = bestVariant();
  std::string lines = std::string("cpu\t") + hostTarget() + ", kernels " +
                      variantName(best) + "\n";
  std::string missing = missingFeatures(Variant::AVX2);
  lines += "emulated\t";
  if (!Emulator::isSupported())
    lines += "none: needs an x86-64 processor\n";
  else if (!missing.empty())
    lines += "none: this CPU lacks " + missing + "\n";
  else
    lines += "kernels of sm_90a, threads as fibers of the CPU\n";
  auto gpus = findGpus(library);
  if (!gpus)
    return lines + "cuda\tnone: " + gpus.error().message + "\n";
  for (size_t i = 0; i < gpus->size(); ++i)
    lines += "cuda:" + std::to_string(i) + "\t" + describe((*gpus)[i]) + "\n";
  return lines;
}
