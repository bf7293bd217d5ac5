// bpe_trainer: small cases worked out by hand, and equality with Python's tokenizers on real text (test/golden/bpe).
#define MERGE_CHECK_MAIN
#include "text/bpe_trainer.h"

#include <fstream>
#include <string>
#include <vector>

#include "check.h"

namespace {

const std::vector<std::string> kSpecial = {"[PAD]", "[MASK]"};

std::string train(const std::vector<std::string>& words, const std::vector<int64_t>& counts, int64_t merges,
                  int64_t min_frequency = 1, const std::vector<std::string>& special = kSpecial) {
  return merge::train_bpe(words, counts, static_cast<int64_t>(special.size()) + 256 + merges, min_frequency, special);
}

std::string merges_of(const std::string& json) {
  const size_t start = json.find("\"merges\":");
  return start == std::string::npos ? "" : json.substr(start + 9, json.size() - start - 9 - 2);
}

// The text of a JSON string without its quotes, as Python's json.dumps(ensure_ascii=False) writes it.
std::string unescape(const std::string& escaped) {
  std::string text;
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '\\') {
      text += escaped[i];
      continue;
    }
    const char kind = escaped[++i];
    text += kind == 'n' ? '\n' : kind == 't' ? '\t' : kind == 'r' ? '\r' : kind;
  }
  return text;
}

}  // namespace

TEST(equals_python_tokenizers_on_real_text) {
  std::vector<std::string> words;
  std::vector<int64_t> counts;
  std::ifstream words_file("test/golden/bpe/words.tsv");
  for (std::string line; std::getline(words_file, line);) {
    const size_t tab = line.find('\t');
    counts.push_back(std::stoll(line.substr(0, tab)));
    words.push_back(unescape(line.substr(tab + 1)));
  }
  CHECK(words.size() > 5000);
  std::string expected;
  std::ifstream merges_file("test/golden/bpe/merges.txt");
  for (std::string line; std::getline(merges_file, line);) {
    const size_t space = line.find(' ');
    const auto quoted = [](std::string text) {
      for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '"' || text[i] == '\\') text.insert(i++, 1, '\\');
      }
      return '"' + text + '"';
    };
    expected +=
        (expected.empty() ? "[" : ",[") + quoted(line.substr(0, space)) + "," + quoted(line.substr(space + 1)) + "]";
  }
  const std::vector<std::string> special = {"[PAD]", "[BOS]", "[EOS]", "[MASK]", "[SEP]"};
  CHECK(merges_of(merge::train_bpe(words, counts, 4096, 2, special)) == "[" + expected + "]");
}

TEST(most_frequent_pair_first) {
  CHECK(merges_of(train({"low", "lower", "slow"}, {5, 2, 3}, 2)) == R"([["l","o"],["lo","w"]])");
}

TEST(ties_go_to_the_lower_pair_of_ids) {
  // "ab" and "cd" are equally frequent: a < c.
  CHECK(merges_of(train({"cd", "ab"}, {4, 4}, 2)) == R"([["a","b"],["c","d"]])");
}

TEST(runs_merge_left_to_right) { CHECK(merges_of(train({"aaaa"}, {3}, 2)) == R"([["a","a"],["aa","aa"]])"); }

TEST(pairs_below_the_frequency_stay_apart) {
  CHECK(merges_of(train({"ab", "cd"}, {3, 2}, 9, 3)) == R"([["a","b"]])");
  CHECK(merges_of(train({"ab"}, {1}, 9, 2)) == "[]");
}

TEST(bytes_are_written_as_printable_characters) {
  // A space is U+0120, the bytes of e-acute are U+00C3 U+00A9.
  CHECK(merges_of(train({" a"}, {1}, 1)) == "[[\"\xC4\xA0\",\"a\"]]");
  CHECK(merges_of(train({"\xC3\xA9"}, {1}, 1)) == "[[\"\xC3\x83\",\"\xC2\xA9\"]]");
}

TEST(special_tokens_come_first_and_text_cannot_merge_into_one) {
  const std::string json = train({"[PAD]", "[PA"}, {9, 1}, 20);
  CHECK(json.find(R"("vocab":{"[PAD]":0,"[MASK]":1,"!":2)") != std::string::npos);
  CHECK(json.find(R"("id":1,"content":"[MASK]")") != std::string::npos);
  // Its letters merge, but never all of them, however frequent they are together.
  CHECK(merges_of(json) == R"([["P","A"],["[","PA"],["D","]"]])");
}

TEST(order_of_words_does_not_matter) {
  CHECK(train({"abc", "bcd", "cde", "xyz"}, {3, 4, 5, 6}, 8) == train({"xyz", "cde", "bcd", "abc"}, {6, 5, 4, 3}, 8));
}

TEST(one_long_word_is_no_trouble) {
  std::string word;
  for (int64_t i = 0; i < 1 << 20; ++i) word += static_cast<char>('a' + (i * i % 26));
  CHECK(!train({word}, {1}, 64).empty());
}

TEST(bad_input_is_refused) {
  CHECK_THROWS(train({}, {}, 1));
  CHECK_THROWS(train({"a"}, {1, 2}, 1));
  CHECK_THROWS(train({"a"}, {0}, 1));
  CHECK_THROWS(train({"a"}, {1}, -1));
  CHECK_THROWS(train({"a"}, {1}, 2'000'000));
  CHECK_THROWS(train({"a"}, {1}, 1, 0));
  CHECK_THROWS(train({std::string((1 << 20) + 1, 'a')}, {1}, 1));
  CHECK_THROWS(train({"a"}, {1}, 1, 1, {"[PAD]", "[PAD]"}));
}
