// train_bpe: incremental pair counts and a priority queue (Sennrich et al. 2016, arXiv 1508.07909).
#include "text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <unordered_map>
#include <utility>

#include "error.h"

namespace merge {
namespace {

constexpr int64_t kMaxVocabularySize = 1'000'000;
constexpr size_t kMaxWordBytes = size_t{1} << 20;
constexpr size_t kMaxTotalBytes = size_t{1} << 30;

using Pair = uint64_t;  // left id in the high half, so that pairs order as (left, right)

Pair pair_of(uint32_t left, uint32_t right) { return (static_cast<Pair>(left) << 32) | right; }
uint32_t left_of(Pair pair) { return static_cast<uint32_t>(pair >> 32); }
uint32_t right_of(Pair pair) { return static_cast<uint32_t>(pair); }

struct Candidate {
  int64_t count;
  Pair pair;
  std::vector<int32_t> words;  // where the pair occurs, increasing
};

struct Lower {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.count != b.count ? a.count < b.count : a.pair > b.pair;
  }
};

// A priority queue that gives its top away without a copy.
class Queue {
 public:
  bool empty() const { return heap_.empty(); }
  void push(Candidate candidate) {
    heap_.push_back(std::move(candidate));
    std::push_heap(heap_.begin(), heap_.end(), Lower());
  }
  Candidate pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Lower());
    Candidate top = std::move(heap_.back());
    heap_.pop_back();
    return top;
  }

 private:
  std::vector<Candidate> heap_;
};

struct Change {
  Pair pair;
  int64_t count;
};

// GPT-2 writes each byte as a printable character: itself where it is one, else 256 and up in order.
std::array<uint32_t, 256> byte_characters() {
  std::array<uint32_t, 256> characters{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

std::string utf8(uint32_t character) {
  if (character < 0x80) return std::string(1, static_cast<char>(character));
  return {static_cast<char>(0xC0 | (character >> 6)), static_cast<char>(0x80 | (character & 0x3F))};
}

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

class Vocabulary {
 public:
  // The id of this token, a new one if it is not known.
  uint32_t add(const std::string& token) {
    const auto [entry, is_new] = ids_.emplace(token, static_cast<uint32_t>(tokens_.size()));
    if (is_new) tokens_.push_back(token);
    return entry->second;
  }
  // The id of this token, size() if it is not known.
  int64_t find(const std::string& token) const {
    const auto entry = ids_.find(token);
    return entry == ids_.end() ? size() : entry->second;
  }
  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  const std::string& operator[](uint32_t id) const { return tokens_[id]; }

 private:
  std::unordered_map<std::string, uint32_t> ids_;
  std::vector<std::string> tokens_;
};

void check(const std::vector<std::string>& words, const std::vector<int64_t>& counts, int64_t vocabulary_size,
           int64_t min_frequency, const std::vector<std::string>& special_tokens) {
  const auto refuse = [](const std::string& what) { throw Error("ERR_INPUT", "train_bpe: " + what); };
  if (words.empty()) refuse("expected words, received none");
  if (words.size() != counts.size()) {
    refuse("expected " + std::to_string(words.size()) + " counts, received " + std::to_string(counts.size()));
  }
  const int64_t smallest = static_cast<int64_t>(special_tokens.size()) + 256;
  if (vocabulary_size < smallest || vocabulary_size > kMaxVocabularySize) {
    refuse("vocabulary size: expected " + std::to_string(smallest) + ".." + std::to_string(kMaxVocabularySize) +
           ", received " + std::to_string(vocabulary_size));
  }
  if (min_frequency < 1) refuse("min frequency: expected 1 or more, received " + std::to_string(min_frequency));
  size_t total = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    total += words[i].size();
    if (words[i].size() > kMaxWordBytes) {
      refuse("word " + std::to_string(i) + ": expected at most " + std::to_string(kMaxWordBytes) + " bytes, received " +
             std::to_string(words[i].size()));
    }
    if (counts[i] < 1) {
      refuse("count " + std::to_string(i) + ": expected 1 or more, received " + std::to_string(counts[i]));
    }
  }
  if (total > kMaxTotalBytes) {
    refuse("expected at most " + std::to_string(kMaxTotalBytes) + " bytes of words, received " + std::to_string(total));
  }
  for (const auto& token : special_tokens) {
    if (token.empty()) refuse("special token: expected a text, received an empty one");
  }
}

// Replaces the pair by `merged` in one word, left to right, and notes which pairs came and went. The merged pair's own
// count is left as it is: it has no candidate in the queue any more.
void merge_in_word(std::vector<uint32_t>& symbols, Pair pair, uint32_t merged, std::vector<Change>& changes) {
  const uint32_t left = left_of(pair);
  const uint32_t right = right_of(pair);
  size_t write = 0;
  for (size_t read = 0; read < symbols.size(); ++write) {
    if (read + 1 == symbols.size() || symbols[read] != left || symbols[read + 1] != right) {
      symbols[write] = symbols[read++];
      continue;
    }
    if (write > 0) {
      changes.push_back({pair_of(symbols[write - 1], left), -1});
      changes.push_back({pair_of(symbols[write - 1], merged), 1});
    }
    read += 2;
    if (read < symbols.size()) {
      changes.push_back({pair_of(right, symbols[read]), -1});
      changes.push_back({pair_of(merged, symbols[read]), 1});
    }
    symbols[write] = merged;
  }
  symbols.resize(write);
}

std::string tokenizer_json(const Vocabulary& vocabulary, const std::vector<Pair>& merges,
                           const std::vector<std::string>& special_tokens) {
  const std::string byte_level =
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
  std::string json = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)";
  for (size_t i = 0; i < special_tokens.size(); ++i) {
    json += (i > 0 ? "," : "") + std::string("{\"id\":") + std::to_string(i) +
            ",\"content\":" + json_string(special_tokens[i]) +
            R"(,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true})";
  }
  json += R"(],"normalizer":null,"pre_tokenizer":)" + byte_level + R"(,"post_processor":null,"decoder":)" + byte_level;
  json += R"(,"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,)";
  json += R"("end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":{)";
  for (uint32_t id = 0; id < vocabulary.size(); ++id) {
    json += (id > 0 ? "," : "") + json_string(vocabulary[id]) + ":" + std::to_string(id);
  }
  json += R"(},"merges":[)";
  for (size_t i = 0; i < merges.size(); ++i) {
    json += (i > 0 ? ",[" : "[") + json_string(vocabulary[left_of(merges[i])]) + "," +
            json_string(vocabulary[right_of(merges[i])]) + "]";
  }
  return json + "]}}";
}

}  // namespace

