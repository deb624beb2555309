// decodeAttention: one query a sequence over ragged rows, by chunks of rows (split-K, as in flash-decoding): grid (chunks, sequences x KV heads,
// query heads of a KV head / GROUP), constant for a capacity; chunks beyond a head's length leave at once. LANES lanes hold one key, eight numbers
// each; a block of 256 threads scores its chunk into shared memory, exponentiates it, and sums its values. With more than one chunk, each leaves its
// greatest logit, its sum and its values unscaled, and `decode_attention_join` adds them up. Head sizes up to 256; K and V are read once for up to
// GROUP query heads.
#include "tensor-core.cuh"

constexpr int unroll = 4;

template <typename T, int LANES, int GROUP>
__device__ void decode(const float* qkv, const T* keys, const T* values, const int* cells, const float* table, const int* offset, const int* length,
                       const int* ended, float* out, float* lse, float* parts, int query_heads, int kv_heads, int head_size, int arena_rows,
                       int chunk, int splits, int rotary, int table_rows, int vector, float scale, float softcap) {
  extern __shared__ float scores[];  // [GROUP, chunk]
  __shared__ float merged[8][256], greatest[GROUP], sums[GROUP];
  constexpr int key_groups = 256 / LANES;
  const int h = blockIdx.y, s = h / kv_heads, group = query_heads / kv_heads, first_head = blockIdx.z * GROUP;
  const int heads = min(GROUP, group - first_head), first = blockIdx.x * chunk;
  const int rows = length[h] + (ended[s] == 0 ? 1 : 0), n = min(chunk, rows - first);
  const int head0 = s * query_heads + (h % kv_heads) * group + first_head;
  if (n <= 0) {
    if (splits > 1 || rows > 0) return;
    for (int i = threadIdx.x; i < heads * head_size; i += blockDim.x) out[static_cast<size_t>(head0) * head_size + i] = 0.0f;
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
    const float* query = qkv + (static_cast<size_t>(s) * (query_heads + 2 * kv_heads) + (h % kv_heads) * group + first_head) * head_size;
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
            if (i < here) k[u][i] = rotated(keys + static_cast<size_t>(j) * head_size, d + i, rank, table, table_rows, rotary);
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

/** One block a (sequence, query head): the chunks' results in their order. */
KERNEL decode_attention_join(const float* parts, const int* length, const int* ended, float* out, float* lse, int query_heads, int kv_heads,
                             int head_size, int chunk, int splits) {
  extern __shared__ float factor[];  // [splits]
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

#define DECODE(NAME, TYPE, LANES, GROUP)                                                                                                        \
  extern "C" __global__ void __launch_bounds__(256)                                                                                             \
      decode_attention_##NAME##_##LANES##_##GROUP(const float* qkv, const TYPE* keys, const TYPE* values, const int* cells, const float* table, \
                                                  const int* offset, const int* length, const int* ended, float* out, float* lse, float* parts, \
                                                  int query_heads, int kv_heads, int head_size, int arena_rows, int chunk, int splits,          \
                                                  int rotary, int table_rows, int vector, float scale, float softcap) {                         \
    decode<TYPE, LANES, GROUP>(qkv, keys, values, cells, table, offset, length, ended, out, lse, parts, query_heads, kv_heads, head_size,       \
                               arena_rows, chunk, splits, rotary, table_rows, vector, scale, softcap);                                          \
  }
#define DECODE_GROUPS(NAME, TYPE, LANES) DECODE(NAME, TYPE, LANES, 1) DECODE(NAME, TYPE, LANES, 4)
#define DECODE_LANES(NAME, TYPE) DECODE_GROUPS(NAME, TYPE, 8) DECODE_GROUPS(NAME, TYPE, 16) DECODE_GROUPS(NAME, TYPE, 32)
EACH_KV(DECODE_LANES)

// `decode_attention_tile_*_D`: head size D and rows of 16 bits, on tensor cores, where up to 16 query heads of a KV head are the rows of one product and
// so share every load. Each warp walks over tiles of 16 rows of its block's chunk on its own, through a ring of stages filled in the background, with
// running maximum and sum; in the end the warps' results are added up in their order. Queries and weights of values are rounded to the rows' 16 bits.
template <typename T, int D, int WARPS, int STAGES>
__device__ void decode_tile(const float* qkv, const T* keys, const T* values, const int* offset, const int* length, const int* ended, float* out,
                            float* lse, float* parts, int query_heads, int kv_heads, int chunk, int splits, float scale, float softcap) {
  constexpr int chunks = D / 8, value_tiles = D / 8, tile_bytes = 16 * D * 2, stage_bytes = 2 * tile_bytes;
  constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
  extern __shared__ __align__(128) char stages[];
  __shared__ float levels[WARPS][16], sums[WARPS][16];
  const int h = blockIdx.y, s = h / kv_heads, group = query_heads / kv_heads, first_head = blockIdx.z * 16, heads = min(16, group - first_head);
  const int first = blockIdx.x * chunk, rows = length[h] + (ended[s] == 0 ? 1 : 0), here = min(chunk, rows - first);
  const int head0 = s * query_heads + (h % kv_heads) * group + first_head;
  if (here <= 0) {
    if (splits > 1 || rows > 0) return;
    for (int i = threadIdx.x; i < heads * D; i += blockDim.x) out[static_cast<size_t>(head0) * D + i] = 0.0f;
    if (threadIdx.x < heads) lse[head0 + threadIdx.x] = -infinity;
    return;
  }
  const size_t base = (static_cast<size_t>(offset[h]) + first) * D;
  const uint16_t* key_rows = reinterpret_cast<const uint16_t*>(keys) + base;
  const uint16_t* value_rows = reinterpret_cast<const uint16_t*>(values) + base;
  const unsigned ring = shared_address(stages) + warp() * STAGES * stage_bytes;
  // Chunks of a row are permuted so that eight rows of one chunk lie in different banks.
  const auto place = [](int row, int chunk) { return row * D * 2 + (chunk ^ (D % 64 == 0 ? row & 7 : row >> 1 & 3)) * 16; };
  const auto fill = [&](int stage, int tile) {
    const unsigned to = ring + stage * stage_bytes;
#pragma unroll
    for (int i = 0; i < 16 * chunks / 32; i++) {
      const int n = i * 32 + lane(), row = n / chunks, chunk = n % chunks;
      const bool there = tile * 16 + row < here;
      const size_t at = there ? static_cast<size_t>(tile * 16 + row) * D + chunk * 8 : 0;
      copy16(to + place(row, chunk), key_rows + at, there);
      copy16(to + tile_bytes + place(row, chunk), value_rows + at, there);
    }
  };
  const int tiles = (here + 15) / 16, own = tiles > warp() ? (tiles - warp() + WARPS - 1) / WARPS : 0;
#pragma unroll
  for (int stage = 0; stage < STAGES - 1; stage++) {
    if (stage < own) fill(stage, stage * WARPS + warp());
    commit_copies();
  }

  // A lane's numbers of query heads lane / 4 and lane / 4 + 8.
  unsigned q[D / 16][4];
  const float* query = qkv + (static_cast<size_t>(s) * (query_heads + 2 * kv_heads) + (h % kv_heads) * group + first_head) * D + lane() % 4 * 2;
#pragma unroll
  for (int step = 0; step < D / 16; step++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int head = lane() / 4 + i % 2 * 8;
      float2 pair = {0.0f, 0.0f};
      if (head < heads) pair = *reinterpret_cast<const float2*>(query + head * D + step * 16 + i / 2 * 8);
      q[step][i] = pack2(pair.x, pair.y, T{});
    }
  }
  float result[value_tiles][4], greatest[2] = {-infinity, -infinity}, sum[2] = {0.0f, 0.0f};
#pragma unroll
  for (int d = 0; d < value_tiles; d++) result[d][0] = result[d][1] = result[d][2] = result[d][3] = 0.0f;
  int stage = 0;
  for (int n = 0; n < own; n++) {
    await_copies<STAGES - 2>();
    __syncwarp();
    if (n + STAGES - 1 < own) fill(stage == 0 ? STAGES - 1 : stage - 1, (n + STAGES - 1) * WARPS + warp());
    commit_copies();
    const unsigned key_tile = ring + stage * stage_bytes, value_tile = key_tile + tile_bytes;
    float x[2][4] = {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f, 0.0f}};
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      unsigned b[4];
      load_matrices(b, key_tile + place((lane() & 7) + (lane() >> 4) * 8, 2 * step + (lane() >> 3 & 1)));
      multiply(x[0], q[step], b[0], b[1], T{});
      multiply(x[1], q[step], b[2], b[3], T{});
    }
    const int left = here - (n * WARPS + warp()) * 16 - lane() % 4 * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      if (half == 1 && heads <= 8) break;
      float above = greatest[half];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float& y = x[i / 2][2 * half + i % 2];
        y = i / 2 * 8 + i % 2 < left ? log2_e * logit(y, scale, softcap) : -infinity;
        above = fmaxf(above, y);
      }
      above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 1));
      above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 2));
      const float shrink = exp2f(greatest[half] - above);
      greatest[half] = above;
      sum[half] *= shrink;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float& y = x[i / 2][2 * half + i % 2];
        y = exp2f(y - above);
        sum[half] += y;
      }
