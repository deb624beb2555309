// advance: counter[r, s, i] += by for every sequence s that has not ended. One thread per counter.
#include "common.cuh"

KERNEL advance(int* counter, const int* ended, unsigned elements, unsigned sequences, unsigned width, int by) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < elements && ended[i / width % sequences] == 0) counter[i] += by;
}
