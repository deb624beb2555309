// rmsNorm, linear, rope and append in one launch, for one token of each sequence: `rope_linear_*_R` for up to R
// sequences. All numbers of a head are rotated. A block computes numbers j and j + 1 of a head and their partners, half
// a head further on; grid (outs / 4, sequences / R). See linear-few.cuh.
#include "linear-few.cuh"

struct rotate_and_append {
  const float *bias, *table;
  float* qkv;
  void *keys, *values;
  int* cells;
  const int *base, *offset, *length, *seen, *ended;
  /** kv: 0 for rows of f32, 1 for f16, 2 for bf16. */
  int query_heads, kv_heads, head_size, table_rows, rotates_keys, arena_rows, planes, kv, ranks;

  __device__ int out(int i) const {
    const int head = blockIdx.x * 4 / head_size, number = blockIdx.x * 4 % head_size / 2;
    return head * head_size + number + i % 2 + i / 2 * (head_size / 2);
  }

  /** The place of a block's numbers, and what sequence `s` needs to rotate and append them. */
  struct ready {
    int head, number;
    bool is_query, is_key, rotates, appends;
    size_t row;
    int rank, position;
    float cosine[2], sine[2];
  };
  __device__ ready prepare(int s, int sequences) const {
    ready at;
    at.head = blockIdx.x * 4 / head_size, at.number = blockIdx.x * 4 % head_size / 2;
    at.is_query = at.head < query_heads, at.is_key = !at.is_query && at.head < query_heads + kv_heads;
    s = min(s, sequences - 1);
    const int h =
        s * kv_heads + (at.is_query ? at.head / (query_heads / kv_heads) : (at.head - query_heads) % kv_heads);
    at.rotates = at.is_query || (at.is_key && rotates_keys);
    if (at.rotates) {
      const float* angles = table + static_cast<size_t>(clamp(base[h], 0, table_rows - 1)) * head_size + at.number;
#pragma unroll
      for (int i = 0; i < 2; i++) at.cosine[i] = angles[i], at.sine[i] = angles[head_size / 2 + i];
    }
    at.appends = !at.is_query && ended[s] == 0;
    at.rank = length[h], at.position = seen[h];
    at.row = static_cast<size_t>(offset[h]) + at.rank;
    return at;
  }

  template <typename T>
  __device__ void store(void* rows, const ready& at, const float (&x)[few_outs]) const {
    T* to = static_cast<T*>(rows) + at.row * head_size + at.number;
#pragma unroll
    for (int i = 0; i < few_outs; i++) to[i % 2 + i / 2 * (head_size / 2)] = from_f32<T>(x[i]);
  }
  __device__ void operator()(int s, const float (&sums)[few_outs], const ready& at) const {
    const int first = at.head * head_size + at.number, half = head_size / 2;
    float x[few_outs];
#pragma unroll
    for (int i = 0; i < few_outs; i++) x[i] = sums[i] + (bias ? bias[first + i % 2 + i / 2 * half] : 0.0f);
    if (at.rotates) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const float a = x[i], b = x[i + 2];
        x[i] = a * at.cosine[i] - b * at.sine[i];
        x[i + 2] = b * at.cosine[i] + a * at.sine[i];
      }
    }
    float* token = qkv + static_cast<size_t>(s) * (query_heads + 2 * kv_heads) * head_size + first;
#pragma unroll
    for (int i = 0; i < few_outs; i++) token[i % 2 + i / 2 * half] = x[i];
    if (!at.appends) return;
    void* rows = at.is_key ? keys : values;
    if (kv == 0)
      store<float>(rows, at, x);
    else if (kv == 1)
      store<f16>(rows, at, x);
    else
      store<bf16>(rows, at, x);
    if (!at.is_key || at.number != 0) return;
    for (int plane = 0; plane < planes; plane++)
      cells[static_cast<size_t>(plane) * arena_rows + at.row] = plane == 0            ? at.position
                                                                : plane == 1 && ranks ? at.rank
                                                                                      : 0;
  }
};

#define ROPE_LINEAR(NAME, TYPE, R)                                                                                   \
  extern "C" __global__ void __launch_bounds__(256, (few_blocks<TYPE, R>)) rope_linear_##NAME##_##R(                 \
      const float* x, const float* gain, const void* weight, const float* bias, const float* table, float* qkv,      \
      void* keys, void* values, int* cells, const int* base, const int* offset, const int* length, const int* seen,  \
      const int* ended, int rows, int width, int query_heads, int kv_heads, int head_size, int table_rows,           \
      int rotates_keys, int arena_rows, int planes, int kv, int ranks, float epsilon) {                              \
    const rotate_and_append end = {bias,       table,        qkv,        keys,   values,      cells,    base,        \
                                   offset,     length,       seen,       ended,  query_heads, kv_heads, head_size,   \
                                   table_rows, rotates_keys, arena_rows, planes, kv,          ranks};                \
    linear_few<TYPE, R, true>(x, gain, epsilon, weight, end, rows, width, (query_heads + 2 * kv_heads) * head_size); \
  }
#define ROPE_LINEARS(NAME, TYPE) \
  ROPE_LINEAR(NAME, TYPE, 1) ROPE_LINEAR(NAME, TYPE, 2) ROPE_LINEAR(NAME, TYPE, 4) ROPE_LINEAR(NAME, TYPE, 8)
EACH_WEIGHT(ROPE_LINEARS)
