// watch: adds to mass[query head, j] the sum of exp(logit - lse) of row j over queries i >= from, in a fixed order.
// `watch_*`: one block of 64 threads for 64 keys of one head, one thread per key. Keys and tiles of 16 queries are in
// shared memory, in f32. Head sizes up to 256.
#include "tensor-core.cuh"

constexpr int watch_keys = 64, watch_queries = 16;

template <typename T>
__device__ void watch(const float* qkv, const T* keys, const int* cells, const float* table, const float* lse,
                      const int* offset, const int* length, const int* ended, float* mass, int tokens, int query_heads,
                      int kv_heads, int head_size, int arena_rows, int capacity, int from, int rotary, int table_rows,
                      float scale, float softcap) {
  DYNAMIC_SHARED(float, room);  // keys [64, head size + 1], then queries [16, head size], then their log-sum-exp [16]
  const int stride = head_size + 1;
  float* key = room;
  float* query = room + watch_keys * stride;
  float* denominator = query + watch_queries * head_size;
  const int head = blockIdx.y, s = head / query_heads, own = head % query_heads,
            h = s * kv_heads + own / (query_heads / kv_heads);
  if (ended[s] != 0) return;
  const int past = length[h], rows = past + tokens, first = blockIdx.x * watch_keys,
            here = min(watch_keys, rows - first);
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
  float sum = 0.0f;
  // Queries before this one see none of these keys.
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

#define WATCH(NAME, TYPE)                                                                                            \
  extern "C" __global__ void __launch_bounds__(64) watch_##NAME(                                                     \
      const float* qkv, const TYPE* keys, const int* cells, const float* table, const float* lse, const int* offset, \
      const int* length, const int* ended, float* mass, int tokens, int query_heads, int kv_heads, int head_size,    \
      int arena_rows, int capacity, int from, int rotary, int table_rows, float scale, float softcap) {              \
    begin();                                                                                                         \
    watch(qkv, keys, cells, table, lse, offset, length, ended, mass, tokens, query_heads, kv_heads, head_size,       \
          arena_rows, capacity, from, rotary, table_rows, scale, softcap);                                           \
  }
EACH_KV(WATCH)

// `watch_tile_*_D`: head size D and rows of 16 bits, on tensor cores. Each of the four warps holds 16 TILES keys in
// registers and walks over the queries that see them, 32 at a time through a ring of stages, for `share` query heads of
// the same KV head in turn. `watch_round_*` has rounded the queries to 16 bits: [heads, queries, D]. Grid (keys, query
// heads / share).
constexpr int ring = 4, tile_queries = 32;

template <typename T, int D, int TILES>
__device__ void watch_tile(const uint16_t* queries, const T* keys, const float* lse, const int* offset,
                           const int* length, const int* ended, float* mass, int tokens, int query_heads, int kv_heads,
                           int capacity, int from, int share, float scale, float softcap) {
  constexpr int chunks = D / 8, tile_keys = 64 * TILES, stage_bytes = tile_queries * D * 2;
  constexpr float log2_e = 1.44269504f;
  DYNAMIC_SHARED(char, stages);
  const unsigned room = shared_address(stages);
  const int head = blockIdx.y * share, s = head / query_heads,
            h = s * kv_heads + head % query_heads / (query_heads / kv_heads);
  if (ended[s] != 0) return;
  const int past = length[h], rows = past + tokens, first = blockIdx.x * tile_keys, here = min(tile_keys, rows - first);
  // Queries before this one see none of these keys.
  const int begin = max(from, first - past);
  if (here <= 0 || begin >= tokens) return;
  // The chunks of a row are permuted, so that the same chunk of eight rows is in different banks.
  const auto place = [](int row, int chunk) {
    return row * D * 2 + (chunk ^ (D % 64 == 0 ? row & 7 : row >> 1 & 3)) * 16;
  };
  const auto copy = [&](unsigned to, const uint16_t* rows, int count, int most) {
    for (int n = threadIdx.x; n < most * chunks; n += 128) {
      const int row = n / chunks, chunk = n % chunks;
      copy16(to + place(row, chunk), rows + static_cast<size_t>(min(row, count - 1)) * D + chunk * 8, row < count);
    }
  };
  copy(room, reinterpret_cast<const uint16_t*>(keys) + (static_cast<size_t>(offset[h]) + first) * D, here, tile_keys);
  commit_copies();
  await_copies<0>();
  __syncthreads();
  unsigned key[D / 16][TILES][4];
#pragma unroll
  for (int step = 0; step < D / 16; step++) {
#pragma unroll
    for (int m = 0; m < TILES; m++)
      load_matrices(key[step][m], room + place((warp() * TILES + m) * 16 + (lane() & 15), 2 * step + (lane() >> 4)));
  }
  __syncthreads();

  const int count = tokens - begin, tiles = (count + tile_queries - 1) / tile_queries, all = tiles * share;
  /** A tile of queries of one head. It is incremented, because a division would be slow. */
  struct item {
    int tile, head;
    __device__ void next(int tiles) {
      if (++tile == tiles) tile = 0, head++;
    }
  };
  item filled{0, head}, loaded{0, head}, now{0, head};
  const auto fill = [&](int turn) {
    const int tile = filled.tile;
    const size_t at = static_cast<size_t>(filled.head) * (tokens - from) + begin - from + tile * tile_queries;
    filled.next(tiles);
    copy(room + turn % ring * stage_bytes, queries + at * D, min(tile_queries, count - tile * tile_queries),
         tile_queries);
  };
  // The log-sum-exps of the queries of this lane; infinity if there is no such query.
  float level[tile_queries / 8][2], next[tile_queries / 8][2];
  const auto load = [&] {
    const float* row = lse + static_cast<size_t>(loaded.head) * tokens;
#pragma unroll
    for (int eight = 0; eight < tile_queries / 8; eight++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int at = begin + loaded.tile * tile_queries + eight * 8 + lane() % 4 * 2 + i;
        next[eight][i] = at < tokens ? row[at] * log2_e : infinity;
      }
    }
    loaded.next(tiles);
  };
