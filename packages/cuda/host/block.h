// Runs a block of threads on the host. Each thread is a fiber that runs until it waits for others. Warps and lanes run
// in ascending order in blocks of even number and in descending order in the others, so that a missing barrier shows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

namespace host {

constexpr unsigned allLanes = 0xffffffffu;
/** 64-bit words that a lane can pass to the others of its warp at a time. */
constexpr int exchangeWords = 3;

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
struct Fiber {
  Index thread;
  int lane = 0, warp = 0;
};
struct Block {
  Index index, threads, grid;
  /** Whether this block runs in descending order, with copies that are immediate. */
  bool reversed = false;
};

extern Fiber* current;
extern Block block;

struct Launch {
  Index grid;
  unsigned threads;
  size_t sharedBytes;
  /** The bounds of the static shared memory of the kernel's file. */
  char *sharedStart, *sharedEnd;
  std::function<void()> body;
};

/** A kernel that would hang, or that breaks a rule of the device. */
struct KernelError : std::runtime_error {
  using runtime_error::runtime_error;
};

/** Runs all blocks of a launch. Throws a KernelError. */
void run(const Launch& launch);

// Called by threads.
void syncBlock();
void syncWarp(unsigned mask);
/** Passes `count` words to the lanes of `mask` in this warp; returns all lanes' words, valid until the next exchange.
 */
const uint64_t* exchange(unsigned mask, const uint64_t* words, int count);
/** Whether a lane took part in the last exchange. */
bool takesPart(int lane);
void* dynamicShared();
void checkShared(const void* at);
void startCopy(unsigned to, const void* from);
void commitCopies();
void awaitCopies(int left);

}  // namespace host
