// CUDA C++ on the host: what kernels of native/ need from CUDA's headers, in plain C++. The threads of a block are
// fibers that run in turn, see block.cc. Compiled by a C++ compiler for x86-64; tests only.
#pragma once
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "block.h"

#define HOST_EMULATION 1
#ifndef SHARED_SECTION
#define SHARED_SECTION "shared_memory"
#endif
// The name by which scripts/host.mjs finds kernels in the preprocessed text.
#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __align__(BYTES) alignas(BYTES)
// A section for each file, so that shared memory can be filled with garbage before each block.
#define __shared__ static __attribute__((section(SHARED_SECTION)))
#define DYNAMIC_SHARED(TYPE, NAME) TYPE* NAME = reinterpret_cast<TYPE*>(host::dynamicShared())

#define threadIdx (host::current->thread)
#define blockIdx (host::block.index)
#define blockDim (host::block.threads)
#define gridDim (host::block.grid)

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline void __syncthreads() { host::syncBlock(); }
inline void __threadfence() {}
inline void __syncwarp() { host::syncWarp(host::allLanes); }

/** The value of lane `from`, if that lane takes part, of every lane in `mask`. */
template <typename T>
T __shfl_sync(unsigned mask, T value, int from) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const uint64_t* all = host::exchange(mask, &bits, 1);
  std::memcpy(&value, all + (from & 31) * host::exchangeWords, sizeof value);
  return value;
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int step) {
  return __shfl_sync(mask, value, host::current->lane ^ step);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, int step) {
  return __shfl_sync(mask, value, host::current->lane < step ? host::current->lane : host::current->lane - step);
}
inline unsigned __ballot_sync(unsigned mask, bool is) {
  uint64_t bits = is;
  const uint64_t* all = host::exchange(mask, &bits, 1);
  unsigned result = 0;
  for (int lane = 0; lane < 32; lane++) {
    if (host::takesPart(lane) && all[lane * host::exchangeWords]) result |= 1u << lane;
  }
  return result;
}
template <typename T>
T atomicAdd(T* at, T value) {
  const T before = *at;
  *at += value;
  return before;
}
template <typename T>
T atomicMax(T* at, T value) {
  const T before = *at;
  if (value > before) *at = value;
  return before;
}

template <typename T>
inline T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
inline T max(T a, T b) {
  return a < b ? b : a;
}
using std::isfinite;
using std::isnan;

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float __uint_as_float(unsigned x) {
  float y;
  std::memcpy(&y, &x, 4);
  return y;
}
inline unsigned __float_as_uint(float x) {
  unsigned y;
  std::memcpy(&y, &x, 4);
  return y;
}
inline float __fdividef(float a, float b) { return a / b; }
inline unsigned long long __float2ull_rn(float x) {
  return x <= 0 ? 0 : static_cast<unsigned long long>(std::nearbyint(static_cast<double>(x)));
}
template <typename T>
T __ldcs(const T* at) {
  return *at;
}
template <typename T>
T __ldcg(const T* at) {
  return *at;
}
/** Four bytes of the eight in (x, y), by the digits of `selector`. */
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t all = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; i++) result |= static_cast<unsigned>(all >> (selector >> (4 * i) & 7) * 8 & 255) << 8 * i;
  return result;
}
