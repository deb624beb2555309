// One device, its stream and two threads. The caller's thread only puts work into a queue; the first thread hands it to the driver in order, and may
// block there; the second waits for events and tells the caller what has finished.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cublas-lt.h"
#include "driver.h"
#include "staging.h"

typedef std::vector<uint8_t> Bytes;

struct Failure {
  enum Kind { none, memory, device } kind = none;
  std::string message;
};

/** What the caller is told when a read, a wait or the end is reached. */
struct Completion {
  double ticket = 0;
  Failure failure;
  /** Buffers that got no memory since the last completion. */
  std::vector<uint32_t> lost;
  Bytes data;
};

struct DeviceFacts {
  std::string name;
  int major = 0, minor = 0, multiprocessors = 0, sharedBytes = 0, cacheBytes = 0, driver = 0;
  size_t memoryBytes = 0, freeBytes = 0;
  /** Whether matrix products can go through cuBLASLt. */
  bool cublasLt = false;
};

class Device {
 public:
  using Tell = std::function<void(std::unique_ptr<Completion>)>;

  /**
   * Throws std::runtime_error with the reason. `tell` is called on other threads. cublasLt: null for products without that library; else its path, or
   * empty for the one that the loader finds, if it does.
   */
  Device(const Driver& driver, int ordinal, const std::string* cublasLt, Tell tell);
  /** Drops what is not yet handed over, waits for the device and gives everything back. */
  ~Device();

  const DeviceFacts& facts() const { return facts_; }
  /** Bytes that the pool holds from the device. */
  double reserved() const;

  void allocate(uint32_t buffer, size_t bytes);
  void free(uint32_t buffer);
  void write(uint32_t buffer, size_t offset, Bytes data);
  void read(uint32_t buffer, size_t offset, size_t bytes, double ticket);
  void synchronise(double ticket);
  /** Kernels: an image (fatbin) and a function of it by name, which may use so many bytes of dynamic shared memory. */
  void load(uint32_t module, Bytes image);
  void kernel(uint32_t kernel, uint32_t module, std::string name, int sharedBytes);
  /** Launches, as words: see `launchAll`. */
  void launch(Bytes commands);
  void record(uint32_t program, Bytes commands);
  void replay(uint32_t program);
  void release(uint32_t program);
  /** Gives everything back after what was enqueued has run; `ticket` is told last. */
  void close(double ticket);

 private:
  struct Buffer {
    CUdeviceptr pointer;
    size_t bytes;
  };
  struct Waiting {
    CUevent event = nullptr;
    PinnedBlock block;
    size_t bytes = 0;
    std::unique_ptr<Completion> completion;
  };

  void enqueue(std::function<void()> work);
  void submitAll();
  void waitAll();
  void finish();
  bool check(const char* call, CUresult error);
  void fail(Failure::Kind kind, std::string message);
  /** The address, or 0 and a failure. */
  CUdeviceptr address(uint32_t buffer, size_t offset, size_t bytes);
  void launchAll(const Bytes& commands, CUstream stream);
  void multiply(const uint32_t* words, const uint8_t* arguments, size_t bytes, CUstream stream);
  std::unique_ptr<Completion> completion(double ticket);
  void wait(Waiting waiting);
  CUevent takeEvent();

  const Driver& cuda_;
  const Tell tell_;
  CUdevice device_ = 0;
  DeviceFacts facts_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr, captures_ = nullptr;
  CUmemoryPool pool_ = nullptr;

  // Of the submitting thread.
  std::unordered_map<uint32_t, Buffer> buffers_;
  std::unordered_map<uint32_t, CUmodule> modules_;
  std::unordered_map<uint32_t, CUfunction> kernels_;
  std::unordered_map<uint32_t, CUgraphExec> programs_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<Products> products_;
  Failure failure_;
  std::vector<uint32_t> lost_;
  bool closing_ = false;
  double closeTicket_ = 0;

  std::mutex queueMutex_;
  std::condition_variable queueReady_;
  std::deque<std::function<void()>> queue_;
  std::mutex waitMutex_;
  std::condition_variable waitReady_;
  std::deque<Waiting> waiting_;
  bool waitEnds_ = false;
  std::vector<CUevent> events_;
  std::thread submitter_, waiter_;
};
