// decodeAttention on tensor cores, for head size D and rows of 16 bits. Up to 16 query heads of a KV head form the rows
// of one product and so share every load. Each warp walks over tiles of 16 rows of the block's chunk independently,
// through a ring of stages that is filled asynchronously, with a running maximum and sum. At the end the results of the
// warps are merged in order. Queries, softmax weights and, with SLOT, rotated keys are rounded to the 16 bits of the
// rows.
#pragma once
#include "tensor-core.cuh"

/** Rotation of keys by their ranks, for slot positions. All D numbers rotate; number j pairs with j + D / 2. */
struct turns {
  const int* ranks;
  const float* table;
  int table_rows;
};
__device__ inline float2 unpack2(unsigned bits, f16) {
  return __half22float2(*reinterpret_cast<const __half2*>(&bits));
}
__device__ inline float2 unpack2(unsigned bits, bf16) {
  return {__uint_as_float(bits << 16), __uint_as_float(bits & 0xffff0000u)};
}
/** Rotates numbers j, j + 1 in `low` with j + D / 2, j + D / 2 + 1 in `high`. `row`: the row of the table from j on. */
template <typename T, int D>
__device__ inline void turn(unsigned& low, unsigned& high, const float* row) {
  const float2 x = unpack2(low, T{}), y = unpack2(high, T{});
  const float2 cosine = *reinterpret_cast<const float2*>(row), sine = *reinterpret_cast<const float2*>(row + D / 2);
  low = pack2(x.x * cosine.x - y.x * sine.x, x.y * cosine.y - y.y * sine.y, T{});
  high = pack2(y.x * cosine.x + x.x * sine.x, y.y * cosine.y + x.y * sine.y, T{});
}

/** Whether this block is the last of `count` to arrive at a counter, which then is 0 again. */
__device__ inline bool is_last_block(int* counter, int count) {
  __shared__ int before;
  __syncthreads();
  if (threadIdx.x == 0) {
    // Fences are cumulative: what the block wrote before the barrier is visible to a block that sees the counter.
    __threadfence();
    before = atomicAdd(counter, 1);
    if (before == count - 1) *counter = 0;
    __threadfence();
  }
  __syncthreads();
  return before == count - 1;
}

/**
 * Merges the results of the chunks in order: `heads` query heads from head0 on, `count` of `splits` chunks. `factor`:
 * shared memory, [heads, count]. Other blocks wrote the parts, so they are read from the L2 cache.
 */
template <int D>
__device__ void merge_chunks(const float* parts, float* factor, float* out, float* lse, int head0, int heads,
                             int splits, int count) {
  __shared__ float totals[16];
  const auto part = [&](int head, int i) { return parts + (static_cast<size_t>(head0 + head) * splits + i) * (D + 2); };
  for (int head = warp(); head < heads; head += warps()) {
    const bool is = lane() < count;
    const float own = is ? __ldcg(part(head, lane()) + D) : -infinity;
    const float own_sum = is ? __ldcg(part(head, lane()) + D + 1) : 0.0f;
    float greatest = own, sum = 0.0f;
    for (int i = lane() + 32; i < count; i += 32) greatest = fmaxf(greatest, __ldcg(part(head, i) + D));
    greatest = warp_max(greatest);
    if (is) {
      factor[head * count + lane()] = expf(own - greatest);
      sum = own_sum * expf(own - greatest);
    }
    for (int i = lane() + 32; i < count; i += 32) {
      const float by = expf(__ldcg(part(head, i) + D) - greatest);
      factor[head * count + i] = by;
      sum += __ldcg(part(head, i) + D + 1) * by;
    }
    sum = warp_sum(sum);
    if (lane() == 0) totals[head] = sum, lse[head0 + head] = greatest + logf(sum);
  }
  __syncthreads();
  for (int n = threadIdx.x; n < heads * D; n += blockDim.x) {
    const int head = n / D;
    float total = 0.0f;
    // As many loads as possible are in flight at once.
    constexpr int ahead = 16;
    for (int first = 0; first < count; first += ahead) {
      float values[ahead];
#pragma unroll
      for (int i = 0; i < ahead; i++) values[i] = first + i < count ? __ldcg(part(head, first + i) + n % D) : 0.0f;
#pragma unroll
      for (int i = 0; i < ahead; i++) {
        if (first + i < count) total += values[i] * factor[head * count + first + i];
      }
    }
    out[static_cast<size_t>(head0) * D + n] = total / totals[head];
  }
}

