// attention: prefill of one sequence over ragged rows, with log-sum-exp.
// `attention_any_*`: any head size up to 256 and any alignment, in f32. One block of 128 threads per query and head
// walks over tiles of 128 keys with a running maximum and sum (online softmax, arXiv 1805.02867).
#include "tensor-core.cuh"

constexpr int any_tile = 128;

template <typename T>
__device__ void attention_any(const float* qkv, const T* keys, const T* values, const int* offset, const int* length,
                              float* out, float* lse, int tokens, int query_heads, int kv_heads, int head_size,
                              int window, float scale, float softcap) {
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
      for (int n = 0; n < here; n++)
        total += weight[n] * to_f32(values[static_cast<size_t>(first + n) * head_size + d]);
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

#define ATTENTION(NAME, TYPE)                                                                                         \
  extern "C" __global__ void __launch_bounds__(128) attention_any_##NAME(                                             \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length, float* out,       \
      float* lse, int tokens, int query_heads, int kv_heads, int head_size, int window, float scale, float softcap) { \
    begin();                                                                                                          \
    attention_any(qkv, keys, values, offset, length, out, lse, tokens, query_heads, kv_heads, head_size, window,      \
                  scale, softcap);                                                                                    \
  }
EACH_KV(ATTENTION)

// `attention_tile_*_D`: head size D, on tensor cores (FlashAttention-2, arXiv 2307.08691). A block of four warps takes
// 64 or 128 queries of one head and walks over tiles of rows. Queries and softmax weights are rounded to the 16 bits of
// the rows. V is copied during the products with K, and the next K during the products with V. Rows in shared memory
// are padded by 16 bytes, so that eight of them are in different banks. Grid (queries, heads).

/** Copies rows from `first` on to shared memory; rows from `end` on become zeros. */
template <int D, int ROWS, int THREADS>
__device__ inline void copy_rows(unsigned to, const uint16_t* rows, int first, int end) {
  // A thread copies the same chunk of every `step`-th row.
  constexpr int chunks = D / 8, stride = 2 * D + 16, fit = THREADS / chunks, step = fit >= 16 ? 16 : fit >= 8 ? 8 : 4;
  const int row = threadIdx.x / chunks, chunk = threadIdx.x % chunks, left = end - first - row;
  if (row >= step) return;
  const uint16_t* from = rows + (static_cast<size_t>(first) + row) * D + chunk * 8;
  to += row * stride + chunk * 16;
#pragma unroll
  for (int i = 0; i < ROWS / step; i++) copy16(to + i * step * stride, from + i * step * D, i * step < left);
}

/** TILES: tiles of 16 queries for each of the four warps; KEYS: rows of a tile. */
template <typename T, int D, int TILES, int KEYS>
__device__ void attention_tile(const float* qkv, const T* keys, const T* values, const int* offset, const int* length,
                               float* out, float* lse, int tokens, int query_heads, int kv_heads, int window,
                               float scale, float softcap) {
  constexpr int queries = 64 * TILES, stride = 2 * D + 16, key_tiles = KEYS / 8, value_tiles = D / 8;
  constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
  DYNAMIC_SHARED(char, room);
  const unsigned query_room = shared_address(room), key_room = query_room + queries * stride,
                 value_room = key_room + KEYS * stride;
  // Blocks that see the most rows start first.
  const int first = (gridDim.x - 1 - blockIdx.x) * queries, head = blockIdx.y, h = head / (query_heads / kv_heads);
  const int past = length[h], last = min(first + queries, tokens) - 1, end = past + last + 1;
  // A window of 0 stands for none.
  const int reach = window > 0 ? window : 0x7fffffff, start = max(0, past + first - reach + 1);
  const uint16_t* key_rows = reinterpret_cast<const uint16_t*>(keys) + static_cast<size_t>(offset[h]) * D;
  const uint16_t* value_rows = reinterpret_cast<const uint16_t*>(values) + static_cast<size_t>(offset[h]) * D;
  copy_rows<D, KEYS, 128>(key_room, key_rows, start, end);
  commit_copies();
  for (int i = threadIdx.x; i < queries * (D / 8); i += 128) {
    const int row = i / (D / 8), chunk = i % (D / 8);
    float q[8];
    load8(
        qkv + (static_cast<size_t>(min(first + row, tokens - 1)) * (query_heads + 2 * kv_heads) + head) * D + chunk * 8,
        q);
    *reinterpret_cast<uint4*>(room + row * stride + chunk * 16) = pack8<T>(q);
  }

  float result[TILES][value_tiles][4], greatest[TILES][2], sum[TILES][2];
#pragma unroll
  for (int m = 0; m < TILES; m++) {
    greatest[m][0] = greatest[m][1] = -infinity;
    sum[m][0] = sum[m][1] = 0.0f;
#pragma unroll
    for (int d = 0; d < value_tiles; d++) result[m][d][0] = result[m][d][1] = result[m][d][2] = result[m][d][3] = 0.0f;
  }
  const int own = warp() * 16 * TILES;
  const float cap = softcap * log2_e, factor = softcap > 0.0f ? 2.0f * log2_e * scale / softcap : scale * log2_e;
  for (int tile = start; tile < end; tile += KEYS) {
    await_copies<0>();
    __syncthreads();
    copy_rows<D, KEYS, 128>(value_room, value_rows, tile, end);
    commit_copies();

    float x[TILES][key_tiles][4];
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
      for (int n = 0; n < key_tiles; n++) x[m][n][0] = x[m][n][1] = x[m][n][2] = x[m][n][3] = 0.0f;
    }
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      unsigned a[TILES][4];
#pragma unroll
      for (int m = 0; m < TILES; m++)
        load_matrices(a[m], query_room + (own + m * 16 + (lane() & 15)) * stride + (2 * step + (lane() >> 4)) * 16);
#pragma unroll
      for (int n = 0; n < key_tiles / 2; n++) {
        unsigned b[4];
        load_matrices(
            b, key_room + (n * 16 + (lane() & 7) + (lane() >> 4) * 8) * stride + (2 * step + (lane() >> 3 & 1)) * 16);
#pragma unroll
        for (int m = 0; m < TILES; m++) {
          multiply(x[m][2 * n], a[m], b[0], b[1], T{});
          multiply(x[m][2 * n + 1], a[m], b[2], b[3], T{});
        }
      }
    }
    await_copies<0>();
    __syncthreads();
    if (tile + KEYS < end) copy_rows<D, KEYS, 128>(key_room, key_rows, tile + KEYS, end);
    commit_copies();

    // Set if a query of the block does not see the whole tile.
    const bool partial = tile + KEYS > past + first + 1 || tile <= past + last - reach;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int sees = past + first + own + m * 16 + half * 8 + lane() / 4;
        float above = greatest[m][half];
