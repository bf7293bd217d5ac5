// Family: the register of kinds, and what a kind without a certain skill answers.
#include "family.h"

#include "baselines/gpt_family.h"
#include "baselines/levt_family.h"
#include "baselines/maskgit_family.h"
#include "checks.h"
#include "merge/merge_family.h"
#include "remedi/remedi_family.h"

namespace merge {

void Family::refuse(const char* call, const char* families) const {
  throw Error("ERR_INPUT", std::string(call) + ": expected a model of family " + families + ", received " + name());
}

RoundOutput Family::refine_round(const Record&, const RoundInput&) { refuse("refineRound", "merge or levt"); }
DenoiseOutput Family::denoise(const Record&, const DenoiseInput&) { refuse("denoise", "remedi or maskgit"); }
void Family::remember(const CachedRows&) { refuse("remember", "remedi"); }
void Family::forget(int64_t, const std::vector<int32_t>&) { refuse("forget", "remedi, gpt or maskgit"); }
NextOutput Family::next_tokens(const Record&, const NextInput&, const std::atomic<bool>&) {
  refuse("nextTokens", "gpt");
}
LengthOutput Family::predict_lengths(const Record&, const CachedRows&) { refuse("predictLengths", "maskgit"); }
std::map<std::string, Tensor> Family::inspect_behind(const Rows&, const Rows&, const std::string&,
                                                     const std::vector<std::string>&) {
  refuse("inspectBehind", "remedi");
}
std::map<std::string, Tensor> Family::policy_logs(const Record&, const Trajectory&) { refuse("policyLogs", "remedi"); }
Record Family::learn_policy(const Record&, const Trajectory&, const std::atomic<bool>&) {
  refuse("policyStep", "remedi");
}

std::unique_ptr<Family> make_family(const Record& config) {
  const std::string& family = one_of(config, "family", {"merge", "remedi", "gpt", "levt", "maskgit"});
  if (family == "remedi") return std::make_unique<RemediFamily>(config);
  if (family == "gpt") return std::make_unique<GptFamily>(config);
  if (family == "levt") return std::make_unique<LevtFamily>(config);
  if (family == "maskgit") return std::make_unique<MaskGitFamily>(config);
  return std::make_unique<MergeFamily>(config);
}

}  // namespace merge
