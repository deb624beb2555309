// embed: out[t] = scale x table[ids[t]]; an id outside the table reads row 0. One thread per number; grid (tokens,
// numbers).
#include "quant.cuh"

template <typename W>
__device__ void embed(const int* ids, const void* table, float* out, int vocabulary, int width, float scale) {
  const int i = blockIdx.y * blockDim.x + threadIdx.x;
  if (i >= width) return;
  const int id = ids[blockIdx.x];
  const size_t row = id >= 0 && id < vocabulary ? id : 0;
  const weights<W> all(table, vocabulary, width);
  out[static_cast<size_t>(blockIdx.x) * width + i] = scale * all.get(row * width + i);
}

#define EMBED(NAME, TYPE)                                                                                      \
  KERNEL embed_##NAME(const int* ids, const void* table, float* out, int vocabulary, int width, float scale) { \
    begin();                                                                                                   \
    embed<TYPE>(ids, table, out, vocabulary, width, scale);                                                    \
  }
EACH_WEIGHT(EMBED)
