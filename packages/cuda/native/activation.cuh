// Activation functions.
#pragma once
#include "common.cuh"

__device__ inline float silu(float a) { return a / (1.0f + expf(-a)); }
/** GELU in its tanh approximation, arXiv 1606.08415. */
__device__ inline float gelu(float a) {
  return 0.5f * a * (1.0f + tanhf(0.7978845608028654f * (a + 0.044715f * a * a * a)));
}
