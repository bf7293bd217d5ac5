// Family: the register of kinds, and what a kind without a certain skill answers.
#include "family.h"

#include "checks.h"
#include "merge/merge_family.h"
#include "remedi/remedi_family.h"

namespace merge {

RoundOutput Family::refine_round(const Record&, const RoundInput&) {
  throw Error("ERR_INPUT", std::string("refineRound: expected a model of family merge, received ") + name());
}

std::unique_ptr<Family> make_family(const Record& config) {
  if (one_of(config, "family", {"merge", "remedi"}) == "remedi") return std::make_unique<RemediFamily>(config);
  return std::make_unique<MergeFamily>(config);
}

}  // namespace merge
