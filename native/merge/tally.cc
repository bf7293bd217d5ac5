// Tally: sums and shares.
#include "merge/tally.h"

namespace merge {
namespace {

void grow(Tensor& sum, const Tensor& value, double scale = 1) {
  const Tensor more = value.detach().to(at::kDouble) * scale;
  sum = sum.defined() ? sum + more : more;
}

}  // namespace

void Tally::add(const Terms& terms, double total_value, double scale) {
  total += total_value * scale;
  grow(terms_5, at::stack({terms.recon, terms.compression, terms.pointer, terms.gate, terms.length}), scale);
  rounds += 1;
}

void Tally::judge(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& gate_B, double scale) {
  const auto share = [&](const Tensor& flags, double of_none) {
    return flags.numel() == 0 ? at::full({}, of_none, flags.options().dtype(at::kDouble))
                              : flags.to(at::kDouble).mean();
  };
  grow(rates_2, at::stack({share(gate_B.gt(.5), 0), share(keep_logits_N.gt(0), 1)}), scale);
  grow(keeps_right, keep_logits_N.gt(0).eq(keep_N.gt(.5)).sum());
  tokens += keep_N.numel();
}

void Tally::count(const Tensor& counts_G, const Tensor& oracle_G) {
  grow(counts_right, counts_G.eq(oracle_G).sum());
  gaps += oracle_G.numel();
}

void Tally::fill(const Tensor& tokens_M, const Tensor& targets_M) {
  grow(fills_right, tokens_M.eq(targets_M).sum());
  masks += targets_M.numel();
}

Record Tally::report(const TrainBatch& batch) const {
  // sync: once in a step, all sums together.
  const at::TensorOptions device = fills_right.defined() ? fills_right.options() : at::TensorOptions();
  std::vector<Tensor> parts;
  for (const auto& [sum, size] :
       {std::pair{&terms_5, 5}, {&rates_2, 2}, {&keeps_right, 1}, {&counts_right, 1}, {&fills_right, 1}}) {
    parts.push_back(sum->defined() ? sum->reshape({size}) : at::zeros({size}, device.dtype(at::kDouble)));
  }
  const Tensor host = at::cat(parts).to(at::kCPU);
  const double* sums = host.const_data_ptr<double>();
  const auto share = [](double right, int64_t of) { return of == 0 ? 1.0 : right / static_cast<double>(of); };
  Record report;
  report.set("total", total);
  report.set("recon", recon + sums[0]);
  report.set("compression", sums[1]);
  report.set("pointer", sums[2]);
  report.set("gate", sums[3]);
  report.set("length", sums[4]);
  report.set("gateRate", sums[5]);
  report.set("keepRate", sums[6]);
  report.set("fillAccuracy", share(sums[9], masks));
  report.set("keepAccuracy", share(sums[7], tokens));
  report.set("countAccuracy", share(sums[8], gaps));
  report.set("masks", masks);
  report.set("tokens", positions);
  report.set("targetTokens", static_cast<int64_t>(batch.targets.tokens.size()));
  report.set("rounds", rounds);
  report.set("passes", passes);
  report.set("hostSeconds", host_seconds);
  return report;
}

}  // namespace merge
