// Policy: log-probabilities step by step, clipped ratios, optional distance to a reference.
#include "remedi/policy.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "checks.h"
#include "nn/packed.h"
#include "remedi/copies.h"

namespace merge::remedi {
namespace {

// Stands for the score of a position that cannot be picked; no gradient passes it.
constexpr double kNever = -1e30;

// Rows [begin, end) of a run, and their part of its columns.
Trajectory slice(const Trajectory& run, int64_t begin, int64_t end) {
  Trajectory part;
  part.steps = run.steps;
  part.forbidden = run.forbidden;
  const auto answers = answer_offsets(run);
  for (int64_t r = begin; r < end; ++r) {
    part.rows.append(run.rows.row(r));
    part.prompts_B.push_back(run.prompts_B[r]);
  }
  for (int64_t s = 0; s < run.steps; ++s) {
    const auto from = s * answers.back() + answers[begin], to = s * answers.back() + answers[end];
    part.states_SA.insert(part.states_SA.end(), run.states_SA.begin() + from, run.states_SA.begin() + to);
    part.ranks_SA.insert(part.ranks_SA.end(), run.ranks_SA.begin() + from, run.ranks_SA.begin() + to);
  }
  return part;
}

// What stands at answer position `at` after step `step`.
int32_t token_after(const Trajectory& run, const Offsets& answers, int64_t step, int64_t row, int64_t at) {
  if (step + 1 < run.steps) return run.states_SA[(step + 1) * answers.back() + at];
  return run.rows.row(row)[run.prompts_B[row] + (at - answers[row])];
}

Tensor column(const Trajectory& run, const char* name, int64_t begin, int64_t length, const Tensor& like) {
  const auto& values = run.columns.at(name);
  return at::tensor(at::ArrayRef<double>(values.data() + begin, static_cast<size_t>(length))).to(like.options());
}

// -min(ratio A, clip(ratio) A)
Tensor clipped(const Tensor& log_p, const Tensor& old_log_p, const Tensor& advantage, double clip) {
  const Tensor ratio = (log_p - old_log_p).exp();
  return -at::minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage);
}

// The estimator e^d - d - 1 of the distance to a reference, d = log q - log p: never negative.
Tensor distance(const Tensor& log_p, const Tensor& reference) {
  const Tensor d = reference - log_p;
  return d.exp() - d - 1;
}

struct Sums {
  double token = 0, set = 0, kl = 0, clipped = 0, blocks = 0;
  int64_t positions = 0;
};

// Blocks before part `begin`, and the weight of each block of the part: rows weigh the same, and so do a row's blocks
// and steps.
struct Blocks {
  Blocks(const Trajectory& run, const Offsets& answers, int64_t block_length, int64_t begin, int64_t end)
      : first(answers[begin] / block_length) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t count = (answers[r + 1] - answers[r]) / block_length;
      rows.insert(rows.end(), count, r);
      weights.insert(weights.end(), count, 1.0 / static_cast<double>(count * run.steps * run.rows.count()));
    }
  }
  int64_t first;
  std::vector<int64_t> rows;
  std::vector<double> weights;
};

}  // namespace

PolicyOptions::PolicyOptions(const Record& record)
    : block_length(record.integer("blockLength")),
      temperature(record.number("temperature")),
      order_temperature(record.number("orderTemperature")),
      policy(one_of(record, "policy", {"plackett-luce", "bernoulli", "masked"})) {
  expect_config(temperature > 0 && order_temperature > 0, "temperature: expected numbers above 0");
}

Offsets answer_offsets(const Trajectory& run) {
  Offsets offsets{0};
  for (int64_t r = 0; r < run.rows.count(); ++r)
    offsets.push_back(offsets.back() + run.rows.length(r) - run.prompts_B[r]);
  return offsets;
}

