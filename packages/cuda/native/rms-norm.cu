// rmsNorm: out[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) x weight, arXiv 1910.07467. One block of up to 1024 threads per
// row.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(1024)
    rms_norm(const float* x, const float* weight, float* out, int width, float epsilon) {
  begin();
  __shared__ float room[33];
  const size_t start = static_cast<size_t>(blockIdx.x) * width;
  float squares = 0.0f;
  for (int i = threadIdx.x; i < width; i += blockDim.x) squares += x[start + i] * x[start + i];
  const float scale = 1.0f / sqrtf(block_sum(squares, room) / static_cast<float>(width) + epsilon);
  for (int i = threadIdx.x; i < width; i += blockDim.x) out[start + i] = x[start + i] * scale * weight[i];
}
