// Tensor cores (PTX ISA: cp.async, ldmatrix, mma): asynchronous copies into shared memory, fragments of tiles of 16-bit
// numbers, and products m16n8k16 with sums in f32. Of the 16 x 8 sums, lane l of a warp holds rows l / 4 and l / 4 + 8
// at columns l % 4 * 2 and l % 4 * 2 + 1.
#pragma once
#include "common.cuh"

__device__ inline unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}

/** Starts a copy of 16 bytes to shared memory. If `there` is false, writes zeros and reads nothing. */
__device__ inline void copy16(unsigned to, const void* from, bool there = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/** Waits until at most the LEFT newest groups of copies are in flight. */
template <int LEFT>
__device__ inline void await_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/** 2^x; 0 if the result is below the range of normal numbers. */
__device__ inline float power_of_2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/** Loads four 8 x 8 matrices; lane l passes the address of row l % 8 of matrix l / 8. */
__device__ inline void load_matrices(unsigned (&to)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from));
}
__device__ inline void load_transposed(unsigned (&to)[4], unsigned from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from));
}

/** sums += a b, where a is 16 x 16 and b is 16 x 8. */
__device__ inline void multiply(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, f16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ inline void multiply(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, bf16) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

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
