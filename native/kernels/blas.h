// The BLAS that libtorch carries, for row-major matrices. Inside a parallel region it runs on the calling thread alone.
#pragma once

#include <cstdint>

extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace merge::kernels {

struct Matrix {
  const float* data;
  int64_t stride;  // floats from one row to the next
};

// C [rows, columns] = alpha * op(A) op(B) + beta * C, row-major; a transposed operand is given as it lies in memory.
inline void multiply(bool transpose_a, bool transpose_b, int64_t rows, int64_t columns, int64_t inner, float alpha,
                     Matrix a, Matrix b, float* c, int64_t stride_c, float beta = 0) {
  // Column-major BLAS sees each row-major matrix transposed, so C^T = op(B)^T op(A)^T.
  const int m = static_cast<int>(columns), n = static_cast<int>(rows), k = static_cast<int>(inner);
  const int lda = static_cast<int>(b.stride), ldb = static_cast<int>(a.stride), ldc = static_cast<int>(stride_c);
  sgemm_(transpose_b ? "T" : "N", transpose_a ? "T" : "N", &m, &n, &k, &alpha, b.data, &lda, a.data, &ldb, &beta, c,
         &ldc);
}

}  // namespace merge::kernels
