#include "cli/text_tokens.h"

#include <algorithm>

#include "switchyard/tokenizer.h"

#include "formats/data/source.h"
#include "formats/data/text.h"

namespace switchyard::cli {

double TextTokens::bytes() const { return static_cast<double>(text.size()) * share(); }

double TextTokens::words() const {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && !inside) ++words;
    if (c == '\n') ++words;
    inside = !space;
  }
  return static_cast<double>(words) * share();
}

void TextTokensFlags::add_to(CLI::App& app, const std::string& flag) {
  app.add_option(flag, file, "text file (.gz and .xz too), or a name below $SWITCHYARD_DATA")
      ->required();
  app.add_option("--max-tokens", most_tokens, "use only so many tokens from the start, 0: all")
      ->capture_default_str();
}

TextTokens TextTokensFlags::read(Console& console, const std::string& model) const {
  TextTokens out{.text = data::read_text(console.files, data::find_data(console.files, file)),
                 .tokens = {}};
  out.tokens = Tokenizer::load(console.files, model).encode(out.text);
  out.all_tokens = out.tokens.size();
  if (most_tokens > 0) out.tokens.resize(std::min(out.tokens.size(), most_tokens));
  return out;
}

}  // namespace switchyard::cli
