// unary: out = kind(x) for each element; one kernel per kind.
#include "common.cuh"

#define UNARY(NAME, TYPE, RESULT)                                          \
  KERNEL unary_##NAME(const TYPE* values, float* out, unsigned elements) { \
    begin();                                                               \
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;              \
    if (i >= elements) return;                                             \
    const TYPE x = values[i];                                              \
    out[i] = RESULT;                                                       \
  }

UNARY(neg, float, -x)
UNARY(abs, float, fabsf(x))
UNARY(exp, float, expf(x))
UNARY(log, float, logf(x))
UNARY(sqrt, float, sqrtf(x))
UNARY(not, float, x == 0.0f ? 1.0f : 0.0f)
UNARY(float, int, static_cast<float>(x))
