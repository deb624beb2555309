// observe: attention's weights of queries i >= from, exp(logit - lse), written beside each other for every row.
// One block of 64 threads for 64 keys of one head, a thread a key; keys and tiles of 16 queries in shared memory, in
// f32.
#include "common.cuh"

constexpr int observe_keys = 64, observe_queries = 16;

template <typename T>
__device__ void observe(const float* qkv, const T* keys, const int* cells, const float* table, const float* lse,
                        const int* offset, const int* length, const int* ended, float* observed, int tokens,
                        int query_heads, int kv_heads, int head_size, int arena_rows, int capacity, int queries,
                        int from, int first_query, int rotary, int table_rows, float scale, float softcap) {
  DYNAMIC_SHARED(float, room);  // keys [64, head size + 1], then queries [16, head size]
  const int stride = head_size + 1;
  float* key = room;
  float* query = room + observe_keys * stride;
  const int head = blockIdx.y, s = head / query_heads, own = head % query_heads;
  const int h = s * kv_heads + own / (query_heads / kv_heads);
  if (ended[s] != 0) return;
  const int past = length[h], rows = past + tokens, first = blockIdx.x * observe_keys;
  const int here = min(observe_keys, rows - first);
  if (here <= 0) return;
  const size_t base = static_cast<size_t>(offset[h]) + first;
  for (int i = threadIdx.x; i < here * head_size; i += blockDim.x) {
    const int j = i / head_size, d = i % head_size;
    const T* row = keys + (base + j) * head_size;
    key[j * stride + d] =
        cells ? rotated(row, d, cells[static_cast<size_t>(arena_rows) + base + j], table, table_rows, rotary)
              : to_f32(row[d]);
  }
  const int j = threadIdx.x, row = first + j;
  for (int i0 = from; i0 < tokens; i0 += observe_queries) {
    const int several = min(observe_queries, tokens - i0);
    __syncthreads();
    for (int i = threadIdx.x; i < several * head_size; i += blockDim.x) {
      const size_t token = static_cast<size_t>(s) * tokens + i0 + i / head_size;
      query[i] = qkv[(token * (query_heads + 2 * kv_heads) + own) * head_size + i % head_size];
    }
    __syncthreads();
    if (j >= here) continue;
    float* to = observed + (static_cast<size_t>(head) * capacity + row) * queries + first_query + i0 - from;
    for (int i = 0; i < several; i++) {
      float product = 0.0f;
      for (int d = 0; d < head_size; d++) product += key[j * stride + d] * query[i * head_size + d];
      const float weight = expf(logit(product, scale, softcap) - lse[static_cast<size_t>(head) * tokens + i0 + i]);
      to[i] = row <= past + i0 + i ? weight : 0.0f;
    }
  }
}

#define OBSERVE(NAME, TYPE)                                                                                          \
  extern "C" __global__ void __launch_bounds__(64)                                                                   \
      observe_##NAME(const float* qkv, const TYPE* keys, const int* cells, const float* table, const float* lse,     \
                     const int* offset, const int* length, const int* ended, float* observed, int tokens,            \
                     int query_heads, int kv_heads, int head_size, int arena_rows, int capacity, int queries,        \
                     int from, int first, int rotary, int table_rows, float scale, float softcap) {                  \
    begin();                                                                                                         \
    observe(qkv, keys, cells, table, lse, offset, length, ended, observed, tokens, query_heads, kv_heads, head_size, \
            arena_rows, capacity, queries, from, first, rotary, table_rows, scale, softcap);                         \
  }
EACH_KV(OBSERVE)
