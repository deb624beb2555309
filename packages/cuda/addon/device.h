// One device, its stream and two threads. The caller's thread only puts work into a queue. The first thread passes the
// work to the driver in order, and may block there; the second waits for events and reports what has finished.
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

/** The result of a read, a wait or the close. */
struct Completion {
  double ticket = 0;
  Failure failure;
  /** Buffers whose allocation has failed since the last completion. */
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
   * Throws std::runtime_error with the reason. `tell` is called on other threads. cublasLt: null to do without that
   * library, else its path, or empty for the one that the loader finds, if any.
   */
  Device(const Driver& driver, int ordinal, const std::string* cublasLt, Tell tell);
  /** Drops queued work, waits for the device and releases everything. */
  ~Device();

  const DeviceFacts& facts() const { return facts_; }
  /** Bytes that the pool holds from the device. */
  double reserved() const;

  void allocate(uint32_t buffer, size_t bytes);
  void free(uint32_t buffer);
  void write(uint32_t buffer, size_t offset, Bytes data);
  void read(uint32_t buffer, size_t offset, size_t bytes, double ticket);
  void synchronise(double ticket);
  /** Loads an image (fatbin). */
  void load(uint32_t module, Bytes image);
  /** Finds a function of an image by name; it may use `sharedBytes` of dynamic shared memory. */
  void kernel(uint32_t kernel, uint32_t module, std::string name, int sharedBytes);
  /** Runs launches, encoded as words: see `launchAll`. */
  void launch(Bytes commands);
  void record(uint32_t program, Bytes commands);
  void replay(uint32_t program);
  void release(uint32_t program);
  /** Releases everything after the queued work has run; then completes `ticket`. */
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
  /** The address, or 0 after a failure. */
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

  // Used by the submitting thread only.
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
