// Tensor cores (see ptx.cuh): asynchronous copies into shared memory, fragments of tiles of 16-bit
// numbers, and products m16n8k16 with sums in f32. Of the 16 x 8 sums, lane l of a warp holds rows l / 4 and l / 4 + 8
// at columns l % 4 * 2 and l % 4 * 2 + 1.
#pragma once
#include "ptx.cuh"

/** Rounds two numbers to 16 bits each; the first is in the low half. */
__device__ inline unsigned pack2(float first, float second, f16) {
  const __half2 pair = __floats2half2_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}
__device__ inline unsigned pack2(float first, float second, bf16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  return *reinterpret_cast<const unsigned*>(&pair);
}
/** Clamps to the range of f16: activations may exceed it, and an infinity would spread. */
__device__ inline float bounded(float x, f16) { return fminf(fmaxf(x, -65504.0f), 65504.0f); }
__device__ inline float bounded(float x, bf16) { return x; }
template <typename T>
__device__ inline uint4 pack8(const float (&x)[8]) {
  unsigned words[4];
#pragma unroll
  for (int i = 0; i < 4; i++) words[i] = pack2(bounded(x[2 * i], T{}), bounded(x[2 * i + 1], T{}), T{});
  return {words[0], words[1], words[2], words[3]};
}
