// A stand-in for libcuda.so.1 that runs the kernels on the host: the part of the driver API that addon/driver.h names.
// Commands run when they are enqueued; a graph repeats the launches that were captured.
#include "../addon/driver.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "registry.h"

namespace host {
std::vector<Kernel>& kernels() {
  static std::vector<Kernel> all;
  return all;
}
}  // namespace host

namespace {

constexpr size_t deviceBytes = size_t{3} << 30;

std::mutex mutex;
std::map<CUdeviceptr, size_t> allocations;
size_t allocated = 0;
std::string lastError;
}  // namespace

struct CUfunc_st {
  const host::Kernel* kernel;
};
struct CUmod_st {
  std::map<std::string, CUfunc_st> functions;
};
struct CUgraph_st {
  std::vector<host::Launch> launches;
};
struct CUgraphExec_st {
  std::vector<host::Launch> launches;
};
struct CUstream_st {
  CUgraph_st* capture = nullptr;
};

namespace {

enum : CUresult { invalidValue = 1, notFound = 500, launchFailed = 719 };

CUresult runAll(const std::vector<host::Launch>& launches) {
  const std::lock_guard<std::mutex> lock(mutex);
  try {
    for (const host::Launch& launch : launches) host::run(launch);
  } catch (const std::exception& error) {
    lastError = error.what();
    return launchFailed;
  }
  return CUDA_SUCCESS;
}

}  // namespace

#define DRIVER(NAME) extern "C" __attribute__((visibility("default"))) CUresult NAME

DRIVER(cuInit)(unsigned) { return CUDA_SUCCESS; }
DRIVER(cuDriverGetVersion)(int* version) { return *version = 13000, CUDA_SUCCESS; }
DRIVER(cuGetErrorName)(CUresult error, const char** name) {
  *name = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_LAUNCH_FAILED";
  return CUDA_SUCCESS;
}
DRIVER(cuGetErrorString)(CUresult error, const char** text) {
  *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : lastError.c_str();
  return CUDA_SUCCESS;
}
DRIVER(cuDeviceGetCount)(int* count) { return *count = 1, CUDA_SUCCESS; }
DRIVER(cuDeviceGet)(CUdevice* device, int ordinal) { return *device = ordinal, CUDA_SUCCESS; }
DRIVER(cuDeviceGetName)(char* name, int bytes, CUdevice) {
  std::strncpy(name, "host emulation", bytes);
  return CUDA_SUCCESS;
}
DRIVER(cuDeviceGetAttribute)(int* value, int attribute, CUdevice) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
      *value = 8;
      break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
      *value = 0;
      break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
      *value = 4;
      break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
      *value = 227 * 1024;
      break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
      *value = 32 << 20;
      break;
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
      *value = 1;
      break;
    default:
      return invalidValue;
  }
  return CUDA_SUCCESS;
}
DRIVER(cuDevicePrimaryCtxRetain)(CUcontext* context, CUdevice) {
  *context = reinterpret_cast<CUcontext>(&mutex);
  return CUDA_SUCCESS;
}
DRIVER(cuDevicePrimaryCtxRelease_v2)(CUdevice) { return CUDA_SUCCESS; }
DRIVER(cuCtxSetCurrent)(CUcontext) { return CUDA_SUCCESS; }
DRIVER(cuMemGetInfo_v2)(size_t* free, size_t* total) {
  const std::lock_guard<std::mutex> lock(mutex);
  return *free = deviceBytes - allocated, *total = deviceBytes, CUDA_SUCCESS;
}

// An image names the kernels of one file, each followed by a zero byte; an empty name ends the list.
DRIVER(cuModuleLoadData)(CUmodule* module, const void* image) {
  auto* result = new CUmod_st;
  for (const char* name = static_cast<const char*>(image); *name; name += std::strlen(name) + 1) {
    for (const host::Kernel& kernel : host::kernels()) {
      if (std::strcmp(kernel.name, name) == 0) result->functions[name] = {&kernel};
    }
  }
  return *module = result, CUDA_SUCCESS;
}
DRIVER(cuModuleUnload)(CUmodule module) { return delete module, CUDA_SUCCESS; }
DRIVER(cuModuleGetFunction)(CUfunction* function, CUmodule module, const char* name) {
  const auto found = module->functions.find(name);
  if (found == module->functions.end()) return lastError = std::string("no kernel ") + name, notFound;
  return *function = &found->second, CUDA_SUCCESS;
}
DRIVER(cuFuncSetAttribute)(CUfunction, int, int) { return CUDA_SUCCESS; }
DRIVER(cuLaunchKernelEx)(const CUlaunchConfig* config, CUfunction function, void**, void** extra) {
  if (config->blockDimY != 1 || config->blockDimZ != 1) return invalidValue;
  const CUstream stream = config->hStream;
  const auto* arguments = static_cast<const uint8_t*>(extra[1]);
  const size_t bytes = *static_cast<const size_t*>(extra[3]);
  const host::Kernel& kernel = *function->kernel;
  host::Launch launch{{config->gridDimX, config->gridDimY, config->gridDimZ},
                      config->blockDimX,
                      config->sharedMemBytes,
                      kernel.sharedStart,
                      kernel.sharedEnd,
                      {}};
  try {
    launch.body = kernel.bind(arguments, bytes);
  } catch (const std::exception& error) {
    return lastError = std::string(kernel.name) + ": " + error.what(), launchFailed;
  }
  if (stream->capture) return stream->capture->launches.push_back(std::move(launch)), CUDA_SUCCESS;
  return runAll({launch});
}

