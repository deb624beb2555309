// fill: out = value, word by word. One thread per word; `value` holds the bits of the word.
#include "common.cuh"

KERNEL fill(unsigned* out, unsigned words, unsigned value) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < words) out[i] = value;
}
