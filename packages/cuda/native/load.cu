// load: the rows of every head as f32 [heads, capacity, width], zeros beyond the length of the head; with `rotate`,
// keys are rotated to their rank. One thread per number.
#include "common.cuh"

template <typename T>
__device__ void load(const T* source, const int* ranks, const float* table, const int* offset, const int* length,
                     float* out, unsigned elements, int capacity, int width, int rotary, int table_rows) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const unsigned k = i % width, j = i / width % capacity, h = i / width / capacity;
  float value = 0.0f;
  if (static_cast<int>(j) < length[h]) {
    const size_t from = static_cast<size_t>(offset[h]) + j;
    const T* row = source + from * width;
    value = ranks ? rotated(row, k, ranks[from], table, table_rows, rotary) : to_f32(row[k]);
  }
  out[i] = value;
}

#define LOAD(NAME, TYPE)                                                                                             \
  KERNEL load_##NAME(const TYPE* source, const int* ranks, const float* table, const int* offset, const int* length, \
                     float* out, unsigned elements, int capacity, int width, int rotary, int table_rows) {           \
    begin();                                                                                                         \
    load(source, ranks, table, offset, length, out, elements, capacity, width, rotary, table_rows);                  \
  }
EACH_KV(LOAD)
LOAD(i32, int)
