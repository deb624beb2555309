// Asynchronous products of a warpgroup (four warps) on the tensor cores of Hopper, which read their factors from shared
// memory (PTX ISA: wgmma, mbarrier). Matrices are stored there by rows in panels of 64 numbers (128 bytes); the 16-byte
// chunks of a row are permuted (128-byte swizzle). Of 64 x N sums, lane l of warp w holds rows 16 w + l / 4 and
// 16 w + l / 4 + 8 at columns l % 4 * 2 and l % 4 * 2 + 1 of every eight.
#pragma once
#include "tensor-core.cuh"

/** Byte offset of chunk `chunk` of row `row` in a matrix of `rows` rows. */
__device__ inline int place_in_panels(int rows, int row, int chunk) {
  return (chunk >> 3) * rows * 128 + row * 128 + ((chunk ^ row) & 7) * 16;
}

/**
 * The wgmma descriptor of a matrix in panels. `leap`: bytes from one panel to the next, if the product sums over the
 * rows. The address is a multiple of 32.
 */
__device__ inline uint64_t panels(unsigned address, unsigned leap = 16) {
  return static_cast<uint64_t>(address >> 4 & 0x3fff) | static_cast<uint64_t>(leap >> 4) << 16 |
         static_cast<uint64_t>(1024 >> 4) << 32 | 1ull << 62;
}

/** Makes earlier writes to shared memory that this thread has seen visible to the tensor cores. */
__device__ inline void show_tensor_cores() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/** Orders earlier register accesses before the products that follow. */
__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/** Waits until at most the LEFT newest groups of products are in flight. */
template <int LEFT>
__device__ inline void await_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}
/** Keeps the compiler from moving a use of the sums before this point. */
template <int N>
__device__ inline void settle(float (&sums)[N]) {
#pragma unroll
  for (int i = 0; i < N; i++) asm volatile("" : "+f"(sums[i])::"memory");
}

#define WGMMA_256(TYPE, A, B, SCALE, TRANSPOSE, ...)                                                                 \
  asm volatile(                                                                                                      \
      "{.reg .pred p; setp.ne.b32 p, " SCALE ", 0; wgmma.mma_async.sync.aligned.m64n256k16.f32." TYPE "." TYPE       \
      " {"                                                                                                           \
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                       \
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                             \
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                             \
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "                             \
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                             \
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "                             \
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "                 \
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"               \
      "}, " A ", " B ", p, 1, 1, " TRANSPOSE ";}"                                                                    \
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]), "+f"(sums[6]),     \
        "+f"(sums[7]), "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]), "+f"(sums[12]), "+f"(sums[13]), \
        "+f"(sums[14]), "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]),              \
        "+f"(sums[20]), "+f"(sums[21]), "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]),              \
        "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]), "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31]),              \
        "+f"(sums[32]), "+f"(sums[33]), "+f"(sums[34]), "+f"(sums[35]), "+f"(sums[36]), "+f"(sums[37]),              \
        "+f"(sums[38]), "+f"(sums[39]), "+f"(sums[40]), "+f"(sums[41]), "+f"(sums[42]), "+f"(sums[43]),              \
        "+f"(sums[44]), "+f"(sums[45]), "+f"(sums[46]), "+f"(sums[47]), "+f"(sums[48]), "+f"(sums[49]),              \
        "+f"(sums[50]), "+f"(sums[51]), "+f"(sums[52]), "+f"(sums[53]), "+f"(sums[54]), "+f"(sums[55]),              \
        "+f"(sums[56]), "+f"(sums[57]), "+f"(sums[58]), "+f"(sums[59]), "+f"(sums[60]), "+f"(sums[61]),              \
        "+f"(sums[62]), "+f"(sums[63]), "+f"(sums[64]), "+f"(sums[65]), "+f"(sums[66]), "+f"(sums[67]),              \
        "+f"(sums[68]), "+f"(sums[69]), "+f"(sums[70]), "+f"(sums[71]), "+f"(sums[72]), "+f"(sums[73]),              \
        "+f"(sums[74]), "+f"(sums[75]), "+f"(sums[76]), "+f"(sums[77]), "+f"(sums[78]), "+f"(sums[79]),              \
        "+f"(sums[80]), "+f"(sums[81]), "+f"(sums[82]), "+f"(sums[83]), "+f"(sums[84]), "+f"(sums[85]),              \
        "+f"(sums[86]), "+f"(sums[87]), "+f"(sums[88]), "+f"(sums[89]), "+f"(sums[90]), "+f"(sums[91]),              \
        "+f"(sums[92]), "+f"(sums[93]), "+f"(sums[94]), "+f"(sums[95]), "+f"(sums[96]), "+f"(sums[97]),              \
        "+f"(sums[98]), "+f"(sums[99]), "+f"(sums[100]), "+f"(sums[101]), "+f"(sums[102]), "+f"(sums[103]),          \
        "+f"(sums[104]), "+f"(sums[105]), "+f"(sums[106]), "+f"(sums[107]), "+f"(sums[108]), "+f"(sums[109]),        \
        "+f"(sums[110]), "+f"(sums[111]), "+f"(sums[112]), "+f"(sums[113]), "+f"(sums[114]), "+f"(sums[115]),        \
        "+f"(sums[116]), "+f"(sums[117]), "+f"(sums[118]), "+f"(sums[119]), "+f"(sums[120]), "+f"(sums[121]),        \
        "+f"(sums[122]), "+f"(sums[123]), "+f"(sums[124]), "+f"(sums[125]), "+f"(sums[126]), "+f"(sums[127])         \
      : __VA_ARGS__)