template <typename T, int D, int WARPS, int STAGES, bool SLOT>
__device__ void decode_tile(const float* qkv, const T* keys, const T* values, turns turned, const int* offset,
                            const int* length, const int* ended, float* out, float* lse, float* parts, int* counters,
                            int query_heads, int kv_heads, int chunk, int splits, float scale, float softcap) {
  constexpr int chunks = D / 8, value_tiles = D / 8, tile_bytes = 16 * D * 2, stage_bytes = 2 * tile_bytes;
  constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
  DYNAMIC_SHARED(char, stages);
  __shared__ float levels[WARPS][16], sums[WARPS][16];
  const int h = blockIdx.y, s = h / kv_heads, group = query_heads / kv_heads, first_head = blockIdx.z * 16,
            heads = min(16, group - first_head);
  const int first = blockIdx.x * chunk, past = length[h], head0 = s * query_heads + (h % kv_heads) * group + first_head;
  const size_t base = (static_cast<size_t>(offset[h]) + first) * D;
  const uint16_t* key_rows = reinterpret_cast<const uint16_t*>(keys) + base;
  const uint16_t* value_rows = reinterpret_cast<const uint16_t*>(values) + base;
  const unsigned ring = shared_address(stages) + warp() * STAGES * stage_bytes;
  // The chunks of a row are permuted, so that the same chunk of eight rows is in different banks.
  const auto place = [](int row, int chunk) {
    return row * D * 2 + (chunk ^ (D % 64 == 0 ? row & 7 : row >> 1 & 3)) * 16;
  };
  const auto fill = [&](int stage, int tile, int rows) {
    const unsigned to = ring + stage * stage_bytes;
#pragma unroll
    for (int i = 0; i < 16 * chunks / 32; i++) {
      const int n = i * 32 + lane(), row = n / chunks, chunk = n % chunks;
      const bool there = tile * 16 + row < rows;
      const size_t at = there ? static_cast<size_t>(tile * 16 + row) * D + chunk * 8 : 0;
      copy16(to + place(row, chunk), key_rows + at, there);
      copy16(to + tile_bytes + place(row, chunk), value_rows + at, there);
    }
  };
  // Tiles of older rows are copied while the launch before this one, which may append the newest row, still runs.
  const int old = min(chunk, past - first);
  const auto is_old = [&](int stage) { return (stage * WARPS + warp() + 1) * 16 <= old; };
#pragma unroll
  for (int stage = 0; stage < STAGES - 1; stage++) {
    if (!is_old(stage)) continue;
    fill(stage, stage * WARPS + warp(), old);
    commit_copies();
  }
  begin();
  const bool has_ended = ended[s] != 0;
  // The numbers of query heads lane / 4 and lane / 4 + 8 that this lane holds.
  unsigned q[D / 16][4];
  const float* query =
      qkv + (static_cast<size_t>(s) * (query_heads + 2 * kv_heads) + (h % kv_heads) * group + first_head) * D +
      lane() % 4 * 2;
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
  const int rows = past + (has_ended ? 0 : 1), here = min(chunk, rows - first);
  if (here <= 0) {
    if (rows > 0 || (splits > 1 && (!counters || blockIdx.x > 0))) return;
    for (int i = threadIdx.x; i < heads * D; i += blockDim.x) out[static_cast<size_t>(head0) * D + i] = 0.0f;
    if (threadIdx.x < heads) lse[head0 + threadIdx.x] = -infinity;
    return;
  }
  const int tiles = (here + 15) / 16, own = tiles > warp() ? (tiles - warp() + WARPS - 1) / WARPS : 0;
#pragma unroll
  for (int stage = 0; stage < STAGES - 1; stage++) {
    if (is_old(stage)) continue;
    if (stage < own) fill(stage, stage * WARPS + warp(), here);
    commit_copies();
  }

  float result[value_tiles][4], greatest[2] = {-infinity, -infinity}, sum[2] = {0.0f, 0.0f};
#pragma unroll
  for (int d = 0; d < value_tiles; d++) result[d][0] = result[d][1] = result[d][2] = result[d][3] = 0.0f;
  int stage = 0;
  for (int n = 0; n < own; n++) {
    await_copies<STAGES - 2>();
    __syncwarp();
    if (n + STAGES - 1 < own) fill(stage == 0 ? STAGES - 1 : stage - 1, (n + STAGES - 1) * WARPS + warp(), here);
    commit_copies();
    const unsigned key_tile = ring + stage * stage_bytes, value_tile = key_tile + tile_bytes;
    float x[2][4] = {{0.0f, 0.0f, 0.0f, 0.0f}, {0.0f, 0.0f, 0.0f, 0.0f}};
    const auto load = [&](unsigned (&b)[4], int step) {
      load_matrices(b, key_tile + place((lane() & 7) + (lane() >> 4) * 8, 2 * step + (lane() >> 3 & 1)));
    };
    const auto score = [&](const unsigned (&b)[4], int step) {
      multiply(x[0], q[step], b[0], b[1], T{});
      multiply(x[1], q[step], b[2], b[3], T{});
    };
    if constexpr (SLOT) {
      const float* rows[2];
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int j = (n * WARPS + warp()) * 16 + i * 8 + lane() / 4;
        const int rank = j < here ? turned.ranks[offset[h] + first + j] : 0;
        rows[i] = turned.table + static_cast<size_t>(clamp(rank, 0, turned.table_rows - 1)) * D + lane() % 4 * 2;
      }
#pragma unroll
      for (int step = 0; step < D / 32; step++) {
        unsigned low[4], high[4];
        load(low, step);
        load(high, step + D / 32);
#pragma unroll
        for (int i = 0; i < 4; i++) turn<T, D>(low[i], high[i], rows[i / 2] + step * 16 + i % 2 * 8);
        score(low, step);
        score(high, step + D / 32);
      }
    } else {
#pragma unroll
      for (int step = 0; step < D / 16; step++) {
        unsigned b[4];
        load(b, step);
        score(b, step);
      }
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
    const unsigned p[4] = {pack2(x[0][0], x[0][1], T{}), pack2(x[0][2], x[0][3], T{}), pack2(x[1][0], x[1][1], T{}),
                           pack2(x[1][2], x[1][3], T{})};
#pragma unroll
    for (int d = 0; d < value_tiles / 2; d++) {
      unsigned b[4];
      load_transposed(b, value_tile + place(lane() & 15, 2 * d + (lane() >> 4)));
      multiply(result[2 * d], p, b[0], b[1], T{});
      multiply(result[2 * d + 1], p, b[2], b[3], T{});
    }
    // All lanes must have read this stage before it is filled again.
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
      *reinterpret_cast<float2*>(all + (warp() * 16 + head) * D + d * 8 + lane() % 4 * 2) = {result[d][2 * half],
                                                                                             result[d][2 * half + 1]};
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
  if (splits == 1 || !counters) return;
  const int done = (rows + chunk - 1) / chunk;
  if (!is_last_block(counters + blockIdx.y * gridDim.z + blockIdx.z, done)) return;
  merge_chunks<D>(parts, all, out, lse, head0, heads, splits, done);
}
