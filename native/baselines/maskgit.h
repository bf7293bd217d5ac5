// MaskGit: the mask-predict baseline: one bidirectional stream reads a source, and a target of which some tokens are
// masks (arXiv 1904.09324, arXiv 2202.04200); a second head says from the source alone how long the target is.
#pragma once

#include <vector>

#include "engine.h"
#include "nn/kv_cache.h"
#include "nn/token_stream.h"

namespace merge::baselines {

struct MaskGitOptions {
  nn::TokenStreamOptions stream;  // max_length: most tokens of a text, source or target
  int32_t mask;
  int64_t length_range;  // R: the head tells apart differences -R .. R to the length of the source

  explicit MaskGitOptions(const Record& config);

  // A source stands between two markers; one token alone, the first marker, is no source at all.
  static constexpr int64_t kMarkers = 2;
};

class MaskGit {
 public:
  explicit MaskGit(const Record& config);

  // Row r is sources[r], then targets[r]. Decision: token i of a target has the position of token i of its source,
  // behind the first marker, as in an encoder and a decoder; a learned vector tells the two apart.
  nn::Sequence pairs(const Rows& sources, const Rows& targets) const;
  nn::Sequence sources(const Rows& sources) const { return stream_.sequence(sources); }
  nn::Sequence targets(const Rows& targets) const;

  // Hidden states [T, D], normalised: what both heads read. A source sees itself alone, a target all of its row.
  Tensor forward_pairs(const Rows& sources, const Rows& targets) const;
  // Sources into slots of a cache.
  Tensor remember(nn::KvCache& cache, const Rows& sources, const std::vector<int32_t>& slots) const;
  // Targets behind sources in a cache, which stays as it is; several may share a slot.
  Tensor forward_targets(const nn::KvCache& cache, const Rows& targets, const std::vector<int32_t>& slots) const;

  const nn::Head& head() const { return stream_.head(); }
  // Hidden states of first markers [B, D] -> logits [B, 2R + 1] of differences.
  Tensor length_logits(const Tensor& hidden_BD) const;

  const MaskGitOptions& options() const { return options_; }
  const nn::Placement& placement() const { return options_.stream.placement; }
  nn::Parameters& parameters() { return parameters_; }

 private:
  MaskGitOptions options_;
  nn::Parameters parameters_;
  nn::TokenStream stream_;
  Tensor target_, length_;
};

// Tokens of a source without its markers.
inline int64_t source_length(const Rows& sources, int64_t r) {
  return std::max<int64_t>(0, sources.length(r) - MaskGitOptions::kMarkers);
}

}  // namespace merge::baselines
