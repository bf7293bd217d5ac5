// The policy of Remask-RL: sets by brute force, tokens against plain forward passes, gradients against finite
// differences, micro-batches, and a reward that is learned.
#define MERGE_CHECK_MAIN
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "check.h"
#include "optim/adamw.h"
#include "remedi/policy.h"
#include "remedi_tiny.h"

using namespace merge;
using remedi::Place;

namespace {

constexpr int64_t kBlock = 4;
constexpr int32_t kMask = 3;
const std::atomic<bool> kWanted{false};

double worst(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

void disturb(nn::Parameters& parameters) {
  at::NoGradGuard no_grad;
  at::manual_seed(5);
  for (const auto& entry : parameters.entries()) entry.tensor.detach().add_(at::randn_like(entry.tensor), .1);
}

Record step(const std::string& policy = "plackett-luce", double kl = 0) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, double>{{"seed", 5},
                                                                 {"step", 0},
                                                                 {"accumulation", 1},
                                                                 {"blockLength", kBlock},
                                                                 {"temperature", 1.2},
                                                                 {"orderTemperature", .8},
                                                                 {"ratioClip", .2},
                                                                 {"klWeight", kl}}) {
    record.set(name, value);
  }
  record.set("policy", Record::Value(policy));
  return record;
}

// A made-up run of two steps over prompts of 2 and 0 tokens with 2 and 1 blocks: 2 of 4 positions, then all; one
// visible token is remasked on the way.
Trajectory made_run() {
  Trajectory run;
  run.rows.append(std::vector<int32_t>{9, 8, 5, 6, 7, 8, 9, 10, 11, 12});
  run.rows.append(std::vector<int32_t>{13, 14, 15, 16});
  run.prompts_B = {2, 0};
  run.steps = 3;
  const int32_t m = kMask;
  run.states_SA = {m, m, m,  m, m, m,  m,  m,  m,  m,  m,  m,    // all masks
                   5, m, 17, m, m, m,  m,  12, 13, m,  m,  16,   // two each
                   5, m, 7,  8, m, 10, 11, 12, m,  14, 15, 16};  // three each; 17 and 13 were given up, 7 is new
  run.ranks_SA = {1, -1, 0,  -1, -1, -1, 0, 1, 0, -1, -1, 1, 2, -1, 0, 1, -1, 0,
                  1, 2,  -1, 2,  0,  1,  0, 1, 2, 3,  3,  2, 1, 0,  0, 1, 2,  3};
  // Position 2 of the first block shows 17, so it cannot come to show 7 while it stays; and 11 was masked before.
  run.states_SA[2 + 12] = 7;
  run.states_SA[6 + 12] = m;
  run.ranks_SA[6] = -1;
  run.ranks_SA[5] = 0;
  run.states_SA[5 + 12] = 10;
  run.forbidden = {0, 1};
  run.columns["advantage"] = {.7, -1.3};
  return run;
}

// The product of softmaxes over what is left, one pick after the other.
double brute(const std::vector<double>& scores, const std::vector<int32_t>& ranks, const std::vector<bool>& open) {
  std::vector<size_t> picks;
  for (int32_t rank = 0;; ++rank) {
    const auto found = std::find(ranks.begin(), ranks.end(), rank);
    if (found == ranks.end()) break;
    picks.push_back(static_cast<size_t>(found - ranks.begin()));
  }
  std::vector<bool> left = open;
  double total = 0;
  for (const size_t pick : picks) {
    double mass = 0;
    for (size_t i = 0; i < scores.size(); ++i) mass += left[i] ? std::exp(scores[i]) : 0;
    total += scores[pick] - std::log(mass);
    left[pick] = false;
  }
  return total;
}

}  // namespace

TEST(sets_have_the_probability_of_brute_force) {
  at::manual_seed(1);
  const Tensor h = at::randn({3, 5}, at::kDouble) * 3;
  const std::vector<int32_t> ranks{0, -1, 2, 1, -1, -1, -1, -1, 0, -1, 4, 3, 2, 1, 0};
  const std::vector<uint8_t> hidden{1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1};
  for (const std::string policy : {"plackett-luce", "masked", "bernoulli"}) {
    const remedi::PolicyOptions options(step(policy));
    const Tensor found = remedi::set_log_probability(options, h, ranks, hidden);
    for (int64_t j = 0; j < 3; ++j) {
      std::vector<double> scores;
      std::vector<int32_t> own(ranks.begin() + 5 * j, ranks.begin() + 5 * (j + 1));
      std::vector<bool> open;
      double coins = 0;
      for (int64_t i = 0; i < 5; ++i) {
        scores.push_back(h[j][i].item<double>() / .8);
        open.push_back(policy != "masked" || hidden[5 * j + i] == 1);
        const double p = 1 / (1 + std::exp(-scores.back()));
        coins += std::log(own[i] >= 0 ? p : 1 - p);
      }
      CHECK_NEAR(found[j].item<double>(), policy == "bernoulli" ? coins : brute(scores, own, open), 1e-10);
    }
  }
}

