#include "formats/data/text.h"

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/data/source.h"
#include "formats/utf8.h"

namespace switchyard::data {
namespace {

std::string_view without_line_ends(std::string_view text) {
  const auto begin = text.find_first_not_of("\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of("\r\n") - begin + 1);
}

}  // namespace

std::string read_text(FileSystem& fs, const std::string& path) {
  std::string text = read_bytes(fs, path);
  if (const auto offset = find_invalid_utf8(text); offset != std::string::npos) {
    throw Error({.what = "the text is not UTF-8 at byte " + std::to_string(offset),
                 .where = path,
                 .expected = "UTF-8",
                 .fix = "convert it, for example with: iconv -f ISO-8859-1 -t UTF-8"});
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator) {
  SWITCHYARD_CHECK(!separator.empty());
  std::vector<std::string_view> documents;
  for (bool more = true; more;) {
    const auto end = text.find(separator);
    more = end != std::string_view::npos;
    const std::string_view document = without_line_ends(text.substr(0, end));
    if (!document.empty()) documents.push_back(document);
    if (more) text.remove_prefix(end + separator.size());
  }
  return documents;
}

std::vector<MarkedDocument> split_marked_documents(std::string_view text) {
  std::vector<MarkedDocument> documents;
  const char* begin = nullptr;
  const auto finish = [&](const char* end) {
    if (documents.empty()) return;
    documents.back().text = without_line_ends({begin, static_cast<std::size_t>(end - begin)});
  };
  for (const std::string_view line : split_lines(text)) {
    if (line.size() < 5 || !line.starts_with("<|") || !line.ends_with("|>")) continue;
    finish(line.data());
    begin = line.data() + line.size();
    documents.push_back({.name = line.substr(2, line.size() - 4), .text = {}});
  }
  finish(text.data() + text.size());
  return documents;
}

}  // namespace switchyard::data