#pragma unroll
      for (int d = 0; d < value_tiles; d++) result[d][2 * half] *= shrink, result[d][2 * half + 1] *= shrink;
    }
    const unsigned p[4] = {pack2(x[0][0], x[0][1], T{}), pack2(x[0][2], x[0][3], T{}), pack2(x[1][0], x[1][1], T{}), pack2(x[1][2], x[1][3], T{})};
#pragma unroll
    for (int d = 0; d < value_tiles / 2; d++) {
      unsigned b[4];
      load_transposed(b, value_tile + place(lane() & 15, 2 * d + (lane() >> 4)));
      multiply(result[2 * d], p, b[0], b[1], T{});
      multiply(result[2 * d + 1], p, b[2], b[3], T{});
    }
    // All lanes have read this stage before it is filled again.
    __syncwarp();
    stage = stage + 1 == STAGES ? 0 : stage + 1;
  }
  await_copies<0>();
  __syncthreads();

  float* all = reinterpret_cast<float*>(stages);  // [warps, 16, D]
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int head = lane() / 4 + half * 8;
    sum[half] += __shfl_xor_sync(all_lanes, sum[half], 1);
    sum[half] += __shfl_xor_sync(all_lanes, sum[half], 2);
    if (head >= heads) continue;
    if (lane() % 4 == 0) levels[warp()][head] = greatest[half], sums[warp()][head] = sum[half];