#define WGMMA_128(TYPE, A, B, SCALE, TRANSPOSE, ...)                                                             \
  asm volatile("{.reg .pred p; setp.ne.b32 p, " SCALE ", 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE   \
               "." TYPE                                                                                          \
               " {"                                                                                              \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                          \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "                \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"                  \
               "}, " A ", " B ", p, 1, 1, " TRANSPOSE ";}"                                                       \
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]),       \
                 "+f"(sums[6]), "+f"(sums[7]), "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]),     \
                 "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]), "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]), \
                 "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]), "+f"(sums[22]), "+f"(sums[23]), \
                 "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]), "+f"(sums[29]), \
                 "+f"(sums[30]), "+f"(sums[31]), "+f"(sums[32]), "+f"(sums[33]), "+f"(sums[34]), "+f"(sums[35]), \
                 "+f"(sums[36]), "+f"(sums[37]), "+f"(sums[38]), "+f"(sums[39]), "+f"(sums[40]), "+f"(sums[41]), \
                 "+f"(sums[42]), "+f"(sums[43]), "+f"(sums[44]), "+f"(sums[45]), "+f"(sums[46]), "+f"(sums[47]), \
                 "+f"(sums[48]), "+f"(sums[49]), "+f"(sums[50]), "+f"(sums[51]), "+f"(sums[52]), "+f"(sums[53]), \
                 "+f"(sums[54]), "+f"(sums[55]), "+f"(sums[56]), "+f"(sums[57]), "+f"(sums[58]), "+f"(sums[59]), \
                 "+f"(sums[60]), "+f"(sums[61]), "+f"(sums[62]), "+f"(sums[63])                                  \
               : __VA_ARGS__)
#define WGMMA_64(TYPE, A, B, SCALE, TRANSPOSE, ...)                                                                    \
  asm volatile("{.reg .pred p; setp.ne.b32 p, " SCALE ", 0; wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE \
               " {"                                                                                                    \
               "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"                        \
               "}, " A ", " B ", p, 1, 1, " TRANSPOSE ";}"                                                             \
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]),             \
                 "+f"(sums[6]), "+f"(sums[7]), "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]),           \
                 "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]), "+f"(sums[15]), "+f"(sums[16]), "+f"(sums[17]),       \
                 "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]), "+f"(sums[22]), "+f"(sums[23]),       \
                 "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]), "+f"(sums[27]), "+f"(sums[28]), "+f"(sums[29]),       \
                 "+f"(sums[30]), "+f"(sums[31])                                                                        \
               : __VA_ARGS__)
