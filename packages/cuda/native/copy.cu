// copy: out = x, word by word. One thread per word, so any bit pattern and any alignment to 4 bytes is allowed.
#include "common.cuh"

KERNEL copy(const unsigned* x, unsigned* out, unsigned words) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < words) out[i] = x[i];
}
