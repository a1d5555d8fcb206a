//===- FakeCuda.cpp - A driver for tests ----------------------------------===//
//
// Stands in for NVIDIA's libcuda.so.1. The environment says what it does:
// FAKE_CUDA_DEVICES is how many there are (of compute capability 8.0 + i), and
// FAKE_CUDA_FAIL names a call that fails.
//
//===----------------------------------------------------------------------===//
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

int result(const char *call) {
  const char *failing = std::getenv("FAKE_CUDA_FAIL");
  return failing && std::strcmp(failing, call) == 0 ? 999 : 0;
}

} // namespace

extern "C" {

int cuInit(unsigned) { return result("cuInit"); }

int cuDeviceGetCount(int *count) {
  const char *devices = std::getenv("FAKE_CUDA_DEVICES");
  *count = devices ? std::atoi(devices) : 0;
  return result("cuDeviceGetCount");
}

int cuDeviceGet(int *device, int index) {
  *device = 100 + index;
  return result("cuDeviceGet");
}

int cuDeviceGetName(char *name, int bytes, int device) {
  std::snprintf(name, size_t(bytes), "Fake %d", device - 100);
  return result("cuDeviceGetName");
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? 8 : attribute == 76 ? device - 100 : 7;
  return result("cuDeviceGetAttribute");
}

int cuDeviceTotalMem_v2(size_t *bytes, int) {
  *bytes = size_t(3) << 30;
  return result("cuDeviceTotalMem_v2");
}

int cuGetErrorName(int, const char **name) {
  *name = "CUDA_ERROR_UNKNOWN";
  return 0;
}
}
