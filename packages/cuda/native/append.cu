// append: stores keys, values and cells of new tokens after the existing rows of each head. One thread per number of a
// row; grid (tokens, numbers, heads). Operands that the spec leaves out are null pointers.
#include "common.cuh"

template <typename T>
__device__ void append(const float* qkv, T* keys, T* values, int* cells, const int* offset, const int* length,
                       const int* seen, const int* ended, int tokens, int query_heads, int kv_heads, int head_size,
                       int arena_rows, int planes, int ranks) {
  const int j = blockIdx.y * blockDim.x + threadIdx.x, i = blockIdx.x, h = blockIdx.z, s = h / kv_heads;
  if (ended[s] != 0) return;
  const float* token = qkv + (static_cast<size_t>(s) * tokens + i) * (query_heads + 2 * kv_heads) * head_size;
  const float* key = token + static_cast<size_t>(query_heads + h % kv_heads) * head_size;
  const size_t row = static_cast<size_t>(offset[h]) + length[h] + i;
  if (j < head_size) {
    if (keys) keys[row * head_size + j] = from_f32<T>(key[j]);
    if (values) values[row * head_size + j] = from_f32<T>(key[static_cast<size_t>(kv_heads) * head_size + j]);
  }
  if (cells && j < planes)
    cells[static_cast<size_t>(j) * arena_rows + row] = j == 0 ? seen[h] + i : j == 1 && ranks ? length[h] + i : 0;
}

#define APPEND(NAME, TYPE)                                                                                           \
  KERNEL append_##NAME(const float* qkv, TYPE* keys, TYPE* values, int* cells, const int* offset, const int* length, \
                       const int* seen, const int* ended, int tokens, int query_heads, int kv_heads, int head_size,  \
                       int arena_rows, int planes, int ranks) {                                                      \
    begin();                                                                                                         \
    append(qkv, keys, values, cells, offset, length, seen, ended, tokens, query_heads, kv_heads, head_size,          \
           arena_rows, planes, ranks);                                                                               \
  }
EACH_KV(APPEND)
