#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fmt/format.h>
#include <iterator>

namespace switchyard {
namespace {

constexpr char32_t kReplacement = 0xfffd;

struct Range {
  char32_t first;
  char32_t last;
};

// Marks that are drawn over the character before them, and characters without a width of their own.
constexpr Range kZeroWidth[] = {
    {0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
    {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x2060, 0x2064}, {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
};

// The large blocks of East Asian wide characters and emoji.
constexpr Range kDoubleWidth[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
    {0xfe30, 0xfe4f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd},
};

template <std::size_t N>
bool is_in(const Range (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return range.first <= c && c <= range.last; });
}

std::size_t width_of(char32_t c) {
  if (is_in(kZeroWidth, c)) return 0;
  return is_in(kDoubleWidth, c) ? 2 : 1;
}

struct Lead {
  std::size_t length;
  char32_t bits;
  char32_t smallest;  // what a shorter form could not have said
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if (byte >= 0xc2 && byte < 0xe0) return {2, byte & 0x1fu, 0x80};
  if (byte >= 0xe0 && byte < 0xf0) return {3, byte & 0x0fu, 0x800};
  if (byte >= 0xf0 && byte < 0xf5) return {4, byte & 0x07u, 0x10000};
  return {0, 0, 0};
}

bool allowed_in_xml(char32_t c) {
  if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
  return c != 0x7f && c != 0xfffe && c != 0xffff;
}

}  // namespace

char32_t take_code_point(std::string_view& text) {
  const Lead lead = lead_of(static_cast<unsigned char>(text.front()));
  char32_t c = lead.bits;
  bool good = lead.length >= 1 && lead.length <= text.size();
  for (std::size_t i = 1; good && i < lead.length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    good = (byte & 0xc0) == 0x80;
    c = (c << 6) | (byte & 0x3fu);
  }
  good = good && c >= lead.smallest && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
  text.remove_prefix(good ? lead.length : 1);
  return good ? c : kReplacement;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) width += width_of(take_code_point(text));
  return width;
}

std::string fit_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string_view rest = text;
  std::size_t used = 0;
  std::size_t kept = 0;
  while (!rest.empty()) {
    used += width_of(take_code_point(rest));
    if (used > width - 1) break;
    kept = text.size() - rest.size();
  }
  return std::string(text.substr(0, kept)) + "…";
}

std::string escape_markup(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t c = take_code_point(text);
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (c == kReplacement || !allowed_in_xml(c)) {
          escaped += "\xef\xbf\xbd";
        } else {
          escaped += before.substr(0, before.size() - text.size());
        }
    }
  }
  return escaped;
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return "?";
  const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
  const std::uint64_t minutes = whole / 60;
  const std::uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{}d {:02}:{:02}", hours / 24, hours % 24, minutes % 60);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes % 60, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string format_significant(double value) {
  const double size = std::fabs(value);
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (size == 0) return "0";
  if (size >= 1e7 || size < 1e-4) return fmt::format("{:.2e}", value);
  // 9.996 has one digit before the point and is shown as 10.0.
  const int before = static_cast<int>(std::floor(std::log10(size * (1 + 0.5e-3)))) + 1;
  return fmt::format("{:.{}f}", value, std::max(0, 3 - before));
}

}  // namespace switchyard
