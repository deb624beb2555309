// rmsNorm and linear in one launch: `norm_linear_*_R` for up to R rows; grid (outs / 4, rows / R). See linear-few.cuh.
#include "linear-few.cuh"

struct plain {
  const float* bias;
  const float* residual;
  float* to;
  int outs;
  __device__ int out(int i) const { return min(static_cast<int>(blockIdx.x) * few_outs + i, outs - 1); }
  __device__ nothing prepare(int, int) const { return {}; }
  __device__ void operator()(int r, const float (&sums)[few_outs], nothing) const {
    for (int i = 0; i < few_outs; i++) {
      const int o = blockIdx.x * few_outs + i;
      if (o >= outs) return;
      const size_t at = static_cast<size_t>(r) * outs + o;
      to[at] = sums[i] + (bias ? bias[o] : 0.0f) + (residual ? residual[at] : 0.0f);
    }
  }
};

#define NORM_LINEAR(NAME, TYPE, R)                                                                                \
  extern "C" __global__ void __launch_bounds__(256, (few_blocks<TYPE, R>))                                        \
      norm_linear_##NAME##_##R(const float* x, const float* gain, const void* weight, const float* bias,          \
                               const float* residual, float* out, int rows, int width, int outs, float epsilon) { \
    linear_few<TYPE, R, true>(x, gain, epsilon, weight, plain{bias, residual, out, outs}, rows, width, outs);     \
  }
#define NORM_LINEARS(NAME, TYPE) \
  NORM_LINEAR(NAME, TYPE, 1) NORM_LINEAR(NAME, TYPE, 2) NORM_LINEAR(NAME, TYPE, 4) NORM_LINEAR(NAME, TYPE, 8)
EACH_WEIGHT(NORM_LINEARS)
