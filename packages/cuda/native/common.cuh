// Code that all kernels share: conversion of 16-bit numbers, vector loads, reductions over warps and blocks, rotation.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

typedef __half f16;
typedef __nv_bfloat16 bf16;

#define KERNEL extern "C" __global__ void
// Declares the dynamic shared memory of a block as an array. The host emulation brings its own definition.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(TYPE, NAME) extern __shared__ __align__(128) TYPE NAME[]
#endif
// Expands MAKE(name, type) once for each type in which rows of K and V are stored.
#define EACH_KV(MAKE) MAKE(f32, float) MAKE(f16, f16) MAKE(bf16, bf16)

/**
 * Waits until the launches before this one are complete and their results visible (PTX ISA: griddepcontrol,
 * programmatic dependent launch). Every kernel calls it before it touches memory that another kernel writes. As every
 * kernel waits, completion is transitive.
 */
__device__ inline void await_launches() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/** Lets the next launch start its prologue, once all blocks of this one have called this or have ended. */
__device__ inline void release_launches() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}
__device__ inline void begin() {
  await_launches();
  release_launches();
}

constexpr float infinity = __builtin_huge_valf();
constexpr unsigned all_lanes = 0xffffffffu;

__device__ inline float to_f32(float x) { return x; }
__device__ inline float to_f32(f16 x) { return __half2float(x); }
__device__ inline float to_f32(bf16 x) { return __bfloat162float(x); }
__device__ inline float to_f32(int x) { return static_cast<float>(x); }

template <typename T>
__device__ inline T from_f32(float x);
template <>
__device__ inline float from_f32<float>(float x) {
  return x;
}
template <>
__device__ inline f16 from_f32<f16>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline bf16 from_f32<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

__device__ inline int clamp(int x, int low, int high) { return min(max(x, low), high); }
__device__ inline int lane() { return threadIdx.x & 31; }
__device__ inline int warp() { return threadIdx.x >> 5; }
__device__ inline int warps() { return blockDim.x >> 5; }

/** Loads eight numbers from memory that is aligned to 16 bytes. */
__device__ inline void load8(const float* at, float (&x)[8]) {
  const float4 a = reinterpret_cast<const float4*>(at)[0], b = reinterpret_cast<const float4*>(at)[1];
  x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w, x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}
__device__ inline void unpack8(uint4 bits, float (&x)[8], f16) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float2 pair = __half22float2(*reinterpret_cast<const __half2*>(&words[i]));
    x[2 * i] = pair.x, x[2 * i + 1] = pair.y;
  }
}
__device__ inline void unpack8(uint4 bits, float (&x)[8], bf16) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    x[2 * i] = __uint_as_float(words[i] << 16), x[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
template <typename T>
__device__ inline void load8(const T* at, float (&x)[8]) {
  unpack8(*reinterpret_cast<const uint4*>(at), x, T{});
}
/** Loads up to eight numbers, with zeros for the rest. `vector`: all eight exist and are aligned to 16 bytes. */
template <typename T>
__device__ inline void load8(const T* at, float (&x)[8], int count, bool vector) {
  if (vector) return load8(at, x);
#pragma unroll
  for (int i = 0; i < 8; i++) x[i] = i < count ? to_f32(at[i]) : 0.0f;
}

__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(all_lanes, x, step);
  return x;
}
__device__ inline float warp_max(float x) {
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(all_lanes, x, step));
  return x;
}
/**
 * Reduces over all threads of a block of whole warps, in a fixed order; every thread gets the result. `room`: 33 floats
 * of shared memory.
 */
template <typename Combine>
__device__ inline float block_reduce(float x, float none, float* room, Combine combine) {
#pragma unroll
  for (int step = 16; step > 0; step >>= 1) x = combine(x, __shfl_xor_sync(all_lanes, x, step));
  if (lane() == 0) room[warp()] = x;
  __syncthreads();
  if (warp() == 0) {
    float y = lane() < warps() ? room[lane()] : none;
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) y = combine(y, __shfl_xor_sync(all_lanes, y, step));
    if (lane() == 0) room[32] = y;
  }
  __syncthreads();
  const float result = room[32];
  __syncthreads();
  return result;
}
__device__ inline float block_sum(float x, float* room) {
  return block_reduce(x, 0.0f, room, [](float a, float b) { return a + b; });
}
__device__ inline float block_max(float x, float* room) {
  return block_reduce(x, -infinity, room, [](float a, float b) { return fmaxf(a, b); });
}

/** Bits whose unsigned order is that of the numbers. -0 equals 0; NaN becomes 0, below all others. */
__device__ inline unsigned ordered(float x) {
  if (isnan(x)) return 0;
  const unsigned bits = __float_as_uint(x + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/** scale x q.k, soft-capped if softcap > 0. */
__device__ inline float logit(float product, float scale, float softcap) {
  product *= scale;
  return softcap > 0.0f ? softcap * tanhf(product / softcap) : product;
}

/**
 * Number j of a vector that is rotated to `position`, which is clamped to the table. Number j pairs with j + rotary /
 * 2; numbers from `rotary` on are unchanged.
 */
template <typename T>
__device__ inline float rotated(const T* vector, int j, int position, const float* table, int table_rows, int rotary) {
  const float x = to_f32(vector[j]);
  if (j >= rotary) return x;
  const int half = rotary / 2, angle = j < half ? j : j - half;
  const float* row = table + static_cast<size_t>(clamp(position, 0, table_rows - 1)) * rotary;
  const float cosine = row[angle], sine = row[half + angle];
  return j < half ? x * cosine - to_f32(vector[j + half]) * sine : x * cosine + to_f32(vector[j - half]) * sine;
}

/** uniform(seed, counter) of the catalogue: 24 random bits as a number in [0, 1). */
__device__ inline unsigned mix(unsigned x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}
__device__ inline float uniform(unsigned seed, unsigned counter) {
  return static_cast<float>(mix(counter ^ mix(seed + 0x9e3779b9u)) >> 8) * 0x1p-24f;
}
