#include "block.h"

#include <sys/mman.h>

#include <cstring>
#include <deque>
#include <exception>
#include <utility>
#include <vector>

// Saves the callee-saved registers and the stack pointer, and continues on another stack (System V ABI, x86-64).
extern "C" void host_switch(void** save, void* to);
asm(R"(
.text
.globl host_switch
.type host_switch, @function
host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace host {

Fiber* current = nullptr;
Block block;

namespace {

constexpr size_t stackBytes = 128 * 1024, mostThreads = 1024, mostShared = 256 * 1024;

struct Copy {
  unsigned to;
  const void* from;
};
struct Warp;
struct State : Fiber {
  void* stack = nullptr;
  bool done = false;
  /** While a thread waits, the counter that must change first. */
  const unsigned* awaited = nullptr;
  unsigned seen = 0;
  std::deque<std::vector<Copy>> copies;
  std::vector<Copy> open;
};
struct Barrier {
  unsigned generation = 0;
  int arrived = 0;
};
struct Warp {
  Barrier barrier;
  unsigned alive = 0, mask = 0;
  uint64_t words[2][32 * exchangeWords];
};

char* const stacks = [] {
  void* at = mmap(nullptr, stackBytes * mostThreads, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return static_cast<char*>(at);
}();
char* const shared = [] {
  void* at = mmap(nullptr, mostShared, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  return static_cast<char*>(at);
}();
std::vector<State> fibers(mostThreads);
Warp warps[mostThreads / 32];
Barrier all;
int alive = 0;
void* scheduler = nullptr;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;

State& self() { return static_cast<State&>(*current); }
void leave() { host_switch(&self().stack, scheduler); }
void await(const Barrier& barrier, unsigned seen) {
  State& own = self();
  own.awaited = &barrier.generation, own.seen = seen;
  while (barrier.generation == seen) leave();
  own.awaited = nullptr;
}
void open(Barrier& barrier) { barrier.arrived = 0, barrier.generation++; }
void openIfComplete(Warp& warp) {
  const unsigned expected = warp.mask & warp.alive;
  if (warp.barrier.arrived > 0 && warp.barrier.arrived == __builtin_popcount(expected)) open(warp.barrier);
}
void perform(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    void* to = reinterpret_cast<void*>(static_cast<uintptr_t>(copy.to));
    if (copy.from)
      std::memcpy(to, copy.from, 16);
    else
      std::memset(to, 0, 16);
  }
}

void main() {
  State& own = self();
  try {
    (*body)();
  } catch (...) {
    failure = std::current_exception();
  }
  for (const auto& group : own.copies) perform(group);
  perform(own.open);
  own.copies.clear(), own.open.clear();
  own.done = true;
  Warp& warp = warps[own.warp];
  warp.alive &= ~(1u << own.lane);
  openIfComplete(warp);
  if (--alive > 0 && all.arrived == alive) open(all);
  leave();
}

void start(State& fiber, int i, unsigned threads) {
  fiber.thread = {static_cast<unsigned>(i) % threads, 0, 0};
  fiber.lane = i % 32, fiber.warp = i / 32;
  fiber.done = false, fiber.awaited = nullptr;
  // The frame that host_switch pops: six registers, then the address of `main`, with the stack aligned as after a call.
  void** top = reinterpret_cast<void**>(stacks + (i + 1) * stackBytes) - 1;
  *--top = reinterpret_cast<void*>(main);
  for (int r = 0; r < 6; r++) *--top = nullptr;
  fiber.stack = top;
}

/** Runs each thread of a warp until all of them wait for other warps. Returns whether one of them ran. */
bool runWarp(int warp, int threads) {
  bool ran = false;
  for (bool again = true; again;) {
    again = false;
    for (int l = 0; l < 32; l++) {
      const int i = warp * 32 + (block.reversed ? 31 - l : l);
      if (i >= threads) continue;
      State& fiber = fibers[i];
      if (fiber.done || (fiber.awaited && *fiber.awaited == fiber.seen)) continue;
      current = &fiber;
      host_switch(&scheduler, fiber.stack);
      ran = again = true;
    }
  }
  return ran;
}

void runBlock(const Launch& launch) {
  const int threads = launch.threads, count = (threads + 31) / 32;
  // Garbage: NaN as f32, f16 and bf16.
  std::memset(shared, 0xff, launch.sharedBytes);
  std::memset(launch.sharedStart, 0xff, launch.sharedEnd - launch.sharedStart);
  all = {}, alive = threads;
  for (int w = 0; w < count; w++) {
    warps[w].barrier = {}, warps[w].mask = 0;
    warps[w].alive = threads - 32 * w >= 32 ? allLanes : (1u << (threads - 32 * w)) - 1;
  }
  for (int i = 0; i < threads; i++) start(fibers[i], i, threads);
  while (alive > 0) {
    bool ran = false;
    for (int w = 0; w < count; w++) ran |= runWarp(block.reversed ? count - 1 - w : w, threads);
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    if (!ran) throw KernelError("the threads of a block wait for each other");
  }
}

}  // namespace

void run(const Launch& launch) {
  if (launch.threads == 0 || launch.threads > mostThreads || launch.sharedBytes > mostShared)
    throw KernelError("a launch is too large");
  body = &launch.body;
  block.grid = launch.grid, block.threads = {launch.threads, 1, 1};
  unsigned number = 0;
  for (unsigned z = 0; z < launch.grid.z; z++) {
    for (unsigned y = 0; y < launch.grid.y; y++) {
      for (unsigned x = 0; x < launch.grid.x; x++) {
        block.index = {x, y, z};
        block.reversed = number++ % 2 == 1;
        runBlock(launch);
      }
    }
  }
}

void syncBlock() {
  const unsigned seen = all.generation;
  if (++all.arrived == alive)
    open(all);
  else
    await(all, seen);
}

void syncWarp(unsigned mask) {
  Warp& warp = warps[self().warp];
  const unsigned seen = warp.barrier.generation;
  if (warp.barrier.arrived > 0 && warp.mask != mask) throw KernelError("lanes of a warp wait with different masks");
  warp.mask = mask, warp.barrier.arrived++;
  openIfComplete(warp);
  if (warp.barrier.generation == seen) await(warp.barrier, seen);
}

const uint64_t* exchange(unsigned mask, const uint64_t* words, int count) {
  Warp& warp = warps[self().warp];
  // Two sets in turn: no lane writes a set before all have read it and arrived at the exchange between.
  uint64_t* set = warp.words[warp.barrier.generation % 2];
  for (int i = 0; i < count; i++) set[self().lane * exchangeWords + i] = words[i];
  syncWarp(mask);
  return set;
}

bool takesPart(int lane) { return warps[self().warp].alive >> lane & 1; }

void* dynamicShared() { return shared; }
void checkShared(const void* at) {
  if (at < shared || at >= shared + mostShared) throw KernelError("an address is not in dynamic shared memory");
}

void startCopy(unsigned to, const void* from) {
  checkShared(reinterpret_cast<void*>(static_cast<uintptr_t>(to)));
  if (to % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
    throw KernelError("a copy of 16 bytes is not aligned");
  if (block.reversed)
    perform({{to, from}});
  else
    self().open.push_back({to, from});
}
void commitCopies() { self().copies.push_back(std::move(self().open)), self().open.clear(); }
void awaitCopies(int left) {
  auto& groups = self().copies;
  for (; groups.size() > static_cast<size_t>(left); groups.pop_front()) perform(groups.front());
}

}  // namespace host
