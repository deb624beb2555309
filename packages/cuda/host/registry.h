// The kernels that scripts/host.mjs compiled, by name, with their arguments unpacked from the bytes of a launch.
#pragma once
#include <cstring>
#include <tuple>
#include <vector>

#include "block.h"

namespace host {

/** Binds a kernel to its arguments: numbers and addresses at their natural alignment. */
using Bind = std::function<void()> (*)(const uint8_t* arguments, size_t bytes);
struct Kernel {
  const char* name;
  Bind bind;
  char *sharedStart, *sharedEnd;
};
std::vector<Kernel>& kernels();

template <typename T>
T take(const uint8_t* arguments, size_t bytes, size_t& at) {
  at = (at + alignof(T) - 1) / alignof(T) * alignof(T);
  if (at + sizeof(T) > bytes) throw KernelError("a launch has too few arguments");
  T value;
  std::memcpy(&value, arguments + at, sizeof value);
  at += sizeof value;
  return value;
}

template <auto F>
struct Binder;
template <typename... A, void (*F)(A...)>
struct Binder<F> {
  static std::function<void()> bind(const uint8_t* arguments, size_t bytes) {
    size_t at = 0;
    const std::tuple<A...> values{take<A>(arguments, bytes, at)...};
    if (at != bytes) throw KernelError("a launch has too many arguments");
    return [values] { std::apply(F, values); };
  }
};

struct Register {
  Register(std::initializer_list<Kernel> list) { kernels().insert(kernels().end(), list); }
};

}  // namespace host