/** sums = a b, plus sums if `add` is set: a [64, 16], b [256, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[128], uint64_t a, uint64_t b, int add, f16) {
  WGMMA_256("f16", "%128", "%129", "%130", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums = a b, plus sums if `add` is set: a [64, 16], b [256, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[128], uint64_t a, uint64_t b, int add, bf16) {
  WGMMA_256("bf16", "%128", "%129", "%130", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums = a b, plus sums if `add` is set: a [64, 16], b [128, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[64], uint64_t a, uint64_t b, int add, f16) {
  WGMMA_128("f16", "%64", "%65", "%66", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums += a b: a [64, 16] in registers, b [16, 128]. */
__device__ inline void products(float (&sums)[64], const unsigned (&a)[4], uint64_t b, f16) {
  WGMMA_128("f16", "{%64, %65, %66, %67}", "%68", "1", "1", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
/** sums = a b, plus sums if `add` is set: a [64, 16], b [128, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[64], uint64_t a, uint64_t b, int add, bf16) {
  WGMMA_128("bf16", "%64", "%65", "%66", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums += a b: a [64, 16] in registers, b [16, 128]. */
__device__ inline void products(float (&sums)[64], const unsigned (&a)[4], uint64_t b, bf16) {
  WGMMA_128("bf16", "{%64, %65, %66, %67}", "%68", "1", "1", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
/** sums = a b, plus sums if `add` is set: a [64, 16], b [64, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[32], uint64_t a, uint64_t b, int add, f16) {
  WGMMA_64("f16", "%32", "%33", "%34", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums += a b: a [64, 16] in registers, b [16, 64]. */
__device__ inline void products(float (&sums)[32], const unsigned (&a)[4], uint64_t b, f16) {
  WGMMA_64("f16", "{%32, %33, %34, %35}", "%36", "1", "1", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
/** sums = a b, plus sums if `add` is set: a [64, 16], b [64, 16]. The product sums along the rows of both. */
__device__ inline void products(float (&sums)[32], uint64_t a, uint64_t b, int add, bf16) {
  WGMMA_64("bf16", "%32", "%33", "%34", "0, 0", "l"(a), "l"(b), "r"(add));
}
/** sums += a b: a [64, 16] in registers, b [16, 64]. */
__device__ inline void products(float (&sums)[32], const unsigned (&a)[4], uint64_t b, bf16) {
  WGMMA_64("bf16", "{%32, %33, %34, %35}", "%36", "1", "1", "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/** Initialises a barrier in shared memory that opens after `count` arrivals. Its phases alternate between 0 and 1. */
__device__ inline void make_barrier(unsigned at, int count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(at), "r"(count) : "memory");
}
__device__ inline void arrive(unsigned at) {
  asm volatile("{.reg .b64 s; mbarrier.arrive.shared.b64 s, [%0];}" ::"r"(at) : "memory");
}
/** Arrives once all copies that this thread has started are complete. */
__device__ inline void arrive_after_copies(unsigned at) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(at) : "memory");
}
/** Waits until phase `phase` of the barrier is complete. */
__device__ inline void await(unsigned at, int phase) {
  asm volatile(
      "{.reg .pred p;\n"
      "again: mbarrier.try_wait.parity.shared.b64 p, [%0], %1;\n"
      "@p bra done;\n"
      "bra again;\n"
      "done:}" ::"r"(at),
      "r"(phase)
      : "memory");
}
/** Releases registers of this warpgroup, or acquires more: COUNT per thread afterwards. */
template <int COUNT>
__device__ inline void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT>
__device__ inline void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}