TEST(scores_that_no_exponential_holds) {
  const remedi::PolicyOptions options(step());
  const Tensor h = at::tensor({800.0, 0.0, -1600.0, 0.0}, at::kDouble).view({1, 4}).requires_grad_(true);
  const Tensor log_p = remedi::set_log_probability(options, h, {-1, 1, 0, -1}, {1, 1, 1, 1});
  CHECK_NEAR(log_p.item<double>(), -3000.0 - 1000.0, 1e-9);
  log_p.sum().backward();
  CHECK(h.grad().isfinite().all().item<bool>());
}

TEST(log_probabilities_are_those_of_plain_passes) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  at::NoGradGuard no_grad;
  const Trajectory run = made_run();
  const remedi::PolicyOptions options(step());
  for (int64_t s = 0; s < run.steps; ++s) {
    const remedi::StepLogs logs = remedi::step_logs(model, options, run, s);
    int64_t j = 0;
    for (int64_t r = 0; r < 2; ++r) {
      const auto whole = run.rows.row(r);
      const int64_t prompt = run.prompts_B[r], blocks = (run.rows.length(r) - prompt) / kBlock;
      for (int64_t block = 0; block < blocks; ++block, ++j) {
        const int64_t past = prompt + block * kBlock;
        std::vector<int32_t> tokens(whole.begin(), whole.begin() + past);
        const auto state = run.states_SA.begin() + s * 12 + j * kBlock;
        tokens.insert(tokens.end(), state, state + kBlock);
        Rows one;
        one.append(tokens);
        std::vector<Place> places;
        for (int64_t i = 0; i < past + kBlock; ++i) {
          places.push_back({i < prompt ? Place::kPrompt : static_cast<int32_t>(1 + (i - prompt) / kBlock)});
        }
        const auto sequence = model.sequence(one);
        const auto streams = model.forward(sequence, remedi::visibility_bias(places, sequence.offsets, at::kCPU));
        Tensor logits = model.head().logits(streams.hidden_TD.narrow(0, past, kBlock)) / 1.2;
        for (const int64_t never : {0, 1, 3}) logits.select(1, never).fill_(-1e30);
        const Tensor log_p = logits.log_softmax(1);
        double expected = 0;
        for (int64_t i = 0; i < kBlock; ++i) {
          if (state[i] != kMask || run.ranks_SA[s * 12 + j * kBlock + i] < 0) continue;
          const int32_t next = s == 2 ? whole[past + i] : run.states_SA[(s + 1) * 12 + j * kBlock + i];
          CHECK(next != kMask);
          expected += log_p[i][next].item<double>();
        }
        CHECK_NEAR(logs.token_J[j].item<double>(), expected, 1e-9);
        std::vector<double> scores;
        for (int64_t i = 0; i < kBlock; ++i) scores.push_back(streams.confidence_T[past + i].item<double>() / .8);
        const auto ranks = run.ranks_SA.begin() + s * 12 + j * kBlock;
        const double set = s == 2 ? 0 : brute(scores, {ranks, ranks + kBlock}, std::vector<bool>(kBlock, true));
        CHECK_NEAR(logs.set_J[j].item<double>(), set, 1e-9);
      }
    }
    CHECK(j == 3);
  }
}

TEST(gradients_are_those_of_finite_differences) {
  for (const std::string policy : {"plackett-luce", "bernoulli", "masked"}) {
    remedi::Model model(tiny::remedi_config("float64"));
    disturb(model.parameters());
    Trajectory run = made_run();
    const Record record = step(policy, .3);
    // Where only masks are ranked, visible tokens have no place in the order.
    for (size_t i = 0; policy == "masked" && i < run.ranks_SA.size(); ++i) {
      if (run.states_SA[i] != kMask) run.ranks_SA[i] = -1;
    }
    const auto logs = remedi::policy_logs(model, record, run);
    // Some ratios inside the clip, some outside, none at its edge.
    for (const auto& [name, part, shift] : {std::tuple{"oldToken", "token", .07},
                                            {"oldSet", "set", .31},
                                            {"referenceToken", "token", .2},
                                            {"referenceSet", "set", -.15}}) {
      const Tensor flat = logs.at(part).flatten();
      for (int64_t i = 0; i < flat.numel(); ++i) {
        run.columns[name].push_back(flat[i].item<double>() + (i % 2 == 0 ? shift : -shift));
      }
    }
    model.parameters().zero_gradients();
    remedi::run_policy(model, record, run, kWanted);
    std::vector<Tensor> gradients;
    for (const auto& entry : model.parameters().entries()) gradients.push_back(entry.tensor.grad().clone());
    const auto loss = [&] { return remedi::run_policy(model, record, run, kWanted).number("total"); };
    int64_t checked = 0, index = -1;
    for (const auto& entry : model.parameters().entries()) {
      ++index;
      if (entry.name.starts_with("policy.blocks.2") || entry.name.starts_with("policy.back.2")) continue;  // unused
      if (policy != "plackett-luce" && index % 4 != 0) continue;
      Tensor flat = entry.tensor.detach().view({-1});
      const int64_t at = (11 * checked + 5) % flat.numel();
      const double width = 1e-5, value = flat[at].item<double>();
      flat[at] = value + width;
      const double above = loss();
      flat[at] = value - width;
      const double below = loss();
      flat[at] = value;
      CHECK_NEAR(gradients[index].view({-1})[at].item<double>(), (above - below) / (2 * width), 2e-7);
      ++checked;
    }
    CHECK(checked > (policy == "plackett-luce" ? 38 : 8));
  }
}

