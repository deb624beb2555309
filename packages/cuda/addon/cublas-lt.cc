#include "cublas-lt.h"

#include <dlfcn.h>

namespace {

typedef int Status;
typedef void* Handle;
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspaceBytes;
  Status status;
  float waves;
  int reserved[4];
};

enum : int {
  CUBLAS_COMPUTE_32F = 68,
  CUDA_R_32F = 0,
  CUDA_R_16F = 2,
  CUDA_R_16BF = 14,
  CUBLAS_OP_T = 1,
  CUBLASLT_MATMUL_DESC_TRANSA = 3,
  CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8,
  CUBLASLT_EPILOGUE_BIAS = 4,
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
};

}  // namespace

#define CUBLAS_LT(ENTRY)                                                                                         \
  ENTRY(create, "cublasLtCreate", (Handle * handle))                                                             \
  ENTRY(destroy, "cublasLtDestroy", (Handle handle))                                                             \
  ENTRY(descriptionCreate, "cublasLtMatmulDescCreate", (Handle * description, int compute, int scale))           \
  ENTRY(descriptionDestroy, "cublasLtMatmulDescDestroy", (Handle description))                                   \
  ENTRY(descriptionSet, "cublasLtMatmulDescSetAttribute",                                                        \
        (Handle description, int attribute, const void* value, size_t bytes))                                    \
  ENTRY(layoutCreate, "cublasLtMatrixLayoutCreate",                                                              \
        (Handle * layout, int type, uint64_t rows, uint64_t columns, int64_t leading))                           \
  ENTRY(layoutDestroy, "cublasLtMatrixLayoutDestroy", (Handle layout))                                           \
  ENTRY(preferenceCreate, "cublasLtMatmulPreferenceCreate", (Handle * preference))                               \
  ENTRY(preferenceDestroy, "cublasLtMatmulPreferenceDestroy", (Handle preference))                               \
  ENTRY(preferenceSet, "cublasLtMatmulPreferenceSetAttribute",                                                   \
        (Handle preference, int attribute, const void* value, size_t bytes))                                     \
  ENTRY(heuristics, "cublasLtMatmulAlgoGetHeuristic",                                                            \
        (Handle handle, Handle description, Handle a, Handle b, Handle c, Handle d, Handle preference, int most, \
         Heuristic* found, int* count))                                                                          \
  ENTRY(multiply, "cublasLtMatmul",                                                                              \
        (Handle handle, Handle description, const void* alpha, CUdeviceptr a, Handle aLayout, CUdeviceptr b,     \
         Handle bLayout, const void* beta, CUdeviceptr c, Handle cLayout, CUdeviceptr d, Handle dLayout,         \
         const Algorithm* algorithm, CUdeviceptr workspace, size_t bytes, CUstream stream))

struct CublasLt {
#define CUBLAS_MEMBER(name, symbol, parameters) Status(*name) parameters = nullptr;
  CUBLAS_LT(CUBLAS_MEMBER)
#undef CUBLAS_MEMBER
};

/** cuBLAS is column-major: its product is weight (transposed) times x, whose columns are the rows of out. */
struct Products::Prepared {
  const CublasLt& library;
  Handle description = nullptr, weight = nullptr, x = nullptr, out = nullptr;
  Algorithm algorithm;

  explicit Prepared(const CublasLt& all) : library(all) {}
  ~Prepared() {
    if (description) library.descriptionDestroy(description);
    for (Handle layout : {weight, x, out}) {
      if (layout) library.layoutDestroy(layout);
    }
  }
  Status prepare(Handle handle, const Product& product) {
    const int type = product.half ? CUDA_R_16F : CUDA_R_16BF, transposed = CUBLAS_OP_T, biased = CUBLASLT_EPILOGUE_BIAS;
    const uint64_t rows = product.rows, width = product.width, outs = product.outs;
    if (Status error = library.descriptionCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F)) return error;
    if (Status error = library.descriptionSet(description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed))
      return error;
    if (product.bias) {
      if (Status error = library.descriptionSet(description, CUBLASLT_MATMUL_DESC_EPILOGUE, &biased, sizeof biased))
        return error;
    }
    if (Status error = library.layoutCreate(&weight, type, width, outs, static_cast<int64_t>(width))) return error;
    if (Status error = library.layoutCreate(&x, type, width, rows, static_cast<int64_t>(width))) return error;
    if (Status error = library.layoutCreate(&out, CUDA_R_32F, outs, rows, static_cast<int64_t>(outs))) return error;
    Handle preference = nullptr;
    if (Status error = library.preferenceCreate(&preference)) return error;
    Heuristic found;
    int count = 0;
    Status error = library.preferenceSet(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &product.workspaceBytes,
                                         sizeof product.workspaceBytes);
    if (!error) error = library.heuristics(handle, description, weight, x, out, out, preference, 1, &found, &count);
    library.preferenceDestroy(preference);
    if (error) return error;
    if (count == 0 || found.status != 0) return found.status ? found.status : -1;
    algorithm = found.algorithm;
    return 0;
  }
};

std::unique_ptr<Products> Products::open(const std::string& path, std::string& reason) {
  void* opened = nullptr;
  if (!path.empty()) {
    opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  } else {
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
      if (opened == nullptr) opened = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
  }
  if (opened == nullptr) {
    const char* error = dlerror();
    reason = error ? error : "it could not be opened";
    return nullptr;
  }
  auto library = std::make_unique<CublasLt>();
#define CUBLAS_FIND(name, symbol, parameters)                                       \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(opened, symbol)); \
  if (library->name == nullptr) {                                                   \
    reason = std::string("it has no ") + symbol;                                    \
    return nullptr;                                                                 \
  }
  CUBLAS_LT(CUBLAS_FIND)
#undef CUBLAS_FIND
  Handle handle = nullptr;
  if (const Status error = library->create(&handle)) {
    reason = "cublasLtCreate failed with status " + std::to_string(error);
    return nullptr;
  }
  return std::unique_ptr<Products>(new Products(std::move(library), handle));
}

Products::Products(std::unique_ptr<CublasLt> library, void* handle) : library_(std::move(library)), handle_(handle) {}

Products::~Products() {
  prepared_.clear();
  library_->destroy(handle_);
}

std::string Products::run(const Product& product, CUstream stream) {
  const auto failed = [&](const char* call, Status error) {
    return std::string(call) + " of " + std::to_string(product.rows) + " x " + std::to_string(product.width) + " by " +
           std::to_string(product.outs) + " failed with status " + std::to_string(error);
  };
  auto& prepared = prepared_[{product.rows, product.width, product.outs, product.half, product.bias != 0,
                              product.residual != 0, product.workspaceBytes}];
  if (!prepared) {
    auto made = std::make_unique<Prepared>(*library_);
    if (const Status error = made->prepare(handle_, product)) return failed("cublasLtMatmulAlgoGetHeuristic", error);
    prepared = std::move(made);
  }
  if (product.bias) {
    const Status error = library_->descriptionSet(prepared->description, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
                                                  &product.bias, sizeof product.bias);
    if (error) return failed("cublasLtMatmulDescSetAttribute", error);
  }
  const float one = 1.0f, keep = product.residual ? 1.0f : 0.0f;
  const Status error =
      library_->multiply(handle_, prepared->description, &one, product.weight, prepared->weight, product.x, prepared->x,
                         &keep, product.residual ? product.residual : product.out, prepared->out, product.out,
                         prepared->out, &prepared->algorithm, product.workspace, product.workspaceBytes, stream);
  return error ? failed("cublasLtMatmul", error) : "";
}
