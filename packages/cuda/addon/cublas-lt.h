// The part of cuBLASLt that is used here, loaded at run time if the machine has it (NVIDIA's cuBLAS reference, versions
// 12 and 13). As for the driver, the declarations are written by hand; a library that lacks one of the entries is not
// used.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "driver.h"

struct CublasLt;

/**
 * out[r, o] = sum over i of x[r, i] weight[o, i], plus bias[o] and residual[r, o] unless their pointers are null. x and
 * weight are f16 or bf16, the others f32.
 */
struct Product {
  uint32_t rows, width, outs;
  bool half;
  CUdeviceptr x, weight, bias, residual, out, workspace;
  size_t workspaceBytes;
};

/** Matrix products of one device through cuBLASLt. The context of the device must be current. */
class Products {
 public:
  /** Opens the library at `path`, or the one that the loader finds if it is empty; null and a reason if there is none.
   */
  static std::unique_ptr<Products> open(const std::string& path, std::string& reason);
  ~Products();
  /** Enqueues a product. Returns an empty string, or the error. */
  std::string run(const Product& product, CUstream stream);

 private:
  struct Prepared;
  Products(std::unique_ptr<CublasLt> library, void* handle);
  std::unique_ptr<CublasLt> library_;
  void* handle_;
  std::map<std::tuple<uint32_t, uint32_t, uint32_t, bool, bool, bool, size_t>, std::unique_ptr<Prepared>> prepared_;
};
