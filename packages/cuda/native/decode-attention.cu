// decodeAttention: one query per sequence over ragged rows, split into chunks of rows (split-K, as in flash-decoding).
// Grid (chunks, sequences x KV heads, query heads of a KV head / GROUP); it depends on the capacity only, and blocks
// beyond the length of a head exit at once. LANES lanes hold one key, eight numbers each. A block of 256 threads writes
// the logits of its chunk to shared memory, exponentiates them and sums the weighted values. If there are several
// chunks, each stores its maximum, its sum and its unscaled values, and `decode_attention_join` merges them. Head sizes
// up to 256. K and V are read once for up to GROUP query heads.
#include "decode-tile.cuh"

constexpr int unroll = 4;

template <typename T, int LANES, int GROUP>
__device__ void decode(const float* qkv, const T* keys, const T* values, const int* cells, const float* table,
                       const int* offset, const int* length, const int* ended, float* out, float* lse, float* parts,
                       int query_heads, int kv_heads, int head_size, int arena_rows, int chunk, int splits, int rotary,
                       int table_rows, int vector, float scale, float softcap) {
  DYNAMIC_SHARED(float, scores);  // [GROUP, chunk]
  __shared__ float merged[8][256], greatest[GROUP], sums[GROUP];
  constexpr int key_groups = 256 / LANES;
  const int h = blockIdx.y, s = h / kv_heads, group = query_heads / kv_heads, first_head = blockIdx.z * GROUP;
  const int heads = min(GROUP, group - first_head), first = blockIdx.x * chunk;
  const int rows = length[h] + (ended[s] == 0 ? 1 : 0), n = min(chunk, rows - first);
  const int head0 = s * query_heads + (h % kv_heads) * group + first_head;
  if (n <= 0) {
    if (splits > 1 || rows > 0) return;
    for (int i = threadIdx.x; i < heads * head_size; i += blockDim.x)
      out[static_cast<size_t>(head0) * head_size + i] = 0.0f;
    if (threadIdx.x < heads) lse[head0 + threadIdx.x] = -infinity;
    return;
  }
  const size_t base = static_cast<size_t>(offset[h]) + first;
  keys += base * head_size;
  values += base * head_size;
  const int slot = threadIdx.x / LANES, d = threadIdx.x % LANES * 8, here = clamp(head_size - d, 0, 8);
  const bool whole = vector && here == 8;

  {
    float q[GROUP][8];
    const float* query =
        qkv + (static_cast<size_t>(s) * (query_heads + 2 * kv_heads) + (h % kv_heads) * group + first_head) * head_size;
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
      for (int i = 0; i < 8; i++) q[g][i] = g < heads && i < here ? query[g * head_size + d + i] : 0.0f;
    }
    for (int j0 = 0; j0 < n; j0 += key_groups * unroll) {
      float k[unroll][8];
#pragma unroll
      for (int u = 0; u < unroll; u++) {
        const int j = j0 + u * key_groups + slot;
        if (j < n) {
          load8(keys + static_cast<size_t>(j) * head_size + d, k[u], here, whole);
        } else {
#pragma unroll
          for (int i = 0; i < 8; i++) k[u][i] = 0.0f;
        }
      }
#pragma unroll
      for (int u = 0; u < unroll; u++) {
        const int j = j0 + u * key_groups + slot;
        if (cells && j < n) {
          const int rank = cells[static_cast<size_t>(arena_rows) + base + j];
#pragma unroll
          for (int i = 0; i < 8; i++) {
            if (i < here)
              k[u][i] = rotated(keys + static_cast<size_t>(j) * head_size, d + i, rank, table, table_rows, rotary);
          }
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
          float product = 0.0f;
#pragma unroll
          for (int i = 0; i < 8; i++) product += q[g][i] * k[u][i];
#pragma unroll
          for (int step = LANES / 2; step > 0; step >>= 1) product += __shfl_xor_sync(all_lanes, product, step);
          if (threadIdx.x % LANES == 0 && j < n && g < heads) scores[g * chunk + j] = logit(product, scale, softcap);
        }
      }
    }
  }
  __syncthreads();
  for (int g = warp(); g < heads; g += 8) {
    float* row = scores + g * chunk;
    float top = -infinity, sum = 0.0f;
    for (int j = lane(); j < n; j += 32) top = fmaxf(top, row[j]);
    top = warp_max(top);
    for (int j = lane(); j < n; j += 32) {
      row[j] = expf(row[j] - top);
      sum += row[j];
    }
    sum = warp_sum(sum);
    if (lane() == 0) greatest[g] = top, sums[g] = sum;
  }
  __syncthreads();

  float total[GROUP][8];
