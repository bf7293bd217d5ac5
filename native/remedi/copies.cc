// Copies: the packed rows, their positions, and what sees what.
#include "remedi/copies.h"

#include "checks.h"
#include "nn/packed.h"

namespace merge::remedi {

Copies copies(const Model& model, const Rows& whole, const Rows& noisy, int64_t block_length) {
  Rows rows;
  std::vector<int32_t> positions;
  std::vector<Place> places;
  std::vector<int64_t> noisy_at;
  for (int64_t r = 0; r < whole.count(); ++r) {
    const auto clean = whole.row(r), copy = noisy.row(r);
    const int64_t prompt = whole.length(r) - noisy.length(r);
    std::vector<int32_t> row(clean.begin(), clean.end());
    row.insert(row.end(), copy.begin(), copy.end());
    const auto place = [&](int64_t index, bool is_noisy) {
      positions.push_back(static_cast<int32_t>(index));
      const int64_t block = index < prompt ? Place::kPrompt : 1 + (index - prompt) / block_length;
      places.push_back({static_cast<int32_t>(block), is_noisy});
    };
    for (int64_t i = 0; i < whole.length(r); ++i) place(i, false);
    for (int64_t i = 0; i < noisy.length(r); ++i) {
      noisy_at.push_back(static_cast<int64_t>(places.size()));
      place(prompt + i, true);
    }
    rows.append(row);
  }
  const at::Device device = model.options().placement.device;
  Copies result{model.sequence(rows, positions), {}, nn::index_tensor(noisy_at, device)};
  result.bias = visibility_bias(places, result.sequence.offsets, device);
  return result;
}

void check_copies(const ModelOptions& options, const Rows& whole, const Rows& noisy, int64_t block_length) {
  check_rows("targets", whole, options.vocabulary, options.max_length);
  check_rows("drafts", noisy, options.vocabulary, options.max_length);
  expect_shape(whole.count() == noisy.count() && whole.count() > 0,
               "batch: expected as many drafts as targets and at least one, received " + std::to_string(noisy.count()) +
                   " and " + std::to_string(whole.count()));
  for (int64_t r = 0; r < noisy.count(); ++r) {
    const int64_t length = noisy.length(r);
    expect_shape(length > 0 && length % block_length == 0 && length <= whole.length(r),
                 "drafts: expected whole blocks of " + std::to_string(block_length) + " tokens, at most the " +
                     std::to_string(whole.length(r)) + " of the target, received " + std::to_string(length) +
                     " in row " + std::to_string(r));
  }
}

}  // namespace merge::remedi
