// gatedActivation: out[r, i] = activation(x[r, i]) x x[r, width + i]. One thread per number; grid (rows, numbers).
#include "activation.cuh"

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