#pragma unroll
  for (int g = 0; g < GROUP; g++) {
#pragma unroll
    for (int i = 0; i < 8; i++) total[g][i] = 0.0f;
  }
  for (int j0 = 0; j0 < n; j0 += key_groups * unroll) {
    float v[unroll][8];
#pragma unroll
    for (int u = 0; u < unroll; u++) {
      const int j = j0 + u * key_groups + slot;
      if (j < n) load8(values + static_cast<size_t>(j) * head_size + d, v[u], here, whole);
    }
#pragma unroll
    for (int u = 0; u < unroll; u++) {
      const int j = j0 + u * key_groups + slot;
      if (j >= n) continue;
#pragma unroll
      for (int g = 0; g < GROUP; g++) {
        const float p = g < heads ? scores[g * chunk + j] : 0.0f;
#pragma unroll
        for (int i = 0; i < 8; i++) total[g][i] += p * v[u][i];
      }
    }
  }
#pragma unroll
  for (int g = 0; g < GROUP; g++) {
    if (g >= heads) break;
#pragma unroll
    for (int i = 0; i < 8; i++) {
#pragma unroll
      for (int step = LANES; step < 32; step <<= 1) total[g][i] += __shfl_xor_sync(all_lanes, total[g][i], step);
      if (lane() < LANES && i < here) merged[warp()][d + i] = total[g][i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < head_size; i += blockDim.x) {
      float sum = 0.0f;
#pragma unroll
      for (int w = 0; w < 8; w++) sum += merged[w][i];
      if (splits == 1) {
        out[static_cast<size_t>(head0 + g) * head_size + i] = sum / sums[g];
      } else {
        parts[(static_cast<size_t>(head0 + g) * splits + blockIdx.x) * (head_size + 2) + i] = sum;
      }
    }
    __syncthreads();
  }
  if (threadIdx.x < heads) {
    const int g = threadIdx.x;
    if (splits == 1) {
      lse[head0 + g] = greatest[g] + logf(sums[g]);
    } else {
      float* part = parts + (static_cast<size_t>(head0 + g) * splits + blockIdx.x) * (head_size + 2) + head_size;
      part[0] = greatest[g], part[1] = sums[g];
    }
  }
}

/** Merges the results of the chunks in order. One block per (sequence, query head). */
KERNEL decode_attention_join(const float* parts, const int* length, const int* ended, float* out, float* lse,
                             int query_heads, int kv_heads, int head_size, int chunk, int splits) {
  begin();
  DYNAMIC_SHARED(float, factor);  // [splits]
  __shared__ float room[33];
  const int head = blockIdx.x, s = head / query_heads, h = s * kv_heads + head % query_heads / (query_heads / kv_heads);
  const int rows = length[h] + (ended[s] == 0 ? 1 : 0), n = min(splits, (rows + chunk - 1) / chunk);
  parts += static_cast<size_t>(head) * splits * (head_size + 2);
  const auto tail = [&](int i) { return parts + static_cast<size_t>(i) * (head_size + 2) + head_size; };
  float greatest = -infinity, sum = 0.0f;
  for (int i = threadIdx.x; i < n; i += blockDim.x) greatest = fmaxf(greatest, tail(i)[0]);
  greatest = block_max(greatest, room);
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    factor[i] = expf(tail(i)[0] - greatest);
    sum += tail(i)[1] * factor[i];
  }
  sum = block_sum(sum, room);
  for (int d = threadIdx.x; d < head_size; d += blockDim.x) {
    float total = 0.0f;
#pragma unroll 8
    for (int i = 0; i < n; i++) total += parts[static_cast<size_t>(i) * (head_size + 2) + d] * factor[i];
    out[static_cast<size_t>(head) * head_size + d] = n > 0 ? total / sum : 0.0f;
  }
  if (threadIdx.x == 0) lse[head] = n > 0 ? greatest + logf(sum) : -infinity;
}

