// where: out = mask is not 0 ? a : b, with broadcasting; a literal replaces an operand that is absent.
#include "broadcast.cuh"
#include "common.cuh"

KERNEL where(const float* mask, const float* a, const float* b, float* out, shape to, shape m_shape, shape a_shape,
             shape b_shape, int literal_a, int literal_b, float value_a, float value_b) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= to.d0 * to.d1 * to.d2) return;
  if (mask[broadcast(i, to, m_shape)] != 0.0f) {
    out[i] = literal_a ? value_a : a[broadcast(i, to, a_shape)];
  } else {
    out[i] = literal_b ? value_b : b[broadcast(i, to, b_shape)];
  }
}
