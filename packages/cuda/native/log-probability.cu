// logProbability: out[r] = logits[r, ids[r]] - log(sum(exp(logits[r]))). One block of 1024 threads per row, two passes.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(1024)
    log_probability(const float* logits, const int* ids, float* out, int vocabulary) {
  begin();
  __shared__ float room[33];
  const float* row = logits + static_cast<size_t>(blockIdx.x) * vocabulary;
  float greatest = -infinity;
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) greatest = fmaxf(greatest, row[i]);
  greatest = block_max(greatest, room);
  float sum = 0.0f;
  for (int i = threadIdx.x; i < vocabulary; i += blockDim.x) sum += expf(row[i] - greatest);
  sum = block_sum(sum, room);
  if (threadIdx.x != 0) return;
  const int id = ids[blockIdx.x];
  out[blockIdx.x] = id >= 0 && id < vocabulary ? row[id] - greatest - logf(sum) : -infinity;
}
