#include "driver.h"

#include <dlfcn.h>

const Driver* Driver::open(std::string& reason) {
  static Driver driver;
  static std::string failure;
  static const bool ready = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      failure = "no NVIDIA driver: libcuda.so.1 could not be opened (" + std::string(dlerror()) + ")";
      return false;
    }
#define CUDA_FIND(name, symbol, parameters)                                      \
  driver.name = reinterpret_cast<decltype(driver.name)>(dlsym(library, symbol)); \
  if (driver.name == nullptr) {                                                  \
    failure = std::string("the NVIDIA driver is too old: it has no ") + symbol;  \
    return false;                                                                \
  }
    CUDA_DRIVER(CUDA_FIND)
#undef CUDA_FIND
    const CUresult error = driver.init(0);
    if (error != CUDA_SUCCESS) {
      failure = driver.describe("cuInit", error);
      return false;
    }
    return true;
  }();
  if (ready) return &driver;
  reason = failure;
  return nullptr;
}

std::string Driver::describe(const char* call, CUresult error) const {
  const char* name = nullptr;
  const char* text = nullptr;
  getErrorName(error, &name);
  getErrorString(error, &text);
  return std::string(call) + ": " + (name ? name : std::to_string(error)) + (text ? std::string(", ") + text : "");
}