DRIVER(cuStreamCreate)(CUstream* stream, unsigned) { return *stream = new CUstream_st, CUDA_SUCCESS; }
DRIVER(cuStreamDestroy_v2)(CUstream stream) { return delete stream, CUDA_SUCCESS; }
DRIVER(cuStreamSynchronize)(CUstream) { return CUDA_SUCCESS; }
DRIVER(cuStreamBeginCapture_v2)(CUstream stream, int) { return stream->capture = new CUgraph_st, CUDA_SUCCESS; }
DRIVER(cuStreamEndCapture)(CUstream stream, CUgraph* graph) {
  *graph = stream->capture;
  return stream->capture = nullptr, CUDA_SUCCESS;
}
DRIVER(cuGraphInstantiateWithFlags)(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  return *exec = new CUgraphExec_st{graph->launches}, CUDA_SUCCESS;
}
DRIVER(cuGraphLaunch)(CUgraphExec exec, CUstream) { return runAll(exec->launches); }
DRIVER(cuGraphExecDestroy)(CUgraphExec exec) { return delete exec, CUDA_SUCCESS; }
DRIVER(cuGraphDestroy)(CUgraph graph) { return delete graph, CUDA_SUCCESS; }

DRIVER(cuMemPoolCreate)(CUmemoryPool* pool, const CUmemPoolProps*) {
  *pool = reinterpret_cast<CUmemoryPool>(&allocations);
  return CUDA_SUCCESS;
}
DRIVER(cuMemPoolDestroy)(CUmemoryPool) { return CUDA_SUCCESS; }
DRIVER(cuMemPoolSetAttribute)(CUmemoryPool, int, void*) { return CUDA_SUCCESS; }
DRIVER(cuMemPoolGetAttribute)(CUmemoryPool, int, void* value) {
  const std::lock_guard<std::mutex> lock(mutex);
  return *static_cast<uint64_t*>(value) = allocated, CUDA_SUCCESS;
}
DRIVER(cuMemPoolTrimTo)(CUmemoryPool, size_t) { return CUDA_SUCCESS; }
DRIVER(cuMemAllocFromPoolAsync)(CUdeviceptr* pointer, size_t bytes, CUmemoryPool, CUstream) {
  const std::lock_guard<std::mutex> lock(mutex);
  const size_t size = (bytes + 255) / 256 * 256;
  void* at = allocated + size > deviceBytes ? nullptr : std::aligned_alloc(256, size);
  if (!at) return CUDA_ERROR_OUT_OF_MEMORY;
  allocated += size;
  *pointer = reinterpret_cast<CUdeviceptr>(at);
  allocations[*pointer] = size;
  return CUDA_SUCCESS;
}
DRIVER(cuMemFreeAsync)(CUdeviceptr pointer, CUstream) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return invalidValue;
  allocated -= found->second;
  allocations.erase(found);
  return std::free(reinterpret_cast<void*>(pointer)), CUDA_SUCCESS;
}
DRIVER(cuMemsetD8Async)(CUdeviceptr target, unsigned char value, size_t count, CUstream) {
  return std::memset(reinterpret_cast<void*>(target), value, count), CUDA_SUCCESS;
}
DRIVER(cuMemcpyHtoDAsync_v2)(CUdeviceptr target, const void* source, size_t bytes, CUstream) {
  return std::memcpy(reinterpret_cast<void*>(target), source, bytes), CUDA_SUCCESS;
}
DRIVER(cuMemcpyDtoHAsync_v2)(void* target, CUdeviceptr source, size_t bytes, CUstream) {
  return std::memcpy(target, reinterpret_cast<const void*>(source), bytes), CUDA_SUCCESS;
}
DRIVER(cuMemHostAlloc)(void** pointer, size_t bytes, unsigned) {
  return (*pointer = std::malloc(bytes)) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
DRIVER(cuMemFreeHost)(void* pointer) { return std::free(pointer), CUDA_SUCCESS; }
DRIVER(cuEventCreate)(CUevent* event, unsigned) {
  *event = reinterpret_cast<CUevent>(&mutex);
  return CUDA_SUCCESS;
}
DRIVER(cuEventDestroy_v2)(CUevent) { return CUDA_SUCCESS; }
DRIVER(cuEventRecord)(CUevent, CUstream) { return CUDA_SUCCESS; }
DRIVER(cuEventQuery)(CUevent) { return CUDA_SUCCESS; }
DRIVER(cuEventSynchronize)(CUevent) { return CUDA_SUCCESS; }