TEST(without_old_numbers_the_ratio_is_one) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  Trajectory run = made_run();
  model.parameters().zero_gradients();
  const Record fresh = remedi::run_policy(model, step(), run, kWanted);
  const Tensor gradient = model.parameters().groups()[0].gradients.clone();
  const auto logs = remedi::policy_logs(model, step(), run);
  for (const auto& [name, part] : {std::pair{"oldToken", "token"}, {"oldSet", "set"}}) {
    const Tensor flat = logs.at(part).flatten();
    for (int64_t i = 0; i < flat.numel(); ++i) run.columns[name].push_back(flat[i].item<double>());
  }
  model.parameters().zero_gradients();
  const Record given = remedi::run_policy(model, step(), run, kWanted);
  CHECK_NEAR(fresh.number("total"), given.number("total"), 1e-12);
  CHECK(fresh.number("clipped") == 0 && given.number("clipped") == 0);
  CHECK(worst(gradient, model.parameters().groups()[0].gradients) < 1e-12);
}

TEST(micro_batches_add_up_to_the_whole) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  const auto gradient = [&](double parts) {
    Record record = step();
    record.set("accumulation", parts);
    model.parameters().zero_gradients();
    remedi::run_policy(model, record, made_run(), kWanted);
    return model.parameters().groups()[0].gradients.clone();
  };
  const Tensor whole = gradient(1);
  CHECK(worst(whole, gradient(2)) < 1e-12);
  CHECK(whole.abs().max().item<double>() > 1e-4);
}

TEST(the_last_steps_order_has_no_part) {
  remedi::Model model(tiny::remedi_config("float64"));
  disturb(model.parameters());
  Trajectory run = made_run();
  const double before = remedi::run_policy(model, step(), run, kWanted).number("total");
  std::swap(run.ranks_SA[24], run.ranks_SA[25]);
  CHECK(remedi::run_policy(model, step(), run, kWanted).number("total") == before);
  std::swap(run.ranks_SA[2 + 12], run.ranks_SA[3 + 12]);
  const auto logs = remedi::policy_logs(model, step(), run), old = remedi::policy_logs(model, step(), made_run());
  CHECK(worst(logs.at("set"), old.at("set")) > 1e-3);
}

TEST(what_was_rewarded_becomes_likelier_and_what_was_punished_less) {
  remedi::Model model(tiny::remedi_config("float32"));
  disturb(model.parameters());
  const Trajectory run = made_run();
  const auto before = remedi::policy_logs(model, step(), run);
  AdamW optimizer;
  for (int64_t s = 0; s < 5; ++s) {
    model.parameters().zero_gradients();
    remedi::run_policy(model, step(), run, kWanted);
    optimizer.step(model.parameters(), {.learning_rate = 1e-3,
                                        .second_learning_rate = 1e-3,
                                        .beta1 = .9,
                                        .beta2 = .999,
                                        .epsilon = 1e-8,
                                        .weight_decay = 0});
  }
  const auto after = remedi::policy_logs(model, step(), run);
  for (const char* part : {"token", "set"}) {
    const Tensor change = (after.at(part) - before.at(part)).sum(0);
    CHECK(change[0].item<double>() + change[1].item<double>() > 0);
    CHECK(change[2].item<double>() < 0);
  }
}

TEST(broken_runs_are_refused) {
  remedi::Model model(tiny::remedi_config("float32"));
  const auto refused = [&](auto&& change) {
    Trajectory run = made_run();
    change(run);
    CHECK_THROWS(remedi::check_trajectory(model.options(), kBlock, run));
  };
  remedi::check_trajectory(model.options(), kBlock, made_run());
  refused([](Trajectory& run) { run.steps = 2; });
  refused([](Trajectory& run) { run.prompts_B[0] = 3; });
  refused([](Trajectory& run) { run.prompts_B.pop_back(); });
  refused([](Trajectory& run) { run.states_SA[3] = 20; });
  refused([](Trajectory& run) { run.ranks_SA[3] = 4; });
  refused([](Trajectory& run) { run.forbidden = {-1}; });
  refused([](Trajectory& run) { run.columns["advantage"].push_back(1); });
  refused([](Trajectory& run) { run.columns["oldSet"] = {1}; });
}
