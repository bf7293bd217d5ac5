// Tally: sums and shares.
#include "merge/tally.h"

namespace merge {

void Tally::add(const Terms& terms, double total_value, double scale) {
  total += total_value * scale;
  recon += terms.recon.item<double>() * scale;
  compression += terms.compression.item<double>() * scale;
  pointer += terms.pointer.item<double>() * scale;
  gate += terms.gate.item<double>() * scale;
  length += terms.length.item<double>() * scale;
  rounds += 1;
}

void Tally::judge(const Tensor& keep_logits_N, const Tensor& keep_N, const Tensor& gate_B, double scale) {
  gate_rate += gate_B.numel() == 0 ? 0 : gate_B.gt(.5).to(at::kDouble).mean().item<double>() * scale;
  keep_rate += keep_N.numel() == 0 ? scale : keep_logits_N.gt(0).to(at::kDouble).mean().item<double>() * scale;
  keeps_right += keep_logits_N.gt(0).eq(keep_N.gt(.5)).sum().item<int64_t>();
  tokens += keep_N.numel();
}

void Tally::count(const Tensor& counts_G, const Tensor& oracle_G) {
  counts_right += counts_G.eq(oracle_G).sum().item<int64_t>();
  gaps += oracle_G.numel();
}

void Tally::fill(const Tensor& tokens_M, const Tensor& targets_M) {
  fills_right += tokens_M.eq(targets_M).sum().item<int64_t>();
  masks += targets_M.numel();
}

Record Tally::report(const TrainBatch& batch) const {
  const auto share = [](int64_t right, int64_t of) {
    return of == 0 ? 1.0 : static_cast<double>(right) / static_cast<double>(of);
  };
  Record report;
  report.set("total", total);
  report.set("recon", recon);
  report.set("compression", compression);
  report.set("pointer", pointer);
  report.set("gate", gate);
  report.set("length", length);
  report.set("gateRate", gate_rate);
  report.set("keepRate", keep_rate);
  report.set("fillAccuracy", share(fills_right, masks));
  report.set("keepAccuracy", share(keeps_right, tokens));
  report.set("countAccuracy", share(counts_right, gaps));
  report.set("masks", masks);
  report.set("tokens", positions);
  report.set("targetTokens", static_cast<int64_t>(batch.targets.tokens.size()));
  report.set("rounds", rounds);
  report.set("passes", passes);
  report.set("hostSeconds", host_seconds);
  return report;
}

}  // namespace merge
