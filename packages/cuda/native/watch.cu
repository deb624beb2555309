// watch: adds to mass[query head, j] what queries i >= from give to row j: exp(logit - lse). One block of 64 threads for 64 keys of one head, a thread
// a key; keys and tiles of 16 queries in shared memory, in f32; every key sums its queries in ascending order. Head sizes up to 256.
#include "common.cuh"

constexpr int watch_keys = 64, watch_queries = 16;

template <typename T>
__device__ void watch(const float* qkv, const T* keys, const int* cells, const float* table, const float* lse, const int* offset, const int* length,
                      const int* ended, float* mass, int tokens, int query_heads, int kv_heads, int head_size, int arena_rows, int capacity, int from,
                      int rotary, int table_rows, float scale, float softcap) {
  extern __shared__ float room[];  // keys [64, head size + 1], then queries [16, head size], then their log-sum-exp [16]
  const int stride = head_size + 1;
  float* key = room;
  float* query = room + watch_keys * stride;
  float* denominator = query + watch_queries * head_size;
  const int head = blockIdx.y, s = head / query_heads, own = head % query_heads, h = s * kv_heads + own / (query_heads / kv_heads);
  if (ended[s] != 0) return;
  const int past = length[h], rows = past + tokens, first = blockIdx.x * watch_keys, here = min(watch_keys, rows - first);
  if (here <= 0) return;
  const size_t base = static_cast<size_t>(offset[h]) + first;
  for (int i = threadIdx.x; i < here * head_size; i += blockDim.x) {
    const int j = i / head_size, d = i % head_size;
    const T* row = keys + (base + j) * head_size;
    key[j * stride + d] = cells ? rotated(row, d, cells[static_cast<size_t>(arena_rows) + base + j], table, table_rows, rotary) : to_f32(row[d]);
  }
  const int j = threadIdx.x, row = first + j;
  float sum = 0.0f;
  // No query before this one sees any of these keys.
  for (int i0 = max(from, first - past); i0 < tokens; i0 += watch_queries) {
    const int queries = min(watch_queries, tokens - i0);
    __syncthreads();
    for (int i = threadIdx.x; i < queries * head_size; i += blockDim.x) {
      const size_t token = static_cast<size_t>(s) * tokens + i0 + i / head_size;
      query[i] = qkv[(token * (query_heads + 2 * kv_heads) + own) * head_size + i % head_size];
    }
    if (threadIdx.x < queries) denominator[threadIdx.x] = lse[static_cast<size_t>(head) * tokens + i0 + threadIdx.x];
    __syncthreads();
    if (j >= here) continue;
    float product[watch_queries];
#pragma unroll
    for (int i = 0; i < watch_queries; i++) product[i] = 0.0f;
    for (int d = 0; d < head_size; d++) {
      const float k = key[j * stride + d];
#pragma unroll
      for (int i = 0; i < watch_queries; i++) product[i] += k * query[i * head_size + d];
    }
#pragma unroll
    for (int i = 0; i < watch_queries; i++) {
      if (i < queries && i0 + i >= row - past) sum += expf(logit(product[i], scale, softcap) - denominator[i]);
    }
  }
  if (j < here) mass[static_cast<size_t>(head) * capacity + row] += sum;
}

#define WATCH(NAME, TYPE)                                                                                                                      \
  extern "C" __global__ void __launch_bounds__(64)                                                                                             \
      watch_##NAME(const float* qkv, const TYPE* keys, const int* cells, const float* table, const float* lse, const int* offset,              \
                   const int* length, const int* ended, float* mass, int tokens, int query_heads, int kv_heads, int head_size, int arena_rows, \
                   int capacity, int from, int rotary, int table_rows, float scale, float softcap) {                                           \
    watch(qkv, keys, cells, table, lse, offset, length, ended, mass, tokens, query_heads, kv_heads, head_size, arena_rows, capacity, from,     \
          rotary, table_rows, scale, softcap);                                                                                                 \
  }
EACH_KV(WATCH)