#pragma unroll
  for (int turn = 0; turn < ring - 1; turn++) {
    if (turn < all) fill(turn);
    commit_copies();
  }
  load();
  float sum[TILES][2];
#pragma unroll
  for (int m = 0; m < TILES; m++) sum[m][0] = sum[m][1] = 0.0f;
  const float factor = softcap > 0.0f ? 2.0f * log2_e * scale / softcap : scale * log2_e, cap = softcap * log2_e;
  for (int turn = 0; turn < all; turn++, now.next(tiles)) {
    await_copies<ring - 2>();
    __syncthreads();
    if (turn + ring - 1 < all) fill(turn + ring - 1);
    commit_copies();
#pragma unroll
    for (int n = 0; n < tile_queries / 8; n++) level[n][0] = next[n][0], level[n][1] = next[n][1];
    if (turn + 1 < all) load();
    const unsigned stage = room + turn % ring * stage_bytes;
    float x[TILES][tile_queries / 8][4];
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
      for (int n = 0; n < tile_queries / 8; n++) x[m][n][0] = x[m][n][1] = x[m][n][2] = x[m][n][3] = 0.0f;
    }
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
#pragma unroll
      for (int n = 0; n < tile_queries / 16; n++) {
        unsigned b[4];
        load_matrices(b, stage + place(n * 16 + (lane() & 7) + (lane() >> 4) * 8, 2 * step + (lane() >> 3 & 1)));
#pragma unroll
        for (int m = 0; m < TILES; m++) {
          multiply(x[m][2 * n], key[step][m], b[0], b[1], T{});
          multiply(x[m][2 * n + 1], key[step][m], b[2], b[3], T{});
        }
      }
    }
    // Set if a query of the tile does not see every key of the block.
    const bool partial = begin + now.tile * tile_queries < first + tile_keys - 1 - past;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
      for (int n = 0; n < tile_queries / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float y = x[m][n][i] * factor;
          // tanh(x) = 1 - 2 / (1 + exp(2 x))
          if (softcap > 0.0f) y = cap - __fdividef(2.0f * cap, 1.0f + power_of_2(y));
          y = power_of_2(y - level[n][i % 2]);
          if (partial) {
            const int row = first + (warp() * TILES + m) * 16 + i / 2 * 8 + lane() / 4;
            if (begin + now.tile * tile_queries + n * 8 + lane() % 4 * 2 + i % 2 < row - past) y = 0.0f;
          }
          sum[m][i / 2] += y;
        }
      }
    }
    if (now.tile + 1 < tiles) continue;
    float* to = mass + static_cast<size_t>(now.head) * capacity + first;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        float total = sum[m][half];
        total += __shfl_xor_sync(all_lanes, total, 1);
        total += __shfl_xor_sync(all_lanes, total, 2);
        const int row = (warp() * TILES + m) * 16 + half * 8 + lane() / 4;
        if (lane() % 4 == 0 && row < here) to[row] += total;
        sum[m][half] = 0.0f;
      }
    }
  }
}

/** Rounds the queries from `from` on, eight numbers per thread; grid (numbers of a head, heads). */
template <typename T>
__device__ void watch_round(const float* qkv, uint4* to, int tokens, int query_heads, int kv_heads, int head_size,
                            int from) {
  const int eights = head_size / 8, i = blockIdx.x * blockDim.x + threadIdx.x, count = tokens - from, head = blockIdx.y,
            s = head / query_heads;
  if (i >= count * eights) return;
  const size_t token = static_cast<size_t>(s) * tokens + from + i / eights;
  float numbers[8];
  load8(qkv + (token * (query_heads + 2 * kv_heads) + head % query_heads) * head_size + i % eights * 8, numbers);
  to[static_cast<size_t>(head) * count * eights + i] = pack8<T>(numbers);
}
KERNEL watch_round_f16(const float* qkv, uint4* to, int tokens, int query_heads, int kv_heads, int head_size,
                       int from) {
  begin();
  watch_round<f16>(qkv, to, tokens, query_heads, kv_heads, head_size, from);
}
KERNEL watch_round_bf16(const float* qkv, uint4* to, int tokens, int query_heads, int kv_heads, int head_size,
                        int from) {
  begin();
  watch_round<bf16>(qkv, to, tokens, query_heads, kv_heads, head_size, from);
}

#define WATCH_TILE(NAME, TYPE, D, TILES)                                                                       \
  extern "C" __global__ void __launch_bounds__(128, 3)                                                         \
      watch_tile_##NAME##_##D(const uint16_t* queries, const TYPE* keys, const float* lse, const int* offset,  \
                              const int* length, const int* ended, float* mass, int tokens, int query_heads,   \
                              int kv_heads, int capacity, int from, int share, float scale, float softcap) {   \
    begin();                                                                                                   \
    watch_tile<TYPE, D, TILES>(queries, keys, lse, offset, length, ended, mass, tokens, query_heads, kv_heads, \
                               capacity, from, share, scale, softcap);                                         \
  }
#define WATCH_TILES(NAME, TYPE) \
  WATCH_TILE(NAME, TYPE, 64, 2) \
  WATCH_TILE(NAME, TYPE, 96, 2) WATCH_TILE(NAME, TYPE, 128, 2) WATCH_TILE(NAME, TYPE, 256, 1)
WATCH_TILES(f16, f16)
WATCH_TILES(bf16, bf16)
