// The part of cuBLASLt that is used here, opened at run time where the machine has it: NVIDIA's cuBLAS reference, versions 12 and 13. Like the driver's,
// its declarations are written by hand; a library without one of the entries counts as none.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "driver.h"

struct CublasLt;

/** out[r, o] = sum over i of x[r, i] weight[o, i], plus bias[o] and residual[r, o] where they are not 0; x and weight f16 or bf16, all else f32. */
struct Product {
  uint32_t rows, width, outs;
  bool half;
  CUdeviceptr x, weight, bias, residual, out, workspace;
  size_t workspaceBytes;
};

/** Products through cuBLASLt, of one device; its context is current where these are called. */
class Products {
 public:
  /** The library at `path`, or, where that is empty, under the names that the loader finds; null and why where there is none. */
  static std::unique_ptr<Products> open(const std::string& path, std::string& reason);
  ~Products();
  /** Enqueues; empty, or what failed. */
  std::string run(const Product& product, CUstream stream);

 private:
  struct Prepared;
  Products(std::unique_ptr<CublasLt> library, void* handle);
  std::unique_ptr<CublasLt> library_;
  void* handle_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t, bool, bool, bool, size_t>, std::unique_ptr<Prepared>> prepared_;
};
