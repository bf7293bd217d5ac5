// train_bpe: learns a byte-level BPE vocabulary from counted words and returns it as the text of a tokenizer.json.
//
// The same merges as Hugging Face's BpeTrainer with ByteLevel.alphabet() (tokenizers 0.23): the most frequent pair
// first, ties by the lower pair of ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace merge {

// words: UTF-8, each at most 1 MiB; counts: how often each occurs, at least 1, as many as words.
// vocabulary_size counts special tokens, 256 bytes and merges; a pair below min_frequency is not merged.
// Throws Error ERR_INPUT where these are not kept.
std::string train_bpe(const std::vector<std::string>& words, const std::vector<int64_t>& counts,
                      int64_t vocabulary_size, int64_t min_frequency, const std::vector<std::string>& special_tokens);

}  // namespace merge
