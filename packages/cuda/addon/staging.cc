#include "staging.h"

#include <algorithm>

Staging::~Staging() {
  for (Part& part : parts_) {
    if (part.used) cuda_.eventDestroy(part.used);
    if (part.at) cuda_.memFreeHost(part.at);
  }
  for (PinnedBlock& block : blocks_) cuda_.memFreeHost(block.at);
}

CUresult Staging::write(CUdeviceptr target, const uint8_t* data, size_t bytes) {
  while (bytes > 0) {
    if (filled_ == partBytes) {
      if (CUresult error = cuda_.eventRecord(parts_[part_].used, stream_)) return error;
      parts_[part_].pending = true;
      part_ = (part_ + 1) % parts_.size();
      filled_ = 0;
    }
    Part& part = parts_[part_];
    if (part.at == nullptr) {
      if (CUresult error = cuda_.memHostAlloc(reinterpret_cast<void**>(&part.at), partBytes, 0)) return error;
      if (CUresult error = cuda_.eventCreate(&part.used, CU_EVENT_DISABLE_TIMING)) return error;
    }
    if (part.pending) {
      if (CUresult error = cuda_.eventSynchronize(part.used)) return error;
      part.pending = false;
    }
    const size_t now = std::min(bytes, partBytes - filled_);
    std::memcpy(part.at + filled_, data, now);
    if (CUresult error = cuda_.memcpyHtoDAsync(target, part.at + filled_, now, stream_)) return error;
    filled_ = std::min(partBytes, (filled_ + now + 15) / 16 * 16);
    target += now;
    data += now;
    bytes -= now;
  }
  return CUDA_SUCCESS;
}

CUresult Staging::take(size_t bytes, PinnedBlock& block) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = 0; i < blocks_.size(); i++) {
      if (blocks_[i].bytes < bytes || blocks_[i].bytes > std::max<size_t>(4 * bytes, 1 << 16)) continue;
      block = blocks_[i];
      kept_ -= block.bytes;
      blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(i));
      return CUDA_SUCCESS;
    }
  }
  size_t size = 4096;
  while (size < bytes) size *= 2;
  block.bytes = size;
  return cuda_.memHostAlloc(&block.at, size, 0);
}

void Staging::give(PinnedBlock block) {
  if (block.at == nullptr) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kept_ + block.bytes <= keepBytes) {
      kept_ += block.bytes;
      blocks_.push_back(block);
      return;
    }
  }
  cuda_.memFreeHost(block.at);
}
