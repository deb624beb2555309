// binary: out = kind(a, b) with broadcasting; one kernel per kind. With `literal`, b is `value`, which the host has
// rounded to f32.
#include "broadcast.cuh"
#include "common.cuh"

#define BINARY(NAME, RESULT)                                                                                      \
  KERNEL binary_##NAME(const float* left, const float* right, float* out, shape to, shape a_shape, shape b_shape, \
                       int literal, float value) {                                                                \
    begin();                                                                                                      \
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;                                                     \
    if (i >= to.d0 * to.d1 * to.d2) return;                                                                       \
    const float a = left[broadcast(i, to, a_shape)];                                                              \
    const float b = literal ? value : right[broadcast(i, to, b_shape)];                                           \
    out[i] = RESULT;                                                                                              \
  }
#define TRUTH(CONDITION) ((CONDITION) ? 1.0f : 0.0f)

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a* b)
BINARY(div, a / b)
BINARY(max, fmaxf(a, b))
BINARY(min, fminf(a, b))
BINARY(lt, TRUTH(a < b))
BINARY(le, TRUTH(a <= b))
BINARY(gt, TRUTH(a > b))
BINARY(ge, TRUTH(a >= b))
BINARY(eq, TRUTH(a == b))
BINARY(and, TRUTH(a != 0.0f && b != 0.0f))
BINARY(or, TRUTH(a != 0.0f || b != 0.0f))
