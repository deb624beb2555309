// store: writes the rows of x [heads, capacity] within the length of each head into a plane of the arena, unless the
// sequence has ended. One thread per row.
#include "common.cuh"

KERNEL store(const float* x, const int* offset, const int* length, const int* ended, float* target, unsigned heads,
             int capacity, int kv_heads) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= heads * capacity) return;
  const int h = i / capacity, j = i % capacity;
  if (ended[h / kv_heads] == 0 && j < length[h]) target[static_cast<size_t>(offset[h]) + j] = x[i];
}
