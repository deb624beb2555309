// The op before a product on tensor cores, with its result rounded to the 16 bits of the weights: eight numbers per
// thread at a time.
#include "activation.cuh"
#include "tensor-core.cuh"

/** `norm_round_*`: rmsNorm. One block of up to 1024 threads per row; the width is a multiple of 8. */
template <typename T>
__device__ void norm_round(const float* x, const float* gain, uint4* to, int width, float epsilon) {
  __shared__ float room[33];
  const size_t start = static_cast<size_t>(blockIdx.x) * width;
  float squares = 0.0f;
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    float numbers[8];
    load8(x + start + i, numbers);
#pragma unroll
    for (int n = 0; n < 8; n++) squares += numbers[n] * numbers[n];
  }
  const float scale = 1.0f / sqrtf(block_sum(squares, room) / static_cast<float>(width) + epsilon);
  for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
    float numbers[8], by[8];
    load8(x + start + i, numbers);
    load8(gain + i, by);
#pragma unroll
    for (int n = 0; n < 8; n++) numbers[n] = numbers[n] * scale * by[n];
    to[(start + i) / 8] = pack8<T>(numbers);
  }
}

/** `gated_round_*`: gatedActivation; grid (width / 8, rows). */
template <typename T>
__device__ void gated_round(const float* x, uint4* to, int width, int is_gelu) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (i >= width) return;
  const float* row = x + static_cast<size_t>(blockIdx.y) * 2 * width;
  float a[8], b[8];
  load8(row + i, a);
  load8(row + width + i, b);
#pragma unroll
  for (int n = 0; n < 8; n++) a[n] = (is_gelu ? gelu(a[n]) : silu(a[n])) * b[n];
  to[(static_cast<size_t>(blockIdx.y) * width + i) / 8] = pack8<T>(a);
}

#define ROUND(NAME, TYPE)                                                                         \
  extern "C" __global__ void __launch_bounds__(1024)                                              \
      norm_round_##NAME(const float* x, const float* gain, uint4* to, int width, float epsilon) { \
    begin();                                                                                      \
    norm_round<TYPE>(x, gain, to, width, epsilon);                                                \
  }                                                                                               \
  KERNEL gated_round_##NAME(const float* x, uint4* to, int width, int is_gelu) {                  \
    begin();                                                                                      \
    gated_round<TYPE>(x, to, width, is_gelu);                                                     \
  }
ROUND(f16, f16)
ROUND(bf16, bf16)
