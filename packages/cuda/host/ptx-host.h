// The functions of native/ptx.cuh in C++: the same results from the same lanes (PTX ISA, sections on ldmatrix and mma).
#pragma once

/** Shared memory is mapped below 4 GiB, so that its addresses fit into 32 bits, as they do on a device. */
inline unsigned shared_address(const void* at) {
  return host::checkShared(at), static_cast<unsigned>(reinterpret_cast<uintptr_t>(at));
}
template <typename T>
T* shared_pointer(unsigned at) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(at));
}

/** Asynchronous copies become visible when they are awaited in one half of the blocks, at once in the other half. */
inline void copy16(unsigned to, const void* from, bool there = true) { host::startCopy(to, there ? from : nullptr); }
inline void commit_copies() { host::commitCopies(); }
template <int LEFT>
inline void await_copies() {
  host::awaitCopies(LEFT);
}

inline float power_of_2(float x) {
  const float y = exp2f(x);
  return y < FLT_MIN ? 0.0f : y;
}

inline unsigned word_at(unsigned shared) { return *shared_pointer<unsigned>(shared); }

/** Lane l receives columns l % 4 * 2 and the next of row l / 4 of each matrix. */
inline void load_matrices(unsigned (&to)[4], unsigned from) {
  const uint64_t own = from;
  const uint64_t* all = host::exchange(host::allLanes, &own, 1);
  const int lane = host::current->lane;
  for (int m = 0; m < 4; m++) {
    const unsigned row = static_cast<unsigned>(all[(m * 8 + lane / 4) * host::exchangeWords]);
    to[m] = *shared_pointer<unsigned>(row + lane % 4 * 4);
  }
}
/** Lane l receives rows l % 4 * 2 and the next of column l / 4 of each matrix. */
inline void load_transposed(unsigned (&to)[4], unsigned from) {
  const uint64_t own = from;
  const uint64_t* all = host::exchange(host::allLanes, &own, 1);
  const int lane = host::current->lane;
  for (int m = 0; m < 4; m++) {
    unsigned pair[2];
    for (int i = 0; i < 2; i++) {
      const unsigned row = static_cast<unsigned>(all[(m * 8 + lane % 4 * 2 + i) * host::exchangeWords]);
      pair[i] = *shared_pointer<uint16_t>(row + lane / 4 * 2);
    }
    to[m] = pair[0] | pair[1] << 16;
  }
}

/** Lane l holds of a rows l / 4 and l / 4 + 8, of b column l / 4, each at places l % 4 * 2, the next, and 8 further on.
 */
template <typename T>
inline void multiply(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, T) {
  const uint64_t own[3] = {a[0] | static_cast<uint64_t>(a[1]) << 32, a[2] | static_cast<uint64_t>(a[3]) << 32,
                           b0 | static_cast<uint64_t>(b1) << 32};
  const uint64_t* all = host::exchange(host::allLanes, own, 3);
  const int lane = host::current->lane;
  const auto number = [&](int lane, int word, int place) {
    const uint64_t bits = all[lane * host::exchangeWords + word / 2] >> (word % 2 * 32 + place % 2 * 16);
    return to_f32(T{static_cast<uint16_t>(bits)});
  };
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4, half = i / 2, column = lane % 4 * 2 + i % 2;
    float sum = 0.0f;
    for (int k = 0; k < 16; k++) {
      const int place = k % 8;
      sum += number(row * 4 + place / 2, half + k / 8 * 2, place) * number(column * 4 + place / 2, 4 + k / 8, place);
    }
    sums[i] += sum;
  }
}