Tensor set_log_probability(const PolicyOptions& options, const Tensor& h_JL, const std::vector<int32_t>& ranks_JL,
                           const std::vector<uint8_t>& hidden_JL) {
  const int64_t blocks = h_JL.size(0), length = h_JL.size(1);
  const Tensor score_JL = h_JL / options.order_temperature;
  const bool masked_only = options.policy == "masked";
  const auto flag_tensor = [&](auto&& flag_of) {
    Tensor flags = at::empty({blocks, length}, at::kBool);
    for (int64_t i = 0; i < blocks * length; ++i) flags.mutable_data_ptr<bool>()[i] = flag_of(i);
    return flags.to(h_JL.device());
  };
  if (options.policy == "bernoulli") {
    const Tensor is_picked = flag_tensor([&](int64_t i) { return ranks_JL[i] >= 0; });
    return -at::softplus(at::where(is_picked, -score_JL, score_JL)).sum(1);
  }
  // In the order [never picked, picked last .. picked first] the running log-sum is, at each pick, the log of the mass
  // that was left to pick from.
  std::vector<int64_t> order(static_cast<size_t>(blocks * length));
  for (int64_t j = 0; j < blocks; ++j) {
    const auto begin = order.begin() + j * length;
    std::iota(begin, begin + length, 0);
    std::stable_sort(begin, begin + length, [&](int64_t a, int64_t b) {
      const int32_t rank_a = ranks_JL[j * length + a], rank_b = ranks_JL[j * length + b];
      if ((rank_a < 0) != (rank_b < 0)) return rank_a < 0;
      return rank_a > rank_b;
    });
  }
  const Tensor order_JL = nn::index_tensor(order, h_JL.device()).view({blocks, length});
  Tensor open_JL = score_JL;
  if (masked_only) {
    open_JL = score_JL.masked_fill(flag_tensor([&](int64_t i) { return !hidden_JL[i]; }), kNever);
  }
  const Tensor ordered_JL = open_JL.gather(1, order_JL);
  const Tensor left_JL = ordered_JL.logcumsumexp(1);
  const Tensor is_picked =
      flag_tensor([&](int64_t i) { return ranks_JL[i / length * length + order[static_cast<size_t>(i)]] >= 0; });
  return at::where(is_picked, ordered_JL - left_JL, at::zeros_like(left_JL)).sum(1);
}

StepLogs step_logs(const Model& model, const PolicyOptions& options, const Trajectory& run, int64_t step) {
  const Offsets answers = answer_offsets(run);
  const int64_t total = answers.back(), length = options.block_length;
  const int32_t mask = model.options().mask;

  // 1) both streams over [prompt | finished | state]
  Rows states;
  for (int64_t r = 0; r < run.rows.count(); ++r) {
    states.append({run.states_SA.data() + step * total + answers[r], static_cast<size_t>(answers[r + 1] - answers[r])});
  }
  const Copies rows = copies(model, run.rows, states, length);
  const Streams streams = model.forward(rows.sequence, rows.bias);
  const Tensor h_JL = streams.confidence_T.index_select(0, rows.noisy_A).view({-1, length});

  // 2) the tokens that came to stand where a mask was
  const std::vector<int32_t> ranks(run.ranks_SA.begin() + step * total, run.ranks_SA.begin() + (step + 1) * total);
  std::vector<uint8_t> hidden(static_cast<size_t>(total));
  std::vector<int64_t> filled, blocks, tokens;
  for (int64_t r = 0; r < run.rows.count(); ++r) {
    for (int64_t at = answers[r]; at < answers[r + 1]; ++at) {
      hidden[at] = states.tokens[at] == mask;
      if (!hidden[at] || ranks[at] < 0) continue;
      filled.push_back(at);
      blocks.push_back(at / length);
      tokens.push_back(token_after(run, answers, step, r, at));
    }
  }
  const at::Device device = h_JL.device();
  const Tensor places = rows.noisy_A.index_select(0, nn::index_tensor(filled, device));
  std::vector<int64_t> forbidden(run.forbidden.begin(), run.forbidden.end());
  forbidden.push_back(mask);
  const nn::HeadLossOptions said{.temperature = options.temperature,
                                 .forbidden_F = nn::index_tensor(forbidden, device)};
  const Tensor log_p_M =
      -model.head().loss(streams.hidden_TD.index_select(0, places), nn::index_tensor(tokens, device), said).loss_M;
  const Tensor token_J =
      at::zeros({h_JL.size(0)}, log_p_M.options()).index_add(0, nn::index_tensor(blocks, device), log_p_M);

  // 3) the set, but for the last step, whose order is noise
  const bool is_last = step + 1 == run.steps;
  return {token_J,
          is_last ? at::zeros({h_JL.size(0)}, h_JL.options()) : set_log_probability(options, h_JL, ranks, hidden)};
}

std::map<std::string, Tensor> policy_logs(const Model& model, const Record& options, const Trajectory& run) {
  at::NoGradGuard no_grad;
  const PolicyOptions policy(options);
  std::vector<Tensor> tokens, sets;
  for (int64_t s = 0; s < run.steps; ++s) {
    const StepLogs logs = step_logs(model, policy, run, s);
    tokens.push_back(logs.token_J);
    sets.push_back(logs.set_J);
  }
  return {{"token", at::stack(tokens)}, {"set", at::stack(sets)}};
}

