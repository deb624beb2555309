// copy: out = x, word by word. One thread a word, so that any bits and any alignment of 4 bytes will do.
#include "common.cuh"

KERNEL copy(const unsigned* x, unsigned* out, unsigned words) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < words) out[i] = x[i];
}
