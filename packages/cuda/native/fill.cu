// fill: out = value, word by word. One thread a word; `value` is the word's bits.
#include "common.cuh"

KERNEL fill(unsigned* out, unsigned words, unsigned value) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < words) out[i] = value;
}
