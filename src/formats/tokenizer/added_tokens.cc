#include "formats/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

bool word_ends_at(std::string_view text, std::size_t end) {
  if (end == 0) return false;
  std::size_t start = previous_char_start(text, end);
  return is_word(next_char(text, start));
}

bool word_starts_at(std::string_view text, std::size_t begin) {
  return begin < text.size() && is_word(next_char(text, begin));
}

std::size_t spaces_begin(std::string_view text, std::size_t end, std::size_t at_least) {
  while (end > at_least) {
    const std::size_t start = previous_char_start(text, end);
    std::size_t next = start;
    if (!is_white_space(next_char(text, next))) break;
    end = start;
  }
  return end;
}

std::size_t spaces_end(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    std::size_t next = begin;
    if (!is_white_space(next_char(text, next))) break;
    begin = next;
  }
  return begin;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens,
                                     const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)), nodes_(1) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (!contents[i].empty()) insert(contents[i], static_cast<std::int32_t>(i));
  }
}

void AddedTokenMatcher::insert(std::string_view content, std::int32_t token) {
  starts_[static_cast<unsigned char>(content.front())] = true;
  std::uint32_t node = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = nodes_[node].children;
    const auto place =
        std::lower_bound(children.begin(), children.end(), byte,
                         [](const auto& child, unsigned char b) { return child.first < b; });
    if (place != children.end() && place->first == byte) {
      node = place->second;
      continue;
    }
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    children.insert(place, {byte, next});
    nodes_.emplace_back();
    node = next;
  }
  if (nodes_[node].token < 0) nodes_[node].token = token;
}

AddedTokenMatcher::Match AddedTokenMatcher::longest_at(std::string_view text,
                                                       std::size_t begin) const {
  Match best;
  std::uint32_t node = 0;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto& children = nodes_[node].children;
    const auto child = std::lower_bound(children.begin(), children.end(), byte,
                                        [](const auto& c, unsigned char b) { return c.first < b; });
    if (child == children.end() || child->first != byte) break;
    node = child->second;
    if (nodes_[node].token >= 0) best = {nodes_[node].token, i + 1};
  }
  return best;
}

void AddedTokenMatcher::split(std::string_view text, bool special_tokens,
                              const Found& found) const {
  std::size_t done = 0;  // everything before it was handed out
  std::size_t at = 0;
  while (at < text.size()) {
    if (!starts_[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    const Match match = longest_at(text, at);
    if (match.token < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(match.token)];
    std::size_t begin = at;
    std::size_t end = match.end;
    at = end;  // a match that is turned down hides what starts inside it
    if (token.special && !special_tokens) continue;
    if (token.single_word && (word_ends_at(text, begin) || word_starts_at(text, end))) continue;
    if (token.lstrip) begin = spaces_begin(text, begin, done);
    if (token.rstrip) end = spaces_end(text, end);
    if (done < begin) found(-1, done, begin);
    found(token.id, begin, end);
    done = end;
    at = end;
  }
  if (done < text.size() || text.empty()) found(-1, done, text.size());
}

}  // namespace switchyard::tokenizer