#pragma unroll
    for (int d = 0; d < value_tiles; d++) {
      *reinterpret_cast<float2*>(all + (warp() * 16 + head) * D + d * 8 + lane() % 4 * 2) = {result[d][2 * half], result[d][2 * half + 1]};
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < heads * D; i += blockDim.x) {
    const int head = i / D, d = i % D;
    float above = -infinity, sum = 0.0f, total = 0.0f;
#pragma unroll
    for (int w = 0; w < WARPS; w++) above = fmaxf(above, levels[w][head]);
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
      const float factor = exp2f(levels[w][head] - above);
      sum += sums[w][head] * factor;
      total += all[(w * 16 + head) * D + d] * factor;
    }
    if (splits == 1) {
      out[static_cast<size_t>(head0) * D + i] = total / sum;
      if (d == 0) lse[head0 + head] = above * ln_2 + logf(sum);
    } else {
      float* part = parts + (static_cast<size_t>(head0 + head) * splits + blockIdx.x) * (D + 2);
      part[d] = total;
      if (d == 0) part[D] = above * ln_2, part[D + 1] = sum;
    }
  }
}

#define DECODE_TILE(NAME, TYPE, D, WARPS, STAGES)                                                                                             \
  extern "C" __global__ void __launch_bounds__(WARPS * 32)                                                                                    \
      decode_attention_tile_##NAME##_##D(const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length,        \
                                         const int* ended, float* out, float* lse, float* parts, int query_heads, int kv_heads, int chunk,    \
                                         int splits, float scale, float softcap) {                                                            \
    decode_tile<TYPE, D, WARPS, STAGES>(qkv, keys, values, offset, length, ended, out, lse, parts, query_heads, kv_heads, chunk, splits,      \
                                        scale, softcap);                                                                                      \
  }
#define DECODE_TILES(NAME, TYPE)   \
  DECODE_TILE(NAME, TYPE, 64, 4, 4) \
  DECODE_TILE(NAME, TYPE, 96, 4, 3) \
  DECODE_TILE(NAME, TYPE, 128, 4, 3) \
  DECODE_TILE(NAME, TYPE, 256, 2, 3)
DECODE_TILES(f16, f16)
DECODE_TILES(bf16, bf16)