#pragma unroll
        for (int n = 0; n < key_tiles; n++) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; i++) {
            float& logit = x[m][n][i];
            logit *= factor;
            // tanh(x) = 1 - 2 / (1 + exp(2 x))
            if (softcap > 0.0f) logit = cap - __fdividef(2.0f * cap, 1.0f + power_of_2(logit));
            if (partial) {
              const int j = tile + n * 8 + lane() % 4 * 2 + i % 2;
              if (j > sees || j <= sees - reach) logit = -infinity;
            }
            above = fmaxf(above, logit);
          }
        }
        above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 1));
        above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 2));
        // If no row has been seen yet, subtract 0: -infinity minus -infinity would be NaN.
        const float level = above == -infinity ? 0.0f : above, shrink = power_of_2(greatest[m][half] - level);
        greatest[m][half] = above;
        sum[m][half] *= shrink;
#pragma unroll
        for (int n = 0; n < key_tiles; n++) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; i++) {
            x[m][n][i] = power_of_2(x[m][n][i] - level);
            sum[m][half] += x[m][n][i];
          }
        }
#pragma unroll
        for (int d = 0; d < value_tiles; d++) result[m][d][2 * half] *= shrink, result[m][d][2 * half + 1] *= shrink;
      }
    }
#pragma unroll
    for (int step = 0; step < KEYS / 16; step++) {
      unsigned a[TILES][4];
#pragma unroll
      for (int m = 0; m < TILES; m++) {
        a[m][0] = pack2(x[m][2 * step][0], x[m][2 * step][1], T{});
        a[m][1] = pack2(x[m][2 * step][2], x[m][2 * step][3], T{});
        a[m][2] = pack2(x[m][2 * step + 1][0], x[m][2 * step + 1][1], T{});
        a[m][3] = pack2(x[m][2 * step + 1][2], x[m][2 * step + 1][3], T{});
      }
#pragma unroll
      for (int d = 0; d < value_tiles / 2; d++) {
        unsigned b[4];
        load_transposed(b, value_room + (step * 16 + (lane() & 15)) * stride + (2 * d + (lane() >> 4)) * 16);
#pragma unroll
        for (int m = 0; m < TILES; m++) {
          multiply(result[m][2 * d], a[m], b[0], b[1], T{});
          multiply(result[m][2 * d + 1], a[m], b[2], b[3], T{});
        }
      }
    }
  }
#pragma unroll
  for (int m = 0; m < TILES; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float total = sum[m][half];
      total += __shfl_xor_sync(all_lanes, total, 1);
      total += __shfl_xor_sync(all_lanes, total, 2);
      const int i = first + own + m * 16 + half * 8 + lane() / 4;
      if (i >= tokens) continue;
      float* row = out + (static_cast<size_t>(i) * query_heads + head) * D + lane() % 4 * 2;
#pragma unroll
      for (int d = 0; d < value_tiles; d++) {
        *reinterpret_cast<float2*>(row + d * 8) = {result[m][d][2 * half] / total, result[m][d][2 * half + 1] / total};
      }
      if (lane() % 4 == 0) lse[static_cast<size_t>(head) * tokens + i] = greatest[m][half] * ln_2 + logf(total);
    }
  }
}

#define ATTENTION_TILE(NAME, TYPE, D, TILES, KEYS)                                                                   \
  extern "C" __global__ void __launch_bounds__(128, 2) attention_tile_##NAME##_##D(                                  \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length, float* out,      \
      float* lse, int tokens, int query_heads, int kv_heads, int window, float scale, float softcap) {               \
    begin();                                                                                                         \
    attention_tile<TYPE, D, TILES, KEYS>(qkv, keys, values, offset, length, out, lse, tokens, query_heads, kv_heads, \
                                         window, scale, softcap);                                                    \
  }
#define ATTENTION_TILES(NAME, TYPE)      \
  ATTENTION_TILE(NAME, TYPE, 64, 2, 64)  \
  ATTENTION_TILE(NAME, TYPE, 96, 2, 64)  \
  ATTENTION_TILE(NAME, TYPE, 128, 2, 48) \
  ATTENTION_TILE(NAME, TYPE, 256, 1, 32)
ATTENTION_TILES(f16, f16)
ATTENTION_TILES(bf16, bf16)
