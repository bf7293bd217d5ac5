// pointer_st: k gaps of each row, drawn without replacement, with a gradient (Gumbel top-k; Kool et al. 2019).
#pragma once

#include "ops/straight_through.h"

namespace merge::ops {

// scores [G], noise [G] float64 (Gumbel), rows of gaps, k >= 0 for each row. sample: 1 at the k largest scores + noise
// of a row (the lowest index first among equal ones), else 0. relaxed: the relaxed top-k of (scores + noise) /
// temperature by successive softmax (Xie and Ermon 2019); it sums to k, too, and the gradient is its. A gap whose score
// is -infinity is closed: it is never drawn, and k is cut to the number of open ones.
StraightThrough pointer_st(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                           const std::vector<int64_t>& k_B, double temperature);
StraightThrough pointer_st_reference(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                                     const std::vector<int64_t>& k_B, double temperature);

// The same with noise of its own.
StraightThrough pointer_st(const Tensor& scores_G, const Offsets& offsets, const std::vector<int64_t>& k_B,
                           double temperature, const Random& random);

}  // namespace merge::ops
