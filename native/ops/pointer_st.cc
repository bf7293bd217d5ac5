// pointer_st: reference by autograd row by row, and the CPU and CUDA paths in parallel over rows.
#include "ops/pointer_st.h"

#include <limits>

#include "kernels/samplers.h"
#include "ops/cuda.h"
#include "ops/upload.h"

namespace merge::ops {
namespace {

constexpr double kClosed = -std::numeric_limits<double>::infinity();

// Saved: scores with their noise, [G] float64. The backward runs the forward of a row again, so that no softmax is
// kept.
struct PointerSt : torch::autograd::Function<PointerSt> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const Tensor& scores_G,
                                                const Tensor& noise_G, const Offsets& offsets,
                                                const std::vector<int64_t>& k_B, double temperature) {
    const Tensor noisy_G = scores_G.to(at::kDouble) + noise_G;
    Tensor sample_G = at::empty_like(scores_G), relaxed_G = at::empty_like(scores_G);
    at::parallel_for(0, static_cast<int64_t>(k_B.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t start = offsets[r];
        const kernels::RelaxedTopK row(noisy_G.const_data_ptr<double>() + start, offsets[r + 1] - start, k_B[r],
                                       temperature);
        row.sample(sample_G.mutable_data_ptr<float>() + start);
        std::copy(row.relaxed().begin(), row.relaxed().end(), relaxed_G.mutable_data_ptr<float>() + start);
      }
    });
    context->save_for_backward({noisy_G});
    context->saved_data["offsets"] = offsets;
    context->saved_data["k"] = k_B;
    context->saved_data["temperature"] = temperature;
    return {sample_G, relaxed_G};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const Tensor noisy_G = context->get_saved_variables()[0], grad_G = (grads[0] + grads[1]).contiguous();
    const Offsets offsets = context->saved_data["offsets"].toIntVector();
    const std::vector<int64_t> k_B = context->saved_data["k"].toIntVector();
    const double temperature = context->saved_data["temperature"].toDouble();
    Tensor grad_scores_G = at::zeros_like(grad_G);
    at::parallel_for(0, static_cast<int64_t>(k_B.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t start = offsets[r];
        const kernels::RelaxedTopK row(noisy_G.const_data_ptr<double>() + start, offsets[r + 1] - start, k_B[r],
                                       temperature);
        row.backward(grad_G.const_data_ptr<float>() + start, grad_scores_G.mutable_data_ptr<float>() + start);
      }
    });
    return {grad_scores_G, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// Saved: scores with their noise [G], what each softmax read [sum of k_r times the gaps of row r], where that begins
// for each row, k and offsets of the rows; all on the device.
struct PointerStOnCuda : torch::autograd::Function<PointerStOnCuda> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const Tensor& scores_G,
                                                const Tensor& noise_G, const Offsets& offsets,
                                                const std::vector<int64_t>& k_B, double temperature) {
    const auto device = scores_G.device();
    std::vector<int64_t> begins{0}, drawn;
    for (size_t r = 0; r < k_B.size(); ++r) {
      const int64_t gaps = offsets[r + 1] - offsets[r];
      drawn.push_back(std::min(k_B[r], gaps));
      begins.push_back(begins.back() + drawn.back() * gaps);
    }
    const Tensor noisy_G = scores_G.to(at::kDouble) + noise_G;
    const Tensor turns = upload(begins, device), k = upload(drawn, device), rows = upload(offsets, device);
    Tensor weights = at::empty({begins.back()}, noisy_G.options());
    Tensor sample_G = at::empty_like(scores_G), relaxed_G = at::empty_like(scores_G);
    launch(cuda_table().pointer_forward, scores_G, noisy_G.const_data_ptr<double>(), sample_G.mutable_data_ptr<float>(),
           relaxed_G.mutable_data_ptr<float>(), weights.mutable_data_ptr<double>(), turns.const_data_ptr<int64_t>(),
           k.const_data_ptr<int64_t>(), packed_rows(rows), temperature);
    context->save_for_backward({noisy_G, weights, turns, k, rows});
    context->saved_data["temperature"] = temperature;
    return {sample_G, relaxed_G};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const Tensor grad_G = (grads[0] + grads[1]).contiguous(), room_G = at::empty_like(saved[0]);
    Tensor grad_scores_G = at::empty_like(grad_G);
    launch(cuda_table().pointer_backward, grad_G, grad_G.const_data_ptr<float>(), saved[0].const_data_ptr<double>(),
           saved[1].const_data_ptr<double>(), saved[2].const_data_ptr<int64_t>(), saved[3].const_data_ptr<int64_t>(),
           room_G.mutable_data_ptr<double>(), grad_scores_G.mutable_data_ptr<float>(), packed_rows(saved[4]),
           context->saved_data["temperature"].toDouble());
    return {grad_scores_G, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// One row, open gaps only: {hard, relaxed}.
StraightThrough top_k(const Tensor& score_G, int64_t k, double temperature) {
  const int64_t gaps = score_G.size(0);
  const Tensor taken = std::get<1>(at::sort(score_G.detach(), /*stable=*/true, 0, /*descending=*/true)).narrow(0, 0, k);
  const Tensor hard = at::zeros_like(score_G.detach()).index_fill(0, taken, 1);
  const Tensor self = at::eye(gaps, score_G.options().dtype(at::kBool));
  Tensor weight_G = score_G / temperature, relaxed = 0 * score_G;
  for (int64_t t = 0; t < k; ++t) {
    relaxed = relaxed + weight_G.softmax(0);
    if (t + 1 == k) break;
    // log(1 - p) as the share of the others, which is exact where p rounds to 1
    const Tensor others_G = weight_G.expand({gaps, gaps}).masked_fill(self, kClosed).logsumexp({1});
    weight_G = weight_G + (others_G - weight_G.logsumexp({0})) / temperature;
  }
  return {hard, relaxed};
}

}  // namespace

StraightThrough pointer_st_reference(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                                     const std::vector<int64_t>& k_B, double temperature) {
  check_draw("pointer_st", {scores_G, noise_G, offsets, k_B, temperature});
  const Tensor wide_G = full_width(scores_G), noisy_G = wide_G + noise_G.to(wide_G.options());
  std::vector<Tensor> hard{noisy_G.detach().narrow(0, 0, 0)}, relaxed{noisy_G.narrow(0, 0, 0)};
  for (size_t r = 0; r < k_B.size(); ++r) {
    const Tensor row_G = noisy_G.narrow(0, offsets[r], offsets[r + 1] - offsets[r]);
    const Tensor open = row_G.detach().gt(kClosed).nonzero().squeeze(1), none = at::zeros_like(row_G.detach());
    const auto chosen = top_k(row_G.index_select(0, open), std::min(k_B[r], open.size(0)), temperature);
    hard.push_back(none.index_copy(0, open, chosen.sample));
    relaxed.push_back(none.index_copy(0, open, chosen.relaxed));
  }
  return straight_through(at::cat(hard), at::cat(relaxed));
}

StraightThrough pointer_st(const Tensor& scores_G, const Tensor& noise_G, const Offsets& offsets,
                           const std::vector<int64_t>& k_B, double temperature) {
  const bool on_cuda = has_float_cuda_kernel(scores_G);
  if (!has_cpu_kernel(scores_G) && !on_cuda) {
    return pointer_st_reference(scores_G, noise_G, offsets, k_B, temperature);
  }
  check_draw("pointer_st", {scores_G, noise_G, offsets, k_B, temperature});
  if (on_cuda) {
    const Tensor near_G = noise_G.to(scores_G.device());
    const auto drawn = PointerStOnCuda::apply(scores_G.contiguous(), near_G, offsets, k_B, temperature);
    return {drawn[0], drawn[1]};
  }
  const auto both = PointerSt::apply(scores_G.contiguous(), noise_G.contiguous(), offsets, k_B, temperature);
  return {both[0], both[1]};
}

StraightThrough pointer_st(const Tensor& scores_G, const Offsets& offsets, const std::vector<int64_t>& k_B,
                           double temperature, const Random& random) {
  check_rows("pointer_st", scores_G, offsets);
  return pointer_st(scores_G, gumbel_noise(offsets, random, scores_G.device()), offsets, k_B, temperature);
}

}  // namespace merge::ops