std::string train_bpe(const std::vector<std::string>& words, const std::vector<int64_t>& counts,
                      int64_t vocabulary_size, int64_t min_frequency, const std::vector<std::string>& special_tokens) {
  check(words, counts, vocabulary_size, min_frequency, special_tokens);

  // 1) special tokens, then the bytes in the order of their characters
  Vocabulary vocabulary;
  for (const auto& token : special_tokens) {
    const int64_t before = vocabulary.size();
    vocabulary.add(token);
    if (vocabulary.size() == before) throw Error("ERR_INPUT", "train_bpe: special token " + token + " is given twice");
  }
  const int64_t special_count = vocabulary.size();
  const auto characters = byte_characters();
  auto alphabet = characters;
  std::sort(alphabet.begin(), alphabet.end());
  for (const uint32_t character : alphabet) vocabulary.add(utf8(character));

  // 2) words as ids, and where each pair occurs
  std::array<uint32_t, 256> byte_ids{};
  for (size_t byte = 0; byte < 256; ++byte) byte_ids[byte] = vocabulary.add(utf8(characters[byte]));
  std::vector<std::vector<uint32_t>> rows(words.size());
  std::unordered_map<Pair, int64_t> pair_counts;
  std::unordered_map<Pair, std::vector<int32_t>> found;
  const auto note = [&found](Pair pair, int32_t word) {
    auto& list = found[pair];
    if (list.empty() || list.back() != word) list.push_back(word);
  };
  for (size_t w = 0; w < words.size(); ++w) {
    auto& row = rows[w];
    row.reserve(words[w].size());
    for (const unsigned char byte : words[w]) row.push_back(byte_ids[byte]);
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      const Pair pair = pair_of(row[i], row[i + 1]);
      pair_counts[pair] += counts[w];
      note(pair, static_cast<int32_t>(w));
    }
  }

  // 3) merge the most frequent pair until the vocabulary is full
  Queue queue;
  const auto enqueue_found = [&] {
    for (auto& [pair, list] : found) {
      const int64_t count = pair_counts[pair];
      if (count > 0) queue.push({count, pair, std::move(list)});
    }
    found.clear();
  };
  enqueue_found();
  std::vector<Pair> merges;
  std::vector<Change> changes;
  while (vocabulary.size() < vocabulary_size && !queue.empty()) {
    Candidate top = queue.pop();
    const int64_t count = pair_counts[top.pair];
    if (top.count != count) {
      // Some of its places went to other pairs meanwhile: it waits for its turn again.
      top.count = count;
      if (count > 0) queue.push(std::move(top));
      continue;
    }
    if (count < min_frequency) break;
    // Text must never produce a special token, not even by merging its letters.
    if (vocabulary.find(vocabulary[left_of(top.pair)] + vocabulary[right_of(top.pair)]) < special_count) continue;
    const uint32_t merged = vocabulary.add(vocabulary[left_of(top.pair)] + vocabulary[right_of(top.pair)]);
    merges.push_back(top.pair);
    for (const int32_t w : top.words) {
      changes.clear();
      merge_in_word(rows[w], top.pair, merged, changes);
      for (const Change& change : changes) {
        pair_counts[change.pair] += change.count * counts[w];
        if (change.count > 0) note(change.pair, w);
      }
    }
    enqueue_found();
  }
  return tokenizer_json(vocabulary, merges, special_tokens);
}

}  // namespace merge