Record run_policy(Model& model, const Record& step, const Trajectory& run, const std::atomic<bool>& cancelled) {
  const PolicyOptions options(step);
  const double clip = step.number("ratioClip"), kl_weight = step.number("klWeight");
  const bool has_old = run.columns.contains("oldToken");
  const Offsets answers = answer_offsets(run);
  const int64_t rows = run.rows.count(), parts = std::min(step.integer("accumulation"), rows);
  const int64_t all_blocks = answers.back() / options.block_length;
  Sums sums;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
    const Trajectory rows_of_part = slice(run, begin, end);
    const Blocks blocks(run, answers, options.block_length, begin, end);
    const auto count = static_cast<int64_t>(blocks.rows.size());
    for (int64_t s = 0; s < run.steps; ++s) {
      if (cancelled.load()) throw Error("ERR_ABORTED", "the step was cancelled");
      const StepLogs logs = step_logs(model, options, rows_of_part, s);
      const Tensor row_J = nn::index_tensor(blocks.rows, logs.token_J.device());
      const Tensor advantage_J = column(run, "advantage", 0, rows, logs.token_J).index_select(0, row_J);
      const Tensor weight_J = at::tensor(blocks.weights, at::kDouble).to(logs.token_J.options());
      const auto logs_of = [&](const char* name) {
        return column(run, name, s * all_blocks + blocks.first, count, logs.token_J);
      };
      // Before a first update old and new are one policy.
      const Tensor old_token = has_old ? logs_of("oldToken") : logs.token_J.detach();
      const Tensor old_set = has_old ? logs_of("oldSet") : logs.set_J.detach();
      const Tensor token = (clipped(logs.token_J, old_token, advantage_J, clip) * weight_J).sum();
      const Tensor set = (clipped(logs.set_J, old_set, advantage_J, clip) * weight_J).sum();
      Tensor total = s + 1 < run.steps ? token + set : token;
      Tensor kl;
      if (kl_weight > 0) {
        kl = ((distance(logs.token_J, logs_of("referenceToken")) + distance(logs.set_J, logs_of("referenceSet"))) *
              weight_J)
                 .sum();
        total = total + kl_weight * kl;
      }
      // sync: a bad loss must stop before it reaches the weights.
      const double value = total.item<double>();
      if (!std::isfinite(value)) {
        throw Error("ERR_NONFINITE", "loss: expected a finite number, received " + std::to_string(value) + " at step " +
                                         std::to_string(step.integer("step")));
      }
      torch::autograd::backward({total}, {});
      at::NoGradGuard no_grad;
      sums.token += token.item<double>();
      if (s + 1 < run.steps) sums.set += set.item<double>();
      if (kl.defined()) sums.kl += kl.item<double>();
      const auto outside = [&](const Tensor& now, const Tensor& old) {
        return (now - old).exp().sub(1).abs().gt(clip).sum().item<double>();
      };
      sums.clipped += outside(logs.token_J, old_token) + outside(logs.set_J, old_set);
      sums.blocks += 2.0 * static_cast<double>(count);
    }
    sums.positions += run.steps * (rows_of_part.rows.offsets.back() + answers[end] - answers[begin]);
  }
  Record report;
  report.set("total", sums.token + sums.set + kl_weight * sums.kl);
  report.set("token", sums.token);
  report.set("set", sums.set);
  report.set("kl", sums.kl);
  report.set("clipped", sums.clipped / sums.blocks);
  report.set("tokens", sums.positions);
  report.set("hostSeconds", 0.0);
  return report;
}

void check_trajectory(const ModelOptions& options, int64_t block_length, const Trajectory& run) {
  const int64_t rows = run.rows.count();
  check_rows("rows", run.rows, options.vocabulary, options.max_length);
  expect_shape(rows > 0 && static_cast<int64_t>(run.prompts_B.size()) == rows,
               "prompts: expected a length for each of " + std::to_string(rows) + " rows, at least one");
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t answer = run.rows.length(r) - run.prompts_B[r];
    expect_shape(run.prompts_B[r] >= 0 && answer > 0 && answer % block_length == 0,
                 "rows: expected an answer of whole blocks of " + std::to_string(block_length) + ", received " +
                     std::to_string(answer) + " tokens in row " + std::to_string(r));
  }
  const int64_t answers = answer_offsets(run).back();
  const auto states = static_cast<size_t>(run.steps * answers);
  expect_shape(run.steps > 0 && run.states_SA.size() == states && run.ranks_SA.size() == states,
               "states and ranks: expected " + std::to_string(states) + " numbers, received " +
                   std::to_string(run.states_SA.size()) + " and " + std::to_string(run.ranks_SA.size()));
  Rows ids;
  ids.append(run.states_SA);
  check_rows("states", ids, options.vocabulary, static_cast<int64_t>(states));
  for (const int32_t rank : run.ranks_SA) {
    expect_shape(rank >= -1 && rank < block_length,
                 "ranks: expected -1.." + std::to_string(block_length - 1) + ", received " + std::to_string(rank));
  }
  for (const int32_t id : run.forbidden) {
    expect_shape(id >= 0 && id < options.vocabulary, "forbidden: expected ids, received " + std::to_string(id));
  }
  for (const auto& [name, values] : run.columns) {
    const auto wanted = static_cast<size_t>(name == "advantage" ? rows : run.steps * answers / block_length);
    expect_shape(values.size() == wanted,
                 name + ": expected " + std::to_string(wanted) + " numbers, received " + std::to_string(values.size()));
  }
}

}  // namespace merge::remedi
