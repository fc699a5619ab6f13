// switchyard tokenizer train|encode|decode
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "base/clock.h"
#include "base/progress.h"
#include "cli/parse.h"
#include "cli/token_list.h"
#include "formats/data/source.h"
#include "formats/data/text.h"

namespace switchyard::cli {
namespace {

std::string text_of(const std::string& text, const std::string& file, Console& console) {
  if (file == "-") return {std::istreambuf_iterator<char>(console.in), {}};
  return file.empty() ? text : data::read_text(console.files, data::find_data(console.files, file));
}

int train(const Arguments& arguments, Console& console) {
  std::vector<std::string> files;
  std::string out;
  std::string separator;
  BpeTrainerOptions options;
  auto app =
      make_app("tokenizer train", "Trains a byte-level BPE tokenizer and writes tokenizer.json.",
               "switchyard tokenizer train --data stories.txt --vocab 4096 -o tokenizer.json");
  app->add_option("--data", files, "text files (.gz and .xz too)")->required();
  app->add_option("--vocab", options.vocab, "entries: 256 bytes, special tokens, merges")
      ->capture_default_str();
  app->add_option("--min-frequency", options.min_frequency, "pairs seen less often are not merged")
      ->capture_default_str();
  app->add_option("--special", options.special_tokens,
                  "special tokens; the first also separates documents")
      ->capture_default_str();
  app->add_option("-o,--out", out, "where to write tokenizer.json")->required();
  if (!parse(*app, arguments, console)) return kDone;

  std::vector<std::string> documents;
  for (const std::string& file : files) {
    const std::string text = text_of({}, file, console);
    if (options.special_tokens.empty()) {
      documents.push_back(text);
      continue;
    }
    for (const std::string_view d : data::split_documents(text, options.special_tokens.front()))
      documents.emplace_back(d);
  }
  const SteadyClock clock;
  ProgressMeter meter(
      console.err, clock,
      {.title = "merges", .total = options.vocab, .unit = "", .terminal = console.err_is_terminal});
  options.progress = [&](std::size_t merges, std::size_t) { meter.update(merges); };
  const Tokenizer tokenizer = train_byte_level_bpe(documents, options);
  meter.finish();
  tokenizer.save(console.files, out);
  console.out << "wrote " << out << " with " << tokenizer.vocab_size() << " entries\n";
  return kDone;
}

int encode(const Arguments& arguments, Console& console) {
  std::string model;
  std::string text;
  std::string file;
  bool no_special = false;
  bool show = false;
  auto app =
      make_app("tokenizer encode", "Turns text into token ids.",
               "switchyard tokenizer encode models/tiny-stories-moe -p \"Once upon a time\"");
  app->add_option("MODEL", model, "tokenizer.json or a model directory")->required();
  auto* prompt = app->add_option("-p,--prompt", text, "text");
  app->add_option("-f,--file", file, "file with the text, - for standard input")->excludes(prompt);
  app->add_flag("--no-special", no_special, "add no BOS or EOS");
  app->add_flag("--show", show, "one token a line with its text");
  if (!parse(*app, arguments, console)) return kDone;

  const Tokenizer tokenizer = Tokenizer::load(console.files, model);
  const auto ids =
      tokenizer.encode(text_of(text, file, console), {.add_special_tokens = !no_special});
  if (!show) {
    console.out << fmt::format("{}\n", fmt::join(ids, ","));
    return kDone;
  }
  for (const std::int32_t id : ids) {
    console.out << fmt::format("{:>7}  {}\n", id,
                               nlohmann::json(tokenizer.token(id).value_or("")).dump());
  }
  return kDone;
}

int decode(const Arguments& arguments, Console& console) {
  std::string model;
  std::string ids;
  bool skip_special = false;
  auto app = make_app("tokenizer decode", "Turns token ids into text.",
                      "switchyard tokenizer decode models/tiny-stories-moe --tokens 5,17,42");
  app->add_option("MODEL", model, "tokenizer.json or a model directory")->required();
  app->add_option("--tokens", ids, "token ids with commas between them")->required();
  app->add_flag("--skip-special", skip_special, "leave out special tokens");
  if (!parse(*app, arguments, console)) return kDone;
  const Tokenizer tokenizer = Tokenizer::load(console.files, model);
  console.out << tokenizer.decode(parse_token_ids(ids), {.skip_special_tokens = skip_special})
              << '\n';
  return kDone;
}

}  // namespace

int run_tokenizer(const Arguments& arguments, Console& console) {
  const std::string verb = arguments.empty() ? "" : arguments.front();
  const Arguments rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (verb == "train") return train(rest, console);
  if (verb == "encode") return encode(rest, console);
  if (verb == "decode") return decode(rest, console);
  const bool help = verb == "--help" || verb == "-h";
  (help ? console.out : console.err)
      << "usage: switchyard tokenizer train|encode|decode ...\n"
         "example: switchyard tokenizer encode models/tiny-stories-moe -p \"Hello\"\n";
  return help ? kDone : kWrongUsage;
}

}  // namespace switchyard::cli
