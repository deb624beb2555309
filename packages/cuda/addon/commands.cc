// What a device runs: kernels, their launches, and programs of launches, which are CUDA graphs.
#include <cstring>

#include "device.h"

void Device::load(uint32_t module, Bytes image) {
  auto shared = std::make_shared<Bytes>(std::move(image));
  enqueue([=] {
    CUmodule loaded = nullptr;
    if (check("cuModuleLoadData", cuda_.moduleLoadData(&loaded, shared->data()))) modules_[module] = loaded;
  });
}

void Device::kernel(uint32_t kernel, uint32_t module, std::string name, int sharedBytes) {
  enqueue([=] {
    const auto found = modules_.find(module);
    if (found == modules_.end()) return fail(Failure::device, "the kernels of " + name + " were not loaded");
    CUfunction function = nullptr;
    const CUresult error = cuda_.moduleGetFunction(&function, found->second, name.c_str());
    if (error != CUDA_SUCCESS)
      return fail(Failure::device, cuda_.describe(("cuModuleGetFunction of " + name).c_str(), error));
    if (sharedBytes > 0 &&
        !check("cuFuncSetAttribute",
               cuda_.funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes)))
      return;
    kernels_[kernel] = function;
  });
}

/**
 * Runs launches in order. A launch consists of 32-bit words: kernel, grid x, y, z, threads, bytes of shared memory,
 * bytes of arguments, count of addresses; for each address its byte in the arguments, its buffer (0 for null) and its
 * offset (low, high); then the arguments. The highest bit of threads forbids that the launch overlaps the one before
 * it. Kernel 0 stands for a product of cuBLASLt, see `multiply`.
 */
void Device::launchAll(const Bytes& commands, CUstream stream) {
  constexpr size_t head = 8, perAddress = 4;
  constexpr uint32_t serial = 1u << 31;
  for (size_t at = 0; at + 4 * head <= commands.size();) {
    uint32_t words[head];
    std::memcpy(words, commands.data() + at, sizeof words);
    at += sizeof words;
    const size_t argumentBytes = words[6], addresses = words[7];
    if (at + 4 * perAddress * addresses + argumentBytes > commands.size())
      return fail(Failure::device, "a launch is cut short");
    alignas(8) uint8_t arguments[4096];
    if (argumentBytes > sizeof arguments) return fail(Failure::device, "a launch has too many arguments");
    std::memcpy(arguments, commands.data() + at + 4 * perAddress * addresses, argumentBytes);
    bool whole = true;
    for (size_t i = 0; i < addresses; i++) {
      uint32_t place[perAddress];
      std::memcpy(place, commands.data() + at + 4 * perAddress * i, sizeof place);
      const size_t offset = place[2] | static_cast<uint64_t>(place[3]) << 32;
      const CUdeviceptr pointer = place[1] == 0 ? 0 : address(place[1], offset, 0);
      if (place[1] != 0 && pointer == 0) whole = false;
      if (place[0] + sizeof pointer > argumentBytes)
        return fail(Failure::device, "a launch has an address outside of its arguments");
      std::memcpy(arguments + place[0], &pointer, sizeof pointer);
    }
    at += 4 * perAddress * addresses + argumentBytes;
    if (words[0] == 0) {
      if (whole) multiply(words, arguments, argumentBytes, stream);
      continue;
    }
    const auto kernel = kernels_.find(words[0]);
    if (kernel == kernels_.end()) {
      fail(Failure::device, "kernel " + std::to_string(words[0]) + " was not loaded");
      continue;
    }
    if (!whole) continue;
    size_t bytes = argumentBytes;
    void* extra[] = {reinterpret_cast<void*>(1), arguments, reinterpret_cast<void*>(2), &bytes, nullptr};
    // In a program, a launch may start its prologue before the launch before it is complete.
    CUlaunchAttribute overlap{};
    overlap.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    overlap.value.programmaticStreamSerializationAllowed = 1;
    const bool overlaps = stream == captures_ && facts_.major >= 9 && (words[4] & serial) == 0;
    const CUlaunchConfig config = {words[1], words[2], words[3], words[4] & ~serial, 1,
                                   1,        words[5], stream,   &overlap,           overlaps ? 1u : 0u};
    check("cuLaunchKernelEx", cuda_.launchKernel(&config, kernel->second, nullptr, extra));
  }
}

/**
 * Runs a product of cuBLASLt. The words hold rows, width and outs instead of a grid, 1 for f16 or 0 for bf16 instead of
 * threads, and the bytes of the workspace. The arguments are the addresses of a `Product`.
 */
void Device::multiply(const uint32_t* words, const uint8_t* arguments, size_t bytes, CUstream stream) {
  CUdeviceptr places[6];
  if (!products_ || bytes != sizeof places) return fail(Failure::device, "a product for cuBLASLt, which is not there");
  std::memcpy(places, arguments, sizeof places);
  const auto& [x, weight, bias, residual, out, workspace] = places;
  const std::string wrong = products_->run(
      {words[1], words[2], words[3], words[4] == 1, x, weight, bias, residual, out, workspace, words[5]}, stream);
  if (!wrong.empty()) fail(Failure::device, wrong);
}

void Device::launch(Bytes commands) {
  auto shared = std::make_shared<Bytes>(std::move(commands));
  enqueue([=] { launchAll(*shared, stream_); });
}

void Device::record(uint32_t program, Bytes commands) {
  auto shared = std::make_shared<Bytes>(std::move(commands));
  enqueue([=] {
    if (!check("cuStreamBeginCapture", cuda_.streamBeginCapture(captures_, CU_STREAM_CAPTURE_MODE_RELAXED))) return;
    const bool fine = failure_.kind == Failure::none;
    launchAll(*shared, captures_);
    CUgraph graph = nullptr;
    const bool ended = check("cuStreamEndCapture", cuda_.streamEndCapture(captures_, &graph));
    CUgraphExec exec = nullptr;
    if (ended && (!fine || failure_.kind == Failure::none) &&
        check("cuGraphInstantiate", cuda_.graphInstantiate(&exec, graph, 0))) {
      programs_[program] = exec;
    }
    if (graph) cuda_.graphDestroy(graph);
  });
}

void Device::replay(uint32_t program) {
  enqueue([=] {
    const auto found = programs_.find(program);
    if (found == programs_.end()) return fail(Failure::device, "a program that could not be recorded was replayed");
    check("cuGraphLaunch", cuda_.graphLaunch(found->second, stream_));
  });
}

void Device::release(uint32_t program) {
  enqueue([=] {
    const auto found = programs_.find(program);
    if (found == programs_.end()) return;
    check("cuGraphExecDestroy", cuda_.graphExecDestroy(found->second));
    programs_.erase(found);
  });
}
