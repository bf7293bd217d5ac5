// A tiny MERGE model and batches for tests: small enough that thousands of runs are affordable.
#pragma once

#include "engine.h"
#include "random.h"

namespace merge::tiny {

inline Record config(const std::string& dtype = "float32", const std::string& condition = "carry", int64_t seed = 3) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, int64_t>{{"vocabulary", 20},
                                                                  {"width", 16},
                                                                  {"layers", 2},
                                                                  {"heads", 2},
                                                                  {"keyHeads", 2},
                                                                  {"feedForward", 24},
                                                                  {"maxLength", 32},
                                                                  {"maxInsert", 6},
                                                                  {"pad", 0},
                                                                  {"bos", 1},
                                                                  {"eos", 2},
                                                                  {"mask", 3},
                                                                  {"sep", 4},
                                                                  {"localMix", 3},
                                                                  {"seed", seed}}) {
    record.set(name, value);
  }
  record.set("positions", std::string("rope"));
  record.set("norm", std::string("rms"));
  record.set("normPlace", std::string("before"));
  record.set("embeddingNorm", false);
  record.set("biases", std::string("none"));
  record.set("activation", std::string("swiglu"));
  record.set("head", std::string("tied"));
  record.set("attentionWindow", 0.0);
  record.set("globalEvery", 1.0);
  record.set("localRopeBase", 10000.0);
  record.set("activationCheckpointing", false);
  record.set("ropeBase", 10000.0);
  record.set("normEpsilon", 1e-5);
  record.set("profile", std::string("aligned"));
  record.set("countSource", std::string("counts"));
  record.set("deleter", std::string("block"));
  record.set("inserter", std::string("block"));
  record.set("gateFeatures", std::string("doubt"));
  record.set("condition", condition);
  record.set("family", std::string("merge"));
  record.set("encodings", std::string("two"));
  record.set("dtype", dtype);
  record.set("device", std::string("cpu"));
  record.set("matmulPrecision", std::string("highest"));
  return record;
}

inline Record step(int64_t number = 0) {
  Record record;
  for (const auto& [name, value] : std::map<std::string, double>{{"seed", 5},
                                                                 {"rounds", 2},
                                                                 {"learningRate", 3e-3},
                                                                 {"beta1", .9},
                                                                 {"beta2", .999},
                                                                 {"epsilon", 1e-8},
                                                                 {"weightDecay", .01},
                                                                 {"clip", 1},
                                                                 {"weightRecon", 1},
                                                                 {"weightCompression", .5},
                                                                 {"weightPointer", .5},
                                                                 {"weightGate", .1},
                                                                 {"weightLength", .1},
                                                                 {"keepReduction", .2},
                                                                 {"keepKl", .1},
                                                                 {"countSmoothing", .01},
                                                                 {"scoreEntropy", 1e-3},
                                                                 {"gateCost", .05},
                                                                 {"labelSmoothing", .1},
                                                                 {"gateNoise", 0},
                                                                 {"ownDeletion", .5},
                                                                 {"subsequence", .5},
                                                                 {"ownFill", .25},
                                                                 {"accumulation", 1},
                                                                 {"temperature", 1},
                                                                 {"window", 1},
                                                                 {"editThreshold", .5},
                                                                 {"axePenalty", 1}}) {
    record.set(name, value);
  }
  record.set("step", number);
  record.set("task", std::string("merge"));
  record.set("frozenLayers", 0.0);
  record.set("maskFrom", .15);
  record.set("maskTo", .5);
  record.set("gradient", std::string("stop"));
  record.set("deletion", std::string("hard"));
  record.set("firstRound", std::string("gate"));
  record.set("reconstruction", std::string("oracle"));
  return record;
}

// Rows of random tokens 5 .. 19, lengths 0 .. longest.
inline Rows rows(uint64_t seed, int64_t count, int64_t longest) {
  const Random random(seed, 0, 0, Purpose::kSample);
  Rows all;
  for (int64_t r = 0; r < count; ++r) {
    std::vector<int32_t> row(static_cast<size_t>(random.uniform(r, 0) * (static_cast<double>(longest) + 1)));
    for (size_t i = 0; i < row.size(); ++i) row[i] = 5 + static_cast<int32_t>(random.uniform(r, i + 1) * 15);
    all.append(row);
  }
  return all;
}

// Targets that count upwards; drafts are the targets with every third token replaced.
inline TrainBatch counting_batch(uint64_t seed, int64_t count, int64_t length) {
  const Random random(seed, 1, 0, Purpose::kSample);
  TrainBatch batch;
  for (int64_t r = 0; r < count; ++r) {
    std::vector<int32_t> target, draft;
    for (int64_t i = 0; i < length; ++i) target.push_back(5 + static_cast<int32_t>((r + i) % 15));
    for (int64_t i = 0; i < length; ++i) {
      draft.push_back(random.uniform(r, i) < .3 ? 5 + static_cast<int32_t>(random.uniform(r, 100 + i) * 15)
                                                : target[i]);
    }
    batch.targets.append(target);
    batch.drafts.append(draft);
  }
  return batch;
}

}  // namespace merge::tiny
