// Json: recursive descent over the bytes, with its depth counted.
#include "io/json.h"

#include <limits>
#include <stdexcept>

namespace merge::io {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  Json document() {
    Json json = value(0);
    skip_space();
    if (at_ != text_.size()) fail("expected the end");
    return json;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw std::invalid_argument("JSON: " + what + " at byte " + std::to_string(at_));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  char peek() {
    skip_space();
    if (at_ >= text_.size()) fail("unexpected end");
    return text_[at_];
  }

  void take(char expected) {
    if (peek() != expected) fail(std::string("expected '") + expected + "'");
    ++at_;
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Json value(int depth) {
    if (depth > limits_.depth) fail("nested too deep");
    if (++values_ > limits_.values) fail("too many values");
    const char first = peek();
    if (first == '{') return object(depth);
    if (first == '[') return array(depth);
    if (first == '"') return {string()};
    if (first >= '0' && first <= '9') return {number()};
    if (word("null")) return {nullptr};
    if (word("true")) return {true};
    if (word("false")) return {false};
    fail("expected a value");
  }

  Json object(int depth) {
    take('{');
    JsonObject object;
    if (peek() == '}') return ++at_, Json{std::move(object)};
    for (;;) {
      if (peek() != '"') fail("expected a key");
      std::string key = string();
      take(':');
      Json member = value(depth + 1);
      if (!object.emplace(std::move(key), std::move(member)).second) fail("a key stands twice");
      if (peek() == '}') return ++at_, Json{std::move(object)};
      take(',');
    }
  }

  Json array(int depth) {
    take('[');
    JsonArray array;
    if (peek() == ']') return ++at_, Json{std::move(array)};
    for (;;) {
      array.push_back(value(depth + 1));
      if (peek() == ']') return ++at_, Json{std::move(array)};
      take(',');
    }
  }

  uint64_t number() {
    uint64_t result = 0;
    const size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      const uint64_t digit = static_cast<uint64_t>(text_[at_] - '0');
      if (result > (std::numeric_limits<uint64_t>::max() - digit) / 10) fail("a number is too large");
      result = result * 10 + digit;
      ++at_;
    }
    if (at_ - start > 1 && text_[start] == '0') fail("a number begins with 0");
    if (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E'))
      fail("expected a whole number");
    return result;
  }

  uint32_t hex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      if (at_ >= text_.size()) fail("unexpected end");
      const char c = text_[at_];
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("expected four hexadecimal digits");
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return code;
  }

  void append_utf8(std::string& out, uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      out += static_cast<char>(0xf0 | code >> 18);
      out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
      out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
    }
  }

  void escape(std::string& out) {
    if (at_ >= text_.size()) fail("unexpected end");
    const char c = text_[at_++];
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out += c;
        return;
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'n':
        out += '\n';
        return;
      case 'r':
        out += '\r';
        return;
      case 't':
        out += '\t';
        return;
      case 'u':
        break;
      default:
        fail("unknown escape");
    }
    uint32_t code = hex4();
    if (code >= 0xdc00 && code < 0xe000) fail("a lone surrogate");
    if (code >= 0xd800 && code < 0xdc00) {
      if (!word("\\u")) fail("a lone surrogate");
      const uint32_t low = hex4();
      if (low < 0xdc00 || low >= 0xe000) fail("a lone surrogate");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, code);
  }

  // One UTF-8 sequence, copied when it is well formed (no overlong form, no surrogate, at most U+10FFFF).
  void utf8(std::string& out) {
    const auto lead = static_cast<unsigned char>(text_[at_]);
    const int more = lead < 0x80                   ? 0
                     : lead >= 0xc2 && lead < 0xe0 ? 1
                     : lead >= 0xe0 && lead < 0xf0 ? 2
                     : lead >= 0xf0 && lead < 0xf5 ? 3
                                                   : -1;
    if (more < 0 || at_ + more >= text_.size()) fail("not UTF-8");
    uint32_t code = more == 0 ? lead : lead & (0x3f >> more);
    for (int i = 1; i <= more; ++i) {
      const auto next = static_cast<unsigned char>(text_[at_ + i]);
      if ((next & 0xc0) != 0x80) fail("not UTF-8");
      code = code << 6 | (next & 0x3f);
    }
    if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
        (more == 3 && (code < 0x10000 || code > 0x10ffff))) {
      fail("not UTF-8");
    }
    out.append(text_.substr(at_, more + 1));
    at_ += more + 1;
  }

  std::string string() {
    take('"');
    std::string out;
    for (;;) {
      if (at_ >= text_.size()) fail("unexpected end");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') return ++at_, out;
      if (c < 0x20) fail("a control character");
      if (c == '\\') {
        ++at_;
        escape(out);
      } else {
        utf8(out);
      }
    }
  }

  std::string_view text_;
  JsonLimits limits_;
  size_t at_ = 0, values_ = 0;
};

}  // namespace

Json parse_json(std::string_view text, const JsonLimits& limits) { return Parser(text, limits).document(); }

std::string json_string(std::string_view text) {
  static const char* digits = "0123456789abcdef";
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    auto byte = static_cast<unsigned char>(c);
    // U+0080 to U+009F are control characters too: two bytes, the second of which is the code.
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool is_high_control = byte == 0xc2 && next >= 0x80 && next < 0xa0;
    if (is_high_control) byte = static_cast<unsigned char>(text[++i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f || is_high_control) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace merge::io
