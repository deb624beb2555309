#include "device.h"

#include <chrono>
#include <cstring>
#include <stdexcept>

Device::Device(const Driver& driver, int ordinal, const std::string* cublasLt, Tell tell)
    : cuda_(driver), tell_(std::move(tell)) {
  const auto need = [&](const char* call, CUresult error) {
    if (error == CUDA_SUCCESS) return;
    finish();
    throw std::runtime_error(cuda_.describe(call, error));
  };
  int count = 0;
  need("cuDeviceGetCount", cuda_.deviceGetCount(&count));
  if (ordinal < 0 || ordinal >= count) {
    throw std::runtime_error("there is no device " + std::to_string(ordinal) + "; the driver knows " +
                             std::to_string(count));
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
  if (facts_.major < 8)
    throw std::runtime_error(facts_.name + " has compute capability " + std::to_string(facts_.major) +
                             ", 8.0 is needed");
  if (attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0)
    throw std::runtime_error(facts_.name + " has no memory pools here");
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

/** Releases everything that exists. */
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
    fail(Failure::device, std::to_string(bytes) + " bytes from byte " + std::to_string(offset) +
                              " are not in a buffer of " + std::to_string(found->second.bytes));
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
      // The pool may be fragmented: return its memory to the device and retry once.
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
        if (check("cuMemcpyDtoHAsync", cuda_.memcpyDtoHAsync(waiting.block.at, source, bytes, stream_)))
          waiting.bytes = bytes;
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
    // Waits are short while tokens are decoded: poll often at first, then less and less.
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

void Device::close(double ticket) {
  enqueue([=] {
    closing_ = true;
    closeTicket_ = ticket;
  });
}
