// attention: prefill of one sequence over ragged rows, with log-sum-exp.
// `attention_any_*`: any head size up to 256 and any alignment, in f32; one block of 128 threads a query and head, tiles of 128 keys with running
// maximum and sum (online softmax, arXiv 1805.02867).
#include "common.cuh"

constexpr int any_tile = 128;

template <typename T>
__device__ void attention_any(const float* qkv, const T* keys, const T* values, const int* offset, const int* length, float* out, float* lse,
                              int tokens, int query_heads, int kv_heads, int head_size, int window, float scale, float softcap) {
  __shared__ float query[256], weight[any_tile], room[33];
  const int i = blockIdx.x, head = blockIdx.y, h = head / (query_heads / kv_heads);
  const float* q = qkv + (static_cast<size_t>(i) * (query_heads + 2 * kv_heads) + head) * head_size;
  for (int d = threadIdx.x; d < head_size; d += blockDim.x) query[d] = q[d];
  __syncthreads();
  const int end = length[h] + i + 1, start = window > 0 ? max(0, end - window) : 0;
  keys += static_cast<size_t>(offset[h]) * head_size;
  values += static_cast<size_t>(offset[h]) * head_size;

  float greatest = -infinity, sum = 0.0f, result[2] = {0.0f, 0.0f};
  for (int first = start; first < end; first += any_tile) {
    const int here = min(any_tile, end - first), j = threadIdx.x;
    float x = -infinity;
    if (j < here) {
      const T* key = keys + static_cast<size_t>(first + j) * head_size;
      float product = 0.0f;
      for (int d = 0; d < head_size; d++) product += query[d] * to_f32(key[d]);
      x = logit(product, scale, softcap);
    }
    const float above = fmaxf(greatest, block_max(x, room));
    const float p = j < here ? expf(x - above) : 0.0f, shrink = expf(greatest - above);
    weight[j] = p;
    sum = sum * shrink + block_sum(p, room);
    greatest = above;
#pragma unroll
    for (int part = 0; part < 2; part++) {
      const int d = threadIdx.x + part * 128;
      if (d >= head_size) continue;
      float total = result[part] * shrink;
      for (int n = 0; n < here; n++) total += weight[n] * to_f32(values[static_cast<size_t>(first + n) * head_size + d]);
      result[part] = total;
    }
    __syncthreads();
  }
#pragma unroll
  for (int part = 0; part < 2; part++) {
    const int d = threadIdx.x + part * 128;
    if (d < head_size) out[(static_cast<size_t>(i) * query_heads + head) * head_size + d] = result[part] / sum;
  }
  if (threadIdx.x == 0) lse[static_cast<size_t>(head) * tokens + i] = greatest + logf(sum);
}

#define ATTENTION(NAME, TYPE)                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(128)                                                                                              \
      attention_any_##NAME(const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length, float* out, float* lse, \
                           int tokens, int query_heads, int kv_heads, int head_size, int window, float scale, float softcap) {                   \
    attention_any(qkv, keys, values, offset, length, out, lse, tokens, query_heads, kv_heads, head_size, window, scale, softcap);                \
  }
EACH_KV(ATTENTION)
