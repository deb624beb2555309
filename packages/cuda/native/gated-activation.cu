// gatedActivation: out[r, i] = activation(x[r, i]) x x[r, width + i]. One thread per number; grid (rows, numbers).
#include "common.cuh"

__device__ inline float silu(float a) { return a / (1.0f + expf(-a)); }
/** GELU in its tanh approximation, arXiv 1606.08415. */
__device__ inline float gelu(float a) {
  return 0.5f * a * (1.0f + tanhf(0.7978845608028654f * (a + 0.044715f * a * a * a)));
}

#define GATED(NAME)                                                                   \
  KERNEL gated_activation_##NAME(const float* x, float* out, int width) {             \
    begin();                                                                          \
    const int i = blockIdx.y * blockDim.x + threadIdx.x;                              \
    if (i >= width) return;                                                           \
    const float* row = x + static_cast<size_t>(blockIdx.x) * 2 * width;               \
    out[static_cast<size_t>(blockIdx.x) * width + i] = NAME(row[i]) * row[width + i]; \
  }
GATED(silu)
GATED(gelu)
