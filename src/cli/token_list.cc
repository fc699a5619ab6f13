#include "cli/token_list.h"

#include <charconv>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "formats/data/text.h"

namespace switchyard::cli {

std::vector<std::int32_t> parse_token_ids(std::string_view text) {
  std::vector<std::int32_t> ids;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    std::int32_t id = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), id);
    if (error != std::errc() || end != item.data() + item.size()) {
      throw Error({.what = "'" + std::string(item) + "' is not a token id",
                   .where = "--tokens",
                   .expected = "whole numbers with commas between them, such as 1,2,3",
                   .fix = {}});
    }
    ids.push_back(id);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return ids;
}

void TokenFlags::add_to(CLI::App& app) {
  auto* ids = app.add_option("--tokens", tokens, "token ids with commas between them");
  auto* text =
      app.add_option("--text", text_file, "file whose text is encoded with the model's tokenizer");
  ids->excludes(text);
  app.final_callback([ids, text] {
    if (ids->count() + text->count() == 0) throw CLI::RequiredError("--tokens or --text");
  });
}

std::vector<std::int32_t> TokenFlags::read(Console& console, const std::string& model) const {
  if (!tokens.empty()) return parse_token_ids(tokens);
  return Tokenizer::load(console.files, model).encode(data::read_text(console.files, text_file));
}

}  // namespace switchyard::cli
