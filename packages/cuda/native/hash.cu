// hash: a pseudo-random number in [0, 1) from a position, its head and a seed. Integer arithmetic, so every backend
// produces the same bits.
#include "common.cuh"

KERNEL hash(const float* positions, float* out, unsigned elements, unsigned capacity, unsigned kv_heads,
            unsigned seed) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < elements) out[i] = uniform(seed + i / capacity % kv_heads, static_cast<unsigned>(positions[i]));
}
