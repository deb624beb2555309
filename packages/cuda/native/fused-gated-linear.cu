// rmsNorm, linear and gatedActivation in one launch: `gated_linear_*_R` for up to R rows. A block computes outputs i
// and i + 1 and their gates, `half` outputs further on; grid (half / 2, rows / R). See linear-few.cuh.
#include "activation.cuh"
#include "linear-few.cuh"

struct gated {
  const float* bias;
  float* to;
  int half, is_gelu;
  __device__ int out(int i) const { return blockIdx.x * 2 + i % 2 + i / 2 * half; }
  __device__ nothing prepare(int, int) const { return {}; }
  __device__ void operator()(int r, const float (&sums)[few_outs], nothing) const {
    for (int i = 0; i < 2; i++) {
      const float a = sums[i] + (bias ? bias[out(i)] : 0.0f), b = sums[i + 2] + (bias ? bias[out(i + 2)] : 0.0f);
      to[static_cast<size_t>(r) * half + out(i)] = (is_gelu ? gelu(a) : silu(a)) * b;
    }
  }
};

#define GATED_LINEAR(NAME, TYPE, R)                                                                                   \
  extern "C" __global__ void __launch_bounds__(256, (few_blocks<TYPE, R>))                                            \
      gated_linear_##NAME##_##R(const float* x, const float* gain, const void* weight, const float* bias, float* out, \
                                int rows, int width, int half, int is_gelu, float epsilon) {                          \
    linear_few<TYPE, R, true>(x, gain, epsilon, weight, gated{bias, out, half, is_gelu}, rows, width, 2 * half);      \
  }
#define GATED_LINEARS(NAME, TYPE) \
  GATED_LINEAR(NAME, TYPE, 1) GATED_LINEAR(NAME, TYPE, 2) GATED_LINEAR(NAME, TYPE, 4) GATED_LINEAR(NAME, TYPE, 8)
EACH_WEIGHT(GATED_LINEARS)
