// bernoulli_st: reference by autograd, and the CPU and CUDA paths with the slope kept.
#include "ops/bernoulli_st.h"

#include "error.h"
#include "kernels/samplers.h"
#include "ops/cuda.h"

namespace merge::ops {
namespace {

constexpr int64_t kGrain = 4096;  // fewer elements are not worth a second thread

// Saved: d relaxed / d logit, [N].
struct BernoulliSt : torch::autograd::Function<BernoulliSt> {
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const Tensor& logits_N,
                                                const Tensor& noise_N, double temperature) {
    Tensor sample_N = at::empty_like(logits_N), relaxed_N = at::empty_like(logits_N),
           slope_N = at::empty_like(logits_N);
    context->save_for_backward({slope_N});
    if (logits_N.is_cuda()) {
      launch(cuda_table().bernoulli_forward, logits_N, logits_N.const_data_ptr<float>(),
             noise_N.const_data_ptr<double>(), sample_N.mutable_data_ptr<float>(), relaxed_N.mutable_data_ptr<float>(),
             slope_N.mutable_data_ptr<float>(), logits_N.numel(), temperature);
      return {sample_N, relaxed_N};
    }
    at::parallel_for(0, logits_N.numel(), kGrain, [&](int64_t begin, int64_t end) {
      kernels::bernoulli_forward(logits_N.const_data_ptr<float>(), noise_N.const_data_ptr<double>(),
                                 sample_N.mutable_data_ptr<float>(), relaxed_N.mutable_data_ptr<float>(),
                                 slope_N.mutable_data_ptr<float>(), begin, end, temperature);
    });
    return {sample_N, relaxed_N};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    return {(grads[0] + grads[1]) * context->get_saved_variables()[0], Tensor(), Tensor()};
  }
};

void check(const Tensor& logits_N, const Tensor& noise_N, double temperature) {
  check_temperature("bernoulli_st", temperature);
  if (logits_N.dim() != 1 || noise_N.sizes() != logits_N.sizes()) {
    throw Error("ERR_SHAPE", "bernoulli_st: expected one number of noise for each logit of a flat tensor, received " +
                                 std::to_string(noise_N.numel()) + " for " + std::to_string(logits_N.numel()));
  }
  check_finite("bernoulli_st logits", logits_N);
}

}  // namespace

StraightThrough bernoulli_st_reference(const Tensor& logits_N, const Tensor& noise_N, double temperature) {
  check(logits_N, noise_N, temperature);
  const Tensor wide_N = full_width(logits_N), score_N = wide_N + noise_N.to(wide_N.options());
  return straight_through(score_N.detach().gt(0).to(wide_N.scalar_type()), (score_N / temperature).sigmoid());
}

StraightThrough bernoulli_st(const Tensor& logits_N, const Tensor& noise_N, double temperature) {
  if (!has_cpu_kernel(logits_N) && !has_float_cuda_kernel(logits_N))
    return bernoulli_st_reference(logits_N, noise_N, temperature);
  check(logits_N, noise_N, temperature);
  const auto both = BernoulliSt::apply(logits_N.contiguous(), noise_N.to(logits_N.device()).contiguous(), temperature);
  return {both[0], both[1]};
}

StraightThrough bernoulli_st(const Tensor& logits_N, const Offsets& offsets, double temperature, const Random& random) {
  check_rows("bernoulli_st", logits_N, offsets);
  return bernoulli_st(logits_N, logistic_noise(offsets, random, logits_N.device()), temperature);
}

}  // namespace merge::ops
