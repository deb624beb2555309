// The part of the CUDA driver API that is used here. It is declared by hand, so that no CUDA header is needed, and
// loaded at run time, so that a machine without the driver gets an error instead of a crash. Names, types and constants
// are those of NVIDIA's CUDA Driver API reference, version 12 and later.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st* CUcontext;
typedef struct CUmod_st* CUmodule;
typedef struct CUfunc_st* CUfunction;
typedef struct CUstream_st* CUstream;
typedef struct CUevent_st* CUevent;
typedef struct CUgraph_st* CUgraph;
typedef struct CUgraphExec_st* CUgraphExec;
typedef struct CUmemPoolHandle_st* CUmemoryPool;

struct CUmemPoolProps {
  int allocType;
  int handleTypes;
  struct {
    int type;
    int id;
  } location;
  void* win32SecurityAttributes;
  size_t maxSize;
  unsigned short usage;
  unsigned char reserved[54];
};

struct CUlaunchAttribute {
  int id;
  char padding[4];
  union {
    char bytes[64];
    int programmaticStreamSerializationAllowed;
  } value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute* attrs;
  unsigned numAttrs;
};

enum : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_READY = 600,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE = 38,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_STREAM_NON_BLOCKING = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2,
  CU_EVENT_DISABLE_TIMING = 2,
  CU_MEM_ALLOCATION_TYPE_PINNED = 1,
  CU_MEM_LOCATION_TYPE_DEVICE = 1,
  CU_MEMPOOL_ATTR_RELEASE_THRESHOLD = 4,
  CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT = 5,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
};

// Each entry: name in this program, symbol in the library, parameters.
#define CUDA_DRIVER(ENTRY)                                                                                          \
  ENTRY(init, "cuInit", (unsigned flags))                                                                           \
  ENTRY(driverGetVersion, "cuDriverGetVersion", (int* version))                                                     \
  ENTRY(getErrorName, "cuGetErrorName", (CUresult error, const char** name))                                        \
  ENTRY(getErrorString, "cuGetErrorString", (CUresult error, const char** text))                                    \
  ENTRY(deviceGetCount, "cuDeviceGetCount", (int* count))                                                           \
  ENTRY(deviceGet, "cuDeviceGet", (CUdevice * device, int ordinal))                                                 \
  ENTRY(deviceGetName, "cuDeviceGetName", (char* name, int bytes, CUdevice device))                                 \
  ENTRY(deviceGetAttribute, "cuDeviceGetAttribute", (int* value, int attribute, CUdevice device))                   \
  ENTRY(primaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext * context, CUdevice device))                       \
  ENTRY(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (CUdevice device))                                       \
  ENTRY(ctxSetCurrent, "cuCtxSetCurrent", (CUcontext context))                                                      \
  ENTRY(memGetInfo, "cuMemGetInfo_v2", (size_t* free, size_t* total))                                               \
  ENTRY(moduleLoadData, "cuModuleLoadData", (CUmodule * module, const void* image))                                 \
  ENTRY(moduleUnload, "cuModuleUnload", (CUmodule module))                                                          \
  ENTRY(moduleGetFunction, "cuModuleGetFunction", (CUfunction * function, CUmodule module, const char* name))       \
  ENTRY(funcSetAttribute, "cuFuncSetAttribute", (CUfunction function, int attribute, int value))                    \
  ENTRY(launchKernel, "cuLaunchKernelEx",                                                                           \
        (const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra))                       \
  ENTRY(streamCreate, "cuStreamCreate", (CUstream * stream, unsigned flags))                                        \
  ENTRY(streamDestroy, "cuStreamDestroy_v2", (CUstream stream))                                                     \
  ENTRY(streamSynchronize, "cuStreamSynchronize", (CUstream stream))                                                \
  ENTRY(streamBeginCapture, "cuStreamBeginCapture_v2", (CUstream stream, int mode))                                 \
  ENTRY(streamEndCapture, "cuStreamEndCapture", (CUstream stream, CUgraph * graph))                                 \
  ENTRY(graphInstantiate, "cuGraphInstantiateWithFlags",                                                            \
        (CUgraphExec * exec, CUgraph graph, unsigned long long flags))                                              \
  ENTRY(graphLaunch, "cuGraphLaunch", (CUgraphExec exec, CUstream stream))                                          \
  ENTRY(graphExecDestroy, "cuGraphExecDestroy", (CUgraphExec exec))                                                 \
  ENTRY(graphDestroy, "cuGraphDestroy", (CUgraph graph))                                                            \
  ENTRY(memPoolCreate, "cuMemPoolCreate", (CUmemoryPool * pool, const CUmemPoolProps* properties))                  \
  ENTRY(memPoolDestroy, "cuMemPoolDestroy", (CUmemoryPool pool))                                                    \
  ENTRY(memPoolSetAttribute, "cuMemPoolSetAttribute", (CUmemoryPool pool, int attribute, void* value))              \
  ENTRY(memPoolGetAttribute, "cuMemPoolGetAttribute", (CUmemoryPool pool, int attribute, void* value))              \
  ENTRY(memPoolTrimTo, "cuMemPoolTrimTo", (CUmemoryPool pool, size_t keep))                                         \
  ENTRY(memAllocFromPoolAsync, "cuMemAllocFromPoolAsync",                                                           \
        (CUdeviceptr * pointer, size_t bytes, CUmemoryPool pool, CUstream stream))                                  \
  ENTRY(memFreeAsync, "cuMemFreeAsync", (CUdeviceptr pointer, CUstream stream))                                     \
  ENTRY(memsetD8Async, "cuMemsetD8Async", (CUdeviceptr target, unsigned char value, size_t count, CUstream stream)) \
  ENTRY(memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2",                                                                    \
        (CUdeviceptr target, const void* source, size_t bytes, CUstream stream))                                    \
  ENTRY(memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void* target, CUdeviceptr source, size_t bytes, CUstream stream)) \
  ENTRY(memHostAlloc, "cuMemHostAlloc", (void** pointer, size_t bytes, unsigned flags))                             \
  ENTRY(memFreeHost, "cuMemFreeHost", (void* pointer))                                                              \
  ENTRY(eventCreate, "cuEventCreate", (CUevent * event, unsigned flags))                                            \
  ENTRY(eventDestroy, "cuEventDestroy_v2", (CUevent event))                                                         \
  ENTRY(eventRecord, "cuEventRecord", (CUevent event, CUstream stream))                                             \
  ENTRY(eventQuery, "cuEventQuery", (CUevent event))                                                                \
  ENTRY(eventSynchronize, "cuEventSynchronize", (CUevent event))

struct Driver {
#define CUDA_MEMBER(name, symbol, parameters) CUresult(*name) parameters = nullptr;
  CUDA_DRIVER(CUDA_MEMBER)
#undef CUDA_MEMBER

  /** The driver, opened once per process; or null and a reason. */
  static const Driver* open(std::string& reason);
  /** The text of an error, such as "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY, out of memory". */
  std::string describe(const char* call, CUresult error) const;
};
