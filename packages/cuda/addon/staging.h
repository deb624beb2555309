// Pinned host memory: a ring that writes pass through, and blocks that receive reads.
#pragma once
#include <array>
#include <cstring>
#include <mutex>
#include <vector>

#include "driver.h"

struct PinnedBlock {
  void* at = nullptr;
  size_t bytes = 0;
};

class Staging {
 public:
  Staging(const Driver& cuda, CUstream stream) : cuda_(cuda), stream_(stream) {}
  ~Staging();

  /** Copies `bytes` to the device through the ring; waits if the ring is full. */
  CUresult write(CUdeviceptr target, const uint8_t* data, size_t bytes);
  /** Takes a block of at least `bytes`, for a read. */
  CUresult take(size_t bytes, PinnedBlock& block);
  /** Returns a block; may be called from any thread. */
  void give(PinnedBlock block);

 private:
  struct Part {
    uint8_t* at = nullptr;
    CUevent used = nullptr;
    bool pending = false;
  };
  static constexpr size_t partBytes = 4u << 20;
  static constexpr size_t keepBytes = 64u << 20;

  const Driver& cuda_;
  CUstream stream_;
  std::array<Part, 4> parts_;
  size_t part_ = 0, filled_ = 0;
  std::mutex mutex_;
  std::vector<PinnedBlock> blocks_;
  size_t kept_ = 0;
};
