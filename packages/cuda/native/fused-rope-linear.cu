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

  __device__ int head() const { return blockIdx.x * 4 / head_size; }
  __device__ int number() const { return blockIdx.x * 4 % head_size / 2; }
  __device__ int place(int i) const { return number() + i % 2 + i / 2 * (head_size / 2); }
  __device__ int out(int i) const { return head() * head_size + place(i); }

  template <typename T>
  __device__ void store(void* rows, size_t row, const float (&x)[few_outs]) const {
    for (int i = 0; i < few_outs; i++) static_cast<T*>(rows)[row * head_size + place(i)] = from_f32<T>(x[i]);
  }
  __device__ void operator()(int s, const float (&sums)[few_outs]) const {
    float x[few_outs];
    for (int i = 0; i < few_outs; i++) x[i] = sums[i] + (bias ? bias[out(i)] : 0.0f);
    const bool is_query = head() < query_heads, is_key = !is_query && head() < query_heads + kv_heads;
    const int kv_head = is_query ? head() / (query_heads / kv_heads) : (head() - query_heads) % kv_heads;
    const int h = s * kv_heads + kv_head;
    if (is_query || (is_key && rotates_keys)) {
      const int position = clamp(base[h], 0, table_rows - 1);
      const float* angles = table + static_cast<size_t>(position) * head_size + number();
      for (int i = 0; i < 2; i++) {
        const float cosine = angles[i], sine = angles[head_size / 2 + i], a = x[i], b = x[i + 2];
        x[i] = a * cosine - b * sine;
        x[i + 2] = b * cosine + a * sine;
      }
    }
    float* token = qkv + static_cast<size_t>(s) * (query_heads + 2 * kv_heads) * head_size;
    for (int i = 0; i < few_outs; i++) token[out(i)] = x[i];
    if (is_query || ended[s] != 0) return;
    const size_t row = static_cast<size_t>(offset[h]) + length[h];
    void* rows = is_key ? keys : values;
    if (kv == 0)
      store<float>(rows, row, x);
    else if (kv == 1)
      store<f16>(rows, row, x);
    else
      store<bf16>(rows, row, x);
    if (!is_key || number() != 0) return;
    for (int plane = 0; plane < planes; plane++)
      cells[static_cast<size_t>(plane) * arena_rows + row] = plane == 0 ? seen[h] : plane == 1 && ranks ? length[h] : 0;
  }
};

#define ROPE_LINEAR(NAME, TYPE, R)                                                                                   \
  extern "C" __global__ void __launch_bounds__(256) rope_linear_##NAME##_##R(                                        \
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