#define DECODE(NAME, TYPE, LANES, GROUP)                                                                               \
  extern "C" __global__ void __launch_bounds__(256) decode_attention_##NAME##_##LANES##_##GROUP(                       \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* cells, const float* table, const int* offset, \
      const int* length, const int* ended, float* out, float* lse, float* parts, int query_heads, int kv_heads,        \
      int head_size, int arena_rows, int chunk, int splits, int rotary, int table_rows, int vector, float scale,       \
      float softcap) {                                                                                                 \
    begin();                                                                                                           \
    decode<TYPE, LANES, GROUP>(qkv, keys, values, cells, table, offset, length, ended, out, lse, parts, query_heads,   \
                               kv_heads, head_size, arena_rows, chunk, splits, rotary, table_rows, vector, scale,      \
                               softcap);                                                                               \
  }
#define DECODE_GROUPS(NAME, TYPE, LANES) DECODE(NAME, TYPE, LANES, 1) DECODE(NAME, TYPE, LANES, 4)
#define DECODE_LANES(NAME, TYPE) \
  DECODE_GROUPS(NAME, TYPE, 8) DECODE_GROUPS(NAME, TYPE, 16) DECODE_GROUPS(NAME, TYPE, 32)
EACH_KV(DECODE_LANES)

// `decode_attention_tile_*_D`: head size D and rows of 16 bits, on tensor cores. `decode_attention_slot_*_D`: the same
// with keys that are rotated to their ranks.
#define DECODE_TILE(NAME, TYPE, D, WARPS, STAGES)                                                                     \
  extern "C" __global__ void __launch_bounds__(WARPS * 32) decode_attention_tile_##NAME##_##D(                        \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length, const int* ended, \
      float* out, float* lse, float* parts, int* counters, int query_heads, int kv_heads, int chunk, int splits,      \
      float scale, float softcap) {                                                                                   \
    decode_tile<TYPE, D, WARPS, STAGES, false>(qkv, keys, values, {}, offset, length, ended, out, lse, parts,         \
                                               counters, query_heads, kv_heads, chunk, splits, scale, softcap);       \
  }
#define DECODE_SLOT(NAME, TYPE, D, WARPS, STAGES)                                                                      \
  extern "C" __global__ void __launch_bounds__(WARPS * 32) decode_attention_slot_##NAME##_##D(                         \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* cells, const float* table, const int* offset, \
      const int* length, const int* ended, float* out, float* lse, float* parts, int* counters, int query_heads,       \
      int kv_heads, int chunk, int splits, int arena_rows, int table_rows, float scale, float softcap) {               \
    decode_tile<TYPE, D, WARPS, STAGES, true>(qkv, keys, values, {cells + arena_rows, table, table_rows}, offset,      \
                                              length, ended, out, lse, parts, counters, query_heads, kv_heads, chunk,  \
                                              splits, scale, softcap);                                                 \
  }
#define DECODE_BOTH(NAME, TYPE, D, WARPS, STAGES) \
  DECODE_TILE(NAME, TYPE, D, WARPS, STAGES) DECODE_SLOT(NAME, TYPE, D, WARPS, STAGES)
#define DECODE_TILES(NAME, TYPE)     \
  DECODE_BOTH(NAME, TYPE, 64, 4, 4)  \
  DECODE_TILE(NAME, TYPE, 96, 4, 3)  \
  DECODE_BOTH(NAME, TYPE, 128, 4, 3) \
  DECODE_BOTH(NAME, TYPE, 256, 2, 3)
DECODE_TILES(f16, f16)
DECODE_TILES(bf16, bf16)
