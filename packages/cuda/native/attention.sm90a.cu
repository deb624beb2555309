// attention for compute capability 9.0: `attention_hopper_*_D` (FlashAttention-3, arXiv 2407.08608). A block takes 128
// queries of one head. Two warpgroups compute 64 queries each; four warps only copy, two of them rows of K and two rows
// of V, through two stages of 128 rows. While the tensor cores of a warpgroup multiply weights with V and queries with
// the next K, the warpgroup exponentiates. Queries and softmax weights are rounded to the 16 bits of the rows. Grid
// (queries, heads). In machine code for other devices these kernels are empty.
#include "warpgroup.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr int queries = 128, tile_keys = 128, stages = 2, consumers = 256;

/** Barriers of each stage of K, then of V: `full` opens once it is filled, `empty` once it has been read. */
struct barriers {
  unsigned at;
  __device__ unsigned full(int values, int stage) const { return at + (values * stages + stage) * 16; }
  __device__ unsigned empty(int values, int stage) const { return full(values, stage) + 8; }
};

/** Copies tiles of rows; run by two warps. */
template <int D>
__device__ void copy_tiles(const uint16_t* rows, unsigned room, const barriers& barrier, int values, int start,
                           int end) {
  constexpr int chunks = D / 8, step = 64 / chunks;
  const int thread = threadIdx.x % 64, chunk = thread % chunks, row = thread / chunks;
  int tile = 0;
  for (int first = start; first < end; first += tile_keys, tile++) {
    const int stage = tile % stages;
    await(barrier.empty(values, stage), (tile / stages & 1) ^ 1);
    const unsigned to = room + stage * tile_keys * D * 2;
    const uint16_t* from = rows + (static_cast<size_t>(first) + row) * D + chunk * 8;
    const int left = end - first - row;
#pragma unroll 8
    for (int i = 0; i < tile_keys / step; i++) {
      copy16(to + place_in_panels(tile_keys, row + i * step, chunk), i * step < left ? from + i * step * D : rows,
             i * step < left);
    }
    arrive_after_copies(barrier.full(values, stage));
  }
}

/** Softmax state of the 64 queries of a warpgroup; each lane holds two queries. */
struct softmax {
  float greatest[2], sum[2], shrink[2];
  float factor, cap;
  int sees, reach;

  /**
   * Replaces logits by softmax weights. `first`: the first row of the tile; `partial`: some query does not see every
   * row.
   */
  __device__ void weigh(float (&x)[tile_keys / 2], int first, bool partial) {
    constexpr float log2_e = 1.44269504f;
    if (cap > 0.0f) {
      // tanh(x) = 1 - 2 / (1 + exp(2 x))
#pragma unroll
      for (int i = 0; i < tile_keys / 2; i++) x[i] = cap - __fdividef(2.0f * cap, 1.0f + power_of_2(x[i] * factor));
    }
    if (partial) {
#pragma unroll
      for (int i = 0; i < tile_keys / 2; i++) {
        const int j = first + i / 4 * 8 + lane() % 4 * 2 + i % 2, last = sees + i / 2 % 2 * 8;
        if (j > last || j <= last - reach) x[i] = -infinity;
      }
    }
    const float by = cap > 0.0f ? log2_e : factor;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float above = greatest[half];
#pragma unroll
      for (int i = 2 * half; i < tile_keys / 2; i += 4) above = fmaxf(above, fmaxf(x[i], x[i + 1]));
      above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 1));
      above = fmaxf(above, __shfl_xor_sync(all_lanes, above, 2));
      // If no row has been seen yet, subtract 0: -infinity minus -infinity would be NaN.
      const float level = above == -infinity ? 0.0f : above * by;
      shrink[half] = power_of_2(greatest[half] * by - level);
      greatest[half] = above;
      float total = 0.0f;
#pragma unroll
      for (int i = 2 * half; i < tile_keys / 2; i += 4) {
        x[i] = power_of_2(x[i] * by - level);
        x[i + 1] = power_of_2(x[i + 1] * by - level);
        total += x[i] + x[i + 1];
      }
      sum[half] = sum[half] * shrink[half] + total;
    }
  }
};

