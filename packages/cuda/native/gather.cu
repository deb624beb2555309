// gather: copies chosen rows of K, V and cells into another arena, in the given order; with `rotate`, keys are rotated
// to their new index. One warp per row; rows move as 4-byte words or, if `vector` is set, as 16-byte words. Grid
// (rows / 8, heads); blocks beyond the count exit at once.
#include "common.cuh"

__device__ inline void move(const void* from, void* to, int bytes, int vector) {
  if (vector) {
    for (int i = lane(); i < bytes / 16; i += 32) static_cast<uint4*>(to)[i] = static_cast<const uint4*>(from)[i];
  } else {
    for (int i = lane(); i < bytes / 4; i += 32) static_cast<unsigned*>(to)[i] = static_cast<const unsigned*>(from)[i];
  }
}

template <typename T>
__device__ void gather(const T* keys, const T* values, const int* cells, const int* offset, const int* rows,
                       const int* count, const float* table, T* target_keys, T* target_values, int* target_cells,
                       const int* target_offset, int* target_length, int most, int head_size, int arena_rows,
                       int target_rows, int planes, int rotary, int table_rows, int ranks, int vector) {
  const int h = blockIdx.y, n = count[h], i = blockIdx.x * 8 + warp(), bytes = head_size * static_cast<int>(sizeof(T));
  if (blockIdx.x == 0 && threadIdx.x == 0) target_length[h] = n;
  if (i >= n) return;
  const size_t from = static_cast<size_t>(offset[h]) + rows[static_cast<size_t>(h) * most + i];
  const size_t to = static_cast<size_t>(target_offset[h]) + i;
  if (table) {
    const T* key = keys + from * head_size;
    for (int j = lane(); j < head_size; j += 32)
      target_keys[to * head_size + j] = from_f32<T>(rotated(key, j, i, table, table_rows, rotary));
  } else {
    move(keys + from * head_size, target_keys + to * head_size, bytes, vector);
  }
  if (!values) return;
  move(values + from * head_size, target_values + to * head_size, bytes, vector);
  for (int plane = lane(); plane < planes; plane += 32) {
    target_cells[static_cast<size_t>(plane) * target_rows + to] =
        ranks && plane == 1 ? i : cells[static_cast<size_t>(plane) * arena_rows + from];
  }
}

#define GATHER(NAME, TYPE)                                                                                           \
  KERNEL gather_##NAME(const TYPE* keys, const TYPE* values, const int* cells, const int* offset, const int* rows,   \
                       const int* count, const float* table, TYPE* target_keys, TYPE* target_values,                 \
                       int* target_cells, const int* target_offset, int* target_length, int most, int head_size,     \
                       int arena_rows, int target_rows, int planes, int rotary, int table_rows, int ranks,           \
                       int vector) {                                                                                 \
    begin();                                                                                                         \
    gather(keys, values, cells, offset, rows, count, table, target_keys, target_values, target_cells, target_offset, \
           target_length, most, head_size, arena_rows, target_rows, planes, rotary, table_rows, ranks, vector);      \
  }
EACH_KV(GATHER)
