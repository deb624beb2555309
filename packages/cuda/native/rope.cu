// rope: rotates the query heads of qkv and, with `keys`, the key heads in place. One thread per pair of numbers; grid
// (tokens of all sequences, pairs).
#include "common.cuh"

KERNEL rope(float* qkv, const float* table, const int* base, int tokens, int query_heads, int kv_heads, int head_size,
            int rotary, int table_rows, int keys) {
  begin();
  const int half = rotary / 2, i = blockIdx.y * blockDim.x + threadIdx.x, head = i / half, j = i % half;
  if (head >= query_heads + (keys ? kv_heads : 0)) return;
  const int s = blockIdx.x / tokens, token = blockIdx.x % tokens;
  const int kv_head = head < query_heads ? head / (query_heads / kv_heads) : head - query_heads;
  const int position = clamp(base[s * kv_heads + kv_head] + token, 0, table_rows - 1);
  const float* angles = table + static_cast<size_t>(position) * rotary;
  const float cosine = angles[j], sine = angles[half + j];
  float* row = qkv + (static_cast<size_t>(blockIdx.x) * (query_heads + 2 * kv_heads) + head) * head_size;
  const float a = row[j], b = row[j + half];
  row[j] = a * cosine - b * sine;
  row[j + half] = b * cosine + a * sine;
}
