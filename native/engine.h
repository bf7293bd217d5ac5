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
  // One encoding a round: where each row stood in the last round of its generation; none in the first round.
  std::vector<int32_t> parents_B;
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

// Rows that are read behind what a generation remembers of them.
struct CachedRows {
  int64_t generation;  // any number; a generation begins with its first call
  Rows rows;
  std::vector<int32_t> positions;  // one for each token
  std::vector<int32_t> slots;      // one for each row, all different: where the generation keeps it
};

// One denoising step's input: the current blocks of rows. B rows, N tokens.
struct DenoiseInput {
  CachedRows blocks;
  // 0: the policy decides; 1: a visible token stays, a mask is filled; 2: ends as a mask.
  std::vector<uint8_t> fate_N;
  std::vector<int32_t> forbidden;  // ids that are never written, beside the mask
  // Numbers of each row. keep: positions visible after the step (rank), or masks filled at least (threshold). key and
  // draw: whose random numbers, and which of them.
  std::map<std::string, std::vector<double>> columns_B;
};

struct DenoiseOutput {
  std::vector<int32_t> tokens;     // [N] after the step
  std::vector<int32_t> candidate;  // [N] the token that stands or would stand there
  std::vector<float> confidence;   // [N] of the source: 0..1, margins -1..1, logits as they are
  std::vector<float> score;        // [N] what was ranked
  std::vector<float> probability;  // [N] of the candidate under the token stream; 0 where the head was not asked
};

// Rows that a language model writes on with. B rows.
struct NextInput {
  int64_t generation;          // any number; a generation begins with its first call
  Rows rows;                   // what each slot has not read yet: at first a prompt, then the newest token
  std::vector<int32_t> slots;  // one for each row, all different: where the generation keeps it
  std::vector<int32_t> stop;   // ids that end a row
  // Numbers of each row. limit: most tokens it may still write; written: those it has; key: whose random numbers.
  std::map<std::string, std::vector<double>> columns_B;
};

struct NextOutput {
  Rows rows;                       // what each row got
  std::vector<float> probability;  // [N] of each token, at temperature 1
};

// The lengths that a model thinks of, B rows, K of each, the most probable first.
struct LengthOutput {
  std::vector<int32_t> lengths;    // [BK] tokens
  std::vector<float> probability;  // [BK]
};

// A denoising run of Remask-RL. B rows, A positions of their answers, S steps, J blocks.
struct Trajectory {
  Rows rows;                       // prompt and finished answer of whole blocks
  std::vector<int32_t> prompts_B;  // tokens of each prompt
  int64_t steps = 0;
  std::vector<int32_t> states_SA;  // the answers before each step
  std::vector<int32_t> ranks_SA;   // place of each position in the ordered set of the step, -1 outside
  std::vector<int32_t> forbidden;  // ids that were never written, beside the mask
  // advantage [B]; oldToken, oldSet, referenceToken, referenceSet [S J], the last four where they are wanted.
  std::map<std::string, std::vector<double>> columns;
};

struct NamedArray {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// Tensors of a file of another layout, pairwise with the rows of parameters that they are.
struct WeightPieces {
  std::vector<std::string> tensors, parameters;
  std::vector<int32_t> begins, rows;
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
  // One denoising step of blocks behind a generation's cache, which stays as it is.
  DenoiseOutput denoise(const Record& options, const DenoiseInput& input);
  // Reads rows into a generation's cache.
  void remember(const CachedRows& input);
  // Frees slots of a generation; without any, all of it. Unknown ones are none.
  void forget(int64_t generation, const std::vector<int32_t>& slots);
  // Up to `steps` tokens for each row, one after another: it leaves with an id of `stop`, which is its last token, or
  // at its limit. The newest token of each row is not read yet; the next call gives it back.
  NextOutput next_tokens(const Record& options, const NextInput& input);
  // Reads sources into a generation's cache, and predicts how long their targets are: `count` lengths for each row.
  LengthOutput predict_lengths(const Record& options, const CachedRows& sources);

  // The log-probabilities of what a denoising run did, [S, J] each: token and set.
  std::map<std::string, NamedArray> policy_logs(const Record& options, const Trajectory& run);
  // One optimizer step of Remask-RL on a run. Returns the report's numbers.
  Record policy_step(const Record& step, const Trajectory& run);
  // Copies of inner values for tests and pictures: hidden, logits, keep, gate, score, counts.
  std::map<std::string, NamedArray> inspect(const Rows& rows, const std::vector<std::string>& outputs);

  // The same of rows that stand behind prompts, pairwise, each seeing its prompt and itself. way: "cached" or "whole".
  std::map<std::string, NamedArray> inspect_behind(const Rows& prompts, const Rows& rows, const std::string& way,
                                                   const std::vector<std::string>& outputs);

  // `part` is "model" or "optimizer". A file is written and fsynced under its final name's folder; see
  // io/safetensors.h.
  void save(const std::string& path, const std::string& part);
  // Loads all or nothing: names, shapes and dtypes must match exactly, values must be finite.
  void load(const std::string& path, const std::string& part);
  // Fills some of the model's tensors from other programs' safetensors files, all or nothing. A record for each source:
  // target, file, tensor, use (whole, rows, cut or added) and rows; see nn/weight_import.h.
  void import_weights(const std::vector<Record>& sources);

  // Fills rows of parameters from a safetensors file of another layout, a part at a time.
  void read_pieces(const std::string& path, const WeightPieces& pieces);
  // Writes rows of parameters as tensors of such a file. dtype: "float32" or "bfloat16".
  void write_pieces(const std::string& path, const WeightPieces& pieces, const std::string& dtype);
  // Draws the first values of parameters: what a model that began blank was not given.
  void draw(const std::vector<std::string>& parameters);

  std::vector<ParameterInfo> parameters() const;
  // parameterBytes, gradientBytes, optimizerBytes, cacheBytes, preparedBytes (matrices in a half-width model's own
  // order): what this session holds now; pooledBytes: what all sessions keep for their next tensors.
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