template <typename T, int D>
__device__ void attend(const float* qkv, char* query_room, unsigned query_at, unsigned key_room, unsigned value_room,
                       const barriers& barrier, float* out, float* lse, int tokens, int query_heads, int kv_heads,
                       int head, int past, int first, int start, int end, int window, float scale, float softcap) {
  constexpr float log2_e = 1.44269504f, ln_2 = 0.693147181f;
  constexpr int tile_bytes = tile_keys * D * 2, panel_bytes = tile_keys * 128;
  const int group = threadIdx.x / 128, own = first + group * 64;
  for (int i = threadIdx.x % 128; i < 64 * (D / 8); i += 128) {
    const int row = i / (D / 8), chunk = i % (D / 8);
    float q[8];
    load8(qkv + (static_cast<size_t>(min(own + row, tokens - 1)) * (query_heads + 2 * kv_heads) + head) * D + chunk * 8,
          q);
    *reinterpret_cast<uint4*>(query_room + group * 64 * D * 2 + place_in_panels(64, row, chunk)) = pack8<T>(q);
  }
  show_tensor_cores();
  asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
  const unsigned query = query_at + group * 64 * D * 2;

  softmax soft;
  soft.greatest[0] = soft.greatest[1] = -infinity;
  soft.sum[0] = soft.sum[1] = 0.0f;
  soft.cap = softcap;
  soft.factor = softcap > 0.0f ? 2.0f * log2_e * scale / softcap : scale * log2_e;
  soft.reach = window > 0 ? window : 0x7fffffff;
  soft.sees = past + own + warp() % 4 * 16 + lane() / 4;
  const int sees_least = past + own, sees_most = past + min(own + 63, tokens - 1);
  float result[D / 2], x[tile_keys / 2];
  unsigned weights[tile_keys / 16][4];
#pragma unroll
  for (int i = 0; i < D / 2; i++) result[i] = 0.0f;

  const auto score = [&](int tile) {
    const int stage = tile % stages;
    await(barrier.full(0, stage), tile / stages & 1);
    show_tensor_cores();
    begin_products();
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
      products(x, panels(query + step / 4 * 64 * 128 + step % 4 * 32),
               panels(key_room + stage * tile_bytes + step / 4 * panel_bytes + step % 4 * 32), step > 0, T{});
    }
    commit_products();
  };
  const auto add_values = [&](int tile) {
    const int stage = tile % stages;
    await(barrier.full(1, stage), tile / stages & 1);
    show_tensor_cores();
    begin_products();
#pragma unroll
    for (int step = 0; step < tile_keys / 16; step++) {
      products(result, weights[step], panels(value_room + stage * tile_bytes + step * 16 * 128, panel_bytes), T{});
    }
    commit_products();
  };
  const auto leave = [&](int values, int tile) {
    if (lane() == 0) arrive(barrier.empty(values, tile % stages));
  };
  const auto weigh = [&](int tile) {
    const int at = start + tile * tile_keys;
    soft.weigh(x, at, at + tile_keys > sees_least + 1 || at <= sees_most - soft.reach);
  };
  const auto round = [&] {
#pragma unroll
    for (int step = 0; step < tile_keys / 16; step++) {
#pragma unroll
      for (int i = 0; i < 4; i++) weights[step][i] = pack2(x[step * 8 + 2 * i], x[step * 8 + 2 * i + 1], T{});
    }
  };

  const int tiles = (end - start + tile_keys - 1) / tile_keys;
  score(0);
  await_products<0>();
  settle(x);
  leave(0, 0);
  weigh(0);
  round();
  for (int tile = 1; tile < tiles; tile++) {
    score(tile);
    add_values(tile - 1);
    await_products<1>();
    settle(x);
    leave(0, tile);
    weigh(tile);
    await_products<0>();
    settle(result);
    leave(1, tile - 1);
#pragma unroll
    for (int i = 0; i < D / 2; i++) result[i] *= soft.shrink[i / 2 % 2];
    round();
  }
  add_values(tiles - 1);
  await_products<0>();
  settle(result);

