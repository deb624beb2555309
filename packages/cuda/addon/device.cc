#include "device.h"

#include <chrono>
#include <cstring>
#include <stdexcept>

Device::Device(const Driver& driver, int ordinal, const std::string* cublasLt, Tell tell) : cuda_(driver), tell_(std::move(tell)) {
  const auto need = [&](const char* call, CUresult error) {
    if (error == CUDA_SUCCESS) return;
    finish();
    throw std::runtime_error(cuda_.describe(call, error));
  };
  int count = 0;
  need("cuDeviceGetCount", cuda_.deviceGetCount(&count));
  if (ordinal < 0 || ordinal >= count) {
    throw std::runtime_error("there is no device " + std::to_string(ordinal) + "; the driver knows " + std::to_string(count));
  }
  need("cuDeviceGet", cuda_.deviceGet(&device_, ordinal));
  char name[256] = "";
  need("cuDeviceGetName", cuda_.deviceGetName(name, sizeof name, device_));
  facts_.name = name;
  const auto attribute = [&](int which) {
    int value = 0;
    need("cuDeviceGetAttribute", cuda_.deviceGetAttribute(&value, which, device_));
    return value;
  };
  facts_.major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  facts_.minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  facts_.multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  facts_.sharedBytes = attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  facts_.cacheBytes = attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  if (facts_.major < 8) throw std::runtime_error(facts_.name + " has compute capability " + std::to_string(facts_.major) + ", 8.0 is needed");
  if (attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0) throw std::runtime_error(facts_.name + " has no memory pools here");
  need("cuDriverGetVersion", cuda_.driverGetVersion(&facts_.driver));

  need("cuDevicePrimaryCtxRetain", cuda_.primaryCtxRetain(&context_, device_));
  need("cuCtxSetCurrent", cuda_.ctxSetCurrent(context_));
  need("cuMemGetInfo", cuda_.memGetInfo(&facts_.freeBytes, &facts_.memoryBytes));
  need("cuStreamCreate", cuda_.streamCreate(&stream_, CU_STREAM_NON_BLOCKING));
  need("cuStreamCreate", cuda_.streamCreate(&captures_, CU_STREAM_NON_BLOCKING));
  CUmemPoolProps properties;
  std::memset(&properties, 0, sizeof properties);
  properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  properties.location.id = device_;
  need("cuMemPoolCreate", cuda_.memPoolCreate(&pool_, &properties));
  uint64_t keep = UINT64_MAX;
  need("cuMemPoolSetAttribute", cuda_.memPoolSetAttribute(pool_, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
  staging_ = std::make_unique<Staging>(cuda_, stream_);
  if (cublasLt) {
    std::string reason;
    products_ = Products::open(*cublasLt, reason);
    if (!products_ && !cublasLt->empty()) {
      finish();
      throw std::runtime_error("cuBLASLt could not be opened from " + *cublasLt + ": " + reason);
    }
    facts_.cublasLt = products_ != nullptr;
  }
  waiter_ = std::thread([this] { waitAll(); });
  submitter_ = std::thread([this] { submitAll(); });
}

Device::~Device() {
  if (submitter_.joinable()) {
    {
      const std::lock_guard<std::mutex> lock(queueMutex_);
      queue_.clear();
      queue_.push_back([this] { closing_ = true; });
    }
    queueReady_.notify_one();
    submitter_.join();
  }
}

void Device::enqueue(std::function<void()> work) {
  {
    const std::lock_guard<std::mutex> lock(queueMutex_);
    queue_.push_back(std::move(work));
  }
  queueReady_.notify_one();
}

void Device::submitAll() {
  check("cuCtxSetCurrent", cuda_.ctxSetCurrent(context_));
  while (!closing_) {
    std::function<void()> work;
    {
      std::unique_lock<std::mutex> lock(queueMutex_);
      queueReady_.wait(lock, [this] { return !queue_.empty(); });
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
  cuda_.streamSynchronize(stream_);
  {
    const std::lock_guard<std::mutex> lock(waitMutex_);
    waitEnds_ = true;
  }
  waitReady_.notify_one();
  waiter_.join();
  finish();
  if (closeTicket_ != 0) tell_(completion(closeTicket_));
}

/** Gives back whatever there is. */
void Device::finish() {
  for (auto& entry : programs_) cuda_.graphExecDestroy(entry.second);
  for (auto& entry : buffers_) {
    if (entry.second.pointer) cuda_.memFreeAsync(entry.second.pointer, stream_);
  }
  if (stream_) cuda_.streamSynchronize(stream_);
  for (auto& entry : modules_) cuda_.moduleUnload(entry.second);
  for (CUevent event : events_) cuda_.eventDestroy(event);
  programs_.clear(), buffers_.clear(), modules_.clear(), kernels_.clear(), events_.clear();
  staging_.reset();
  products_.reset();
  if (pool_) cuda_.memPoolDestroy(pool_);
  if (stream_) cuda_.streamDestroy(stream_);
  if (captures_) cuda_.streamDestroy(captures_);
  if (context_) {
    cuda_.ctxSetCurrent(nullptr);
    cuda_.primaryCtxRelease(device_);
  }
  pool_ = nullptr, stream_ = nullptr, captures_ = nullptr, context_ = nullptr;
}

void Device::fail(Failure::Kind kind, std::string message) {
  if (failure_.kind == Failure::none) failure_ = {kind, std::move(message)};
}

bool Device::check(const char* call, CUresult error) {
  if (error == CUDA_SUCCESS) return true;
  fail(error == CUDA_ERROR_OUT_OF_MEMORY ? Failure::memory : Failure::device, cuda_.describe(call, error));
  return false;
}

double Device::reserved() const {
  uint64_t bytes = 0;
  if (pool_) cuda_.memPoolGetAttribute(pool_, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, &bytes);
  return static_cast<double>(bytes);
}

CUdeviceptr Device::address(uint32_t buffer, size_t offset, size_t bytes) {
  const auto found = buffers_.find(buffer);
  if (found == buffers_.end()) {
    fail(Failure::device, "buffer " + std::to_string(buffer) + " is not there");
    return 0;
  }
  if (found->second.pointer == 0) {
    fail(Failure::memory, "a buffer of " + std::to_string(found->second.bytes) + " bytes got no memory");
    return 0;
  }
  if (offset + bytes > found->second.bytes) {
    fail(Failure::device, std::to_string(bytes) + " bytes from byte " + std::to_string(offset) + " are not in a buffer of " +
                              std::to_string(found->second.bytes));
    return 0;
  }
  return found->second.pointer + offset;
}

void Device::allocate(uint32_t buffer, size_t bytes) {
  enqueue([=] {
    const size_t size = bytes > 0 ? bytes : 1;
    CUdeviceptr pointer = 0;
    CUresult error = cuda_.memAllocFromPoolAsync(&pointer, size, pool_, stream_);
    if (error == CUDA_ERROR_OUT_OF_MEMORY) {
      // What was freed may lie in pieces: have them back, once.
      cuda_.streamSynchronize(stream_);
      cuda_.memPoolTrimTo(pool_, 0);
      error = cuda_.memAllocFromPoolAsync(&pointer, size, pool_, stream_);
    }
    if (!check("cuMemAllocFromPoolAsync", error)) {
      pointer = 0;
      lost_.push_back(buffer);
    } else {
      check("cuMemsetD8Async", cuda_.memsetD8Async(pointer, 0, size, stream_));
    }
    buffers_[buffer] = {pointer, bytes};
  });
}

void Device::free(uint32_t buffer) {
  enqueue([=] {
    const auto found = buffers_.find(buffer);
    if (found == buffers_.end()) return;
    if (found->second.pointer) check("cuMemFreeAsync", cuda_.memFreeAsync(found->second.pointer, stream_));
    buffers_.erase(found);
  });
}

void Device::write(uint32_t buffer, size_t offset, Bytes data) {
  auto shared = std::make_shared<Bytes>(std::move(data));
  enqueue([=] {
    const CUdeviceptr target = address(buffer, offset, shared->size());
    if (target) check("cuMemcpyHtoDAsync", staging_->write(target, shared->data(), shared->size()));
  });
}

std::unique_ptr<Completion> Device::completion(double ticket) {
  auto result = std::make_unique<Completion>();
  result->ticket = ticket;
  result->failure = std::move(failure_);
  result->lost = std::move(lost_);
  failure_ = {};
  lost_.clear();
  return result;
}

CUevent Device::takeEvent() {
  CUevent event = nullptr;
  {
    const std::lock_guard<std::mutex> lock(waitMutex_);
    if (!events_.empty()) {
      event = events_.back();
      events_.pop_back();
    }
  }
  if (event == nullptr) check("cuEventCreate", cuda_.eventCreate(&event, CU_EVENT_DISABLE_TIMING));
  if (event) check("cuEventRecord", cuda_.eventRecord(event, stream_));
  return event;
}

void Device::wait(Waiting waiting) {
  {
    const std::lock_guard<std::mutex> lock(waitMutex_);
    waiting_.push_back(std::move(waiting));
  }
  waitReady_.notify_one();
}

void Device::read(uint32_t buffer, size_t offset, size_t bytes, double ticket) {
  enqueue([=] {
    Waiting waiting;
    if (failure_.kind == Failure::none && bytes > 0) {
      const CUdeviceptr source = address(buffer, offset, bytes);
      if (source && check("cuMemHostAlloc", staging_->take(bytes, waiting.block))) {
        if (check("cuMemcpyDtoHAsync", cuda_.memcpyDtoHAsync(waiting.block.at, source, bytes, stream_))) waiting.bytes = bytes;
      }
    }
    waiting.event = takeEvent();
    waiting.completion = completion(ticket);
    wait(std::move(waiting));
  });
}

void Device::synchronise(double ticket) {
  enqueue([=] {
    Waiting waiting;
    waiting.event = takeEvent();
    waiting.completion = completion(ticket);
    wait(std::move(waiting));
  });
}

void Device::waitAll() {
  cuda_.ctxSetCurrent(context_);
  for (;;) {
    Waiting next;
    {
      std::unique_lock<std::mutex> lock(waitMutex_);
      waitReady_.wait(lock, [this] { return waitEnds_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
    }
    // Short waits are the rule while tokens are decoded: look often at first, then ever more rarely.
    CUresult error = CUDA_SUCCESS;
    if (next.event) {
      const auto start = std::chrono::steady_clock::now();
      while ((error = cuda_.eventQuery(next.event)) == CUDA_ERROR_NOT_READY) {
        const auto waited = std::chrono::steady_clock::now() - start;
        if (waited < std::chrono::milliseconds(2)) {
          std::this_thread::yield();
        } else {
          std::this_thread::sleep_for(std::chrono::microseconds(waited < std::chrono::milliseconds(50) ? 50 : 500));
        }
      }
    }
    Completion& completion = *next.completion;
    if (error != CUDA_SUCCESS && completion.failure.kind == Failure::none) {
      completion.failure = {Failure::device, cuda_.describe("a command before this", error)};
    }
    if (completion.failure.kind == Failure::none && next.bytes > 0) {
      const uint8_t* data = static_cast<const uint8_t*>(next.block.at);
      completion.data.assign(data, data + next.bytes);
    }
    staging_->give(next.block);
    if (next.event) {
      const std::lock_guard<std::mutex> lock(waitMutex_);
      events_.push_back(next.event);
    }
    tell_(std::move(next.completion));
  }
}

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
    if (error != CUDA_SUCCESS) return fail(Failure::device, cuda_.describe(("cuModuleGetFunction of " + name).c_str(), error));
    if (sharedBytes > 0 && !check("cuFuncSetAttribute", cuda_.funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes))) return;
    kernels_[kernel] = function;
  });
}

/**
 * Launches one after the other. Each is words of 32 bits: kernel, grid x, y, z, threads, shared bytes, bytes of arguments, number of
 * addresses; for each address its byte in the arguments, its buffer (0 for none), and its offset (low, high); then the arguments. Kernel 0 is a product
 * of cuBLASLt, see `multiply`.
 */
void Device::launchAll(const Bytes& commands, CUstream stream) {
  constexpr size_t head = 8, perAddress = 4;
  for (size_t at = 0; at + 4 * head <= commands.size();) {
    uint32_t words[head];
    std::memcpy(words, commands.data() + at, sizeof words);
    at += sizeof words;
    const size_t argumentBytes = words[6], addresses = words[7];
    if (at + 4 * perAddress * addresses + argumentBytes > commands.size()) return fail(Failure::device, "a launch is cut short");
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
      if (place[0] + sizeof pointer > argumentBytes) return fail(Failure::device, "a launch has an address outside of its arguments");
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
    check("cuLaunchKernel", cuda_.launchKernel(kernel->second, words[1], words[2], words[3], words[4], 1, 1, words[5], stream, nullptr, extra));
  }
}

/** Rows, width, outs in place of a grid; 1 for f16 and 0 for bf16 in place of threads; bytes of workspace. Arguments: the addresses of a `Product`. */
void Device::multiply(const uint32_t* words, const uint8_t* arguments, size_t bytes, CUstream stream) {
  CUdeviceptr places[6];
  if (!products_ || bytes != sizeof places) return fail(Failure::device, "a product for cuBLASLt, which is not there");
  std::memcpy(places, arguments, sizeof places);
  const auto& [x, weight, bias, residual, out, workspace] = places;
  const std::string wrong = products_->run({words[1], words[2], words[3], words[4] == 1, x, weight, bias, residual, out, workspace, words[5]}, stream);
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
    if (ended && (!fine || failure_.kind == Failure::none) && check("cuGraphInstantiate", cuda_.graphInstantiate(&exec, graph, 0))) {
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

void Device::close(double ticket) {
  enqueue([=] {
    closing_ = true;
    closeTicket_ = ticket;
  });
}
