// Session: the one door into the engine. No Node-API and no torch type passes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "record.h"
#include "rows.h"

namespace merge {

// Rows of drafts X and of targets Y, pairwise; without sentinels.
struct TrainBatch {
  Rows drafts;
  Rows targets;
  Rows conditions;  // read-only rows before them: none at all, or one for each pair
};

// One refinement round's input. B rows, N tokens, G = N + B gaps (a row of n tokens has n + 1).
struct RoundInput {
  Rows rows;
  std::vector<uint8_t> locked_N;  // 1: the token may not be deleted
  std::vector<uint8_t> open_G;    // 1: masks may be inserted in this gap, 2: at least one must be
  Rows conditions;                // read-only rows before them: none at all, or one for each row
};

struct RoundOutput {
  Rows rows;                    // X_{l+1}, N' tokens
  std::vector<int32_t> source;  // [N'] index of the token within its input row, -1 where it was inserted
  std::vector<float>
      confidence;  // [N'] probability of a token filled in this round, 1 of a kept one, 0 of a mask that waits
  std::vector<float> keep_N;         // [N] p_keep
  std::vector<float> gate_B;         // [B] gate probability
  std::vector<uint8_t> edited_B;     // [B] 1: the edit path ran
  std::vector<uint8_t> truncated_B;  // [B] 1: insertions were cut at maxLength
  int64_t encoder_passes = 0;
};

struct NamedArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

struct ParameterInfo {
  std::string name;
  std::vector<int64_t> shape;
};

// One model on one device, with its optimizer state. Every call must come from the compute thread.
// A call that finds `cancelled` raised between rounds or micro-batches throws ERR_ABORTED and leaves the state as it
// was.
class Session {
 public:
  // `config`: every field of the model's configuration plus seed, device and dtype; see src/config.ts.
  explicit Session(const Record& config);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // One optimizer step: unrolled rounds, losses, backward, clip, AdamW. Returns the report's numbers.
  Record train_step(const Record& step, const TrainBatch& batch);
  // The same losses without gradients or updates.
  Record evaluate(const Record& step, const TrainBatch& batch);
  // One round of refinement: gate, delete, insert, fill.
  RoundOutput refine_round(const Record& options, const RoundInput& input);
  // Copies of inner values for tests and pictures: hidden, logits, keep, gate, score, counts.
  std::map<std::string, NamedArray> inspect(const Rows& rows, const std::vector<std::string>& outputs);

  // `part` is "model" or "optimizer". A file is written and fsynced under its final name's folder; see
  // io/safetensors.h.
  void save(const std::string& path, const std::string& part);
  // Loads all or nothing: names, shapes and dtypes must match exactly, values must be finite.
  void load(const std::string& path, const std::string& part);
  // Fills some of the model's tensors from other programs' safetensors files, all or nothing. A record for each source:
  // target, file, tensor, use (whole, rows, cut or added) and rows; see nn/weight_import.h.
  void import_weights(const std::vector<Record>& sources);

  std::vector<ParameterInfo> parameters() const;
  // parameterBytes, gradientBytes, optimizerBytes: what this session holds now.
  Record memory() const;

  std::atomic<bool> cancelled{false};

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Once, on the compute thread, before any Session: intra-op threads (>= 1).
void begin_compute_thread(int64_t threads);
// libtorchVersion, cudaBuilt, cudaDevices, cpuCapability, threads.
Record engine_info();

}  // namespace merge