#pragma unroll
  for (int half = 0; half < 2; half++) {
    float total = soft.sum[half];
    total += __shfl_xor_sync(all_lanes, total, 1);
    total += __shfl_xor_sync(all_lanes, total, 2);
    const int i = own + warp() % 4 * 16 + half * 8 + lane() / 4;
    if (i >= tokens) continue;
    const float share = 1.0f / total;
    float* row = out + (static_cast<size_t>(i) * query_heads + head) * D + lane() % 4 * 2;
#pragma unroll
    for (int d = 0; d < D / 8; d++)
      *reinterpret_cast<float2*>(row + d * 8) = {result[4 * d + 2 * half] * share,
                                                 result[4 * d + 2 * half + 1] * share};
    if (lane() % 4 == 0) {
      lse[static_cast<size_t>(head) * tokens + i] =
          soft.greatest[half] * (softcap > 0.0f ? 1.0f : soft.factor * ln_2) + logf(total);
    }
  }
}

template <typename T, int D>
__device__ void attention_hopper(const float* qkv, const T* keys, const T* values, const int* offset, const int* length,
                                 float* out, float* lse, int tokens, int query_heads, int kv_heads, int window,
                                 float scale, float softcap) {
  constexpr int tile_bytes = tile_keys * D * 2, query_bytes = queries * D * 2;
  extern __shared__ __align__(1024) char room[];
  const unsigned unaligned = shared_address(room), base = (unaligned + 1023) & ~1023u;
  char* const query_room = room + (base - unaligned);
  const unsigned key_room = base + query_bytes, value_room = key_room + stages * tile_bytes;
  const barriers barrier{value_room + stages * tile_bytes};
  if (threadIdx.x == 0) {
    for (int values = 0; values < 2; values++) {
      for (int stage = 0; stage < stages; stage++) {
        make_barrier(barrier.full(values, stage), 64);
        make_barrier(barrier.empty(values, stage), consumers / 32);
      }
    }
  }
  __syncthreads();
  // Blocks that see the most rows start first.
  const int first = (gridDim.x - 1 - blockIdx.x) * queries, head = blockIdx.y, h = head / (query_heads / kv_heads);
  const int past = length[h], last = min(first + queries, tokens) - 1, end = past + last + 1;
  const int start = window > 0 ? max(0, past + first - window + 1) : 0;
  if (threadIdx.x >= consumers) {
    fewer_registers<40>();
    const bool of_values = threadIdx.x >= consumers + 64;
    const uint16_t* rows =
        reinterpret_cast<const uint16_t*>(of_values ? values : keys) + static_cast<size_t>(offset[h]) * D;
    copy_tiles<D>(rows, of_values ? value_room : key_room, barrier, of_values, start, end);
  } else {
    more_registers<232>();
    attend<T, D>(qkv, query_room, base, key_room, value_room, barrier, out, lse, tokens, query_heads, kv_heads, head,
                 past, first, start, end, window, scale, softcap);
  }
}
#define ATTEND(TYPE, D)                                                                                                \
  attention_hopper<TYPE, D>(qkv, keys, values, offset, length, out, lse, tokens, query_heads, kv_heads, window, scale, \
                            softcap)
#else
#define ATTEND(TYPE, D)
#endif

#define ATTENTION_HOPPER(NAME, TYPE, D)                                                                         \
  extern "C" __global__ void __launch_bounds__(384, 1) attention_hopper_##NAME##_##D(                           \
      const float* qkv, const TYPE* keys, const TYPE* values, const int* offset, const int* length, float* out, \
      float* lse, int tokens, int query_heads, int kv_heads, int window, float scale, float softcap) {          \
    begin();                                                                                                    \
    ATTEND(TYPE, D);                                                                                            \
  }
ATTENTION_HOPPER(f16, f16, 64)
ATTENTION_HOPPER(f16, f16, 128)
ATTENTION_HOPPER(bf16, bf16, 64)
ATTENTION_HOPPER(bf16, bf16, 128)
