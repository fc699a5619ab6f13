// What each quantised type costs a model in quality, with and without measured importance.
//
//   quantised_quality MODEL... --text stories.txt --separator "<|endoftext|>" --out OUT
//
// The last part of the text is held out (documents of --separator, or bytes without one): it is
// what the models are measured on; the importance comes from the start of the rest. Each model is
// converted to every quantised type twice and held against itself as it is stored, token by token.
// Whether importance helps a type is the mean over tokens of the difference between the two
// divergences, which is paired. Writes OUT.json, OUT.md and, for each model, OUT_NAME.svg.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"
#include "switchyard/tokenizer.h"

#include "cli/convert_model.h"
#include "cli/perplexity.h"
#include "formats/data/source.h"
#include "formats/data/text.h"
#include "formats/gguf/importance_collector.h"
#include "quantised_quality_report.h"

namespace switchyard::quantised_quality {
namespace {

constexpr std::array kTypes = {DType::q8_0,  DType::q6_k, DType::q5_1, DType::q5_k,   DType::q5_0,
                               DType::q4_1,  DType::q4_k, DType::q4_0, DType::iq4_nl, DType::iq4_xs,
                               DType::mxfp4, DType::q3_k, DType::q2_k};

struct Settings {
  std::vector<std::string> models;
  std::string text;
  std::string separator;
  double held_out = 0.05;
  std::size_t calibration_tokens = 50000;
  std::size_t measured_tokens = 0;
  std::string embeddings;  // type of embeddings and output, empty: as all others
  std::string out;
  std::string temporary;
  int threads = 0;
  int window = 256;
};

// Where the part of the text begins that nothing else sees.
std::size_t held_out_from(const std::string& text, const Settings& settings) {
  if (settings.separator.empty()) {
    const auto want =
        static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - settings.held_out));
    return std::min(text.size(), text.find('\n', want) + 1);
  }
  const auto documents = data::split_documents(text, settings.separator);
  const auto keep =
      static_cast<std::size_t>(static_cast<double>(documents.size()) * (1 - settings.held_out));
  return static_cast<std::size_t>(documents.at(keep).data() - text.data());
}

std::vector<std::int32_t> first_tokens(const Tokenizer& tokenizer, const std::string& text,
                                       std::size_t most) {
  std::vector<std::int32_t> tokens = tokenizer.encode(text);
  if (most > 0) tokens.resize(std::min(tokens.size(), most));
  return tokens;
}

class ModelMeasurement {
 public:
  ModelMeasurement(const Settings& settings, const std::string& path)
      : settings_(settings),
        path_(path),
        config_(read_model_config(fs_, path)),
        engine_(runtime::Model::open(fs_, path), {.threads = settings.threads}) {
    const std::filesystem::path given(path);
    result_.name = (given.has_filename() ? given : given.parent_path()).stem().string();
    if (result_.name == "model") result_.name = given.parent_path().filename().string();
    result_.parameters = config_.parameters();
  }

  ModelResult run() {
    const std::string text = data::read_text(fs_, data::find_data(fs_, settings_.text));
    const Tokenizer tokenizer = Tokenizer::load(fs_, path_);
    const std::size_t cut = held_out_from(text, settings_);
    const auto calibration =
        first_tokens(tokenizer, text.substr(0, cut), settings_.calibration_tokens);
    tokens_ = first_tokens(tokenizer, text.substr(cut), settings_.measured_tokens);

    const ColumnImportance importance = calibrate(calibration);
    result_.calibration_tokens = calibration.size();
    result_.coverage = importance.coverage();
    const cli::Perplexity own = cli::measure_perplexity(engine_, tokens_, windows(nullptr));
    result_.perplexity = cli::exponential(own.nll.estimate());
    result_.tokens = own.predicted();
    for (const DType type : kTypes) {
      std::fprintf(stderr, "%s %s\n", result_.name.c_str(), std::string(dtype_name(type)).c_str());
      std::optional<Measured> plain = measure(type, nullptr);
      if (!plain) {
        result_.without_rows.push_back(type);
        continue;
      }
      result_.types.push_back({type, std::move(*plain), std::move(*measure(type, &importance))});
    }
    return std::move(result_);
  }

 private:
  ColumnImportance calibrate(std::span<const std::int32_t> tokens) {
    ImportanceCollector collector;
    cli::measure_perplexity(engine_, tokens,
                            {.window = settings_.window, .on_input = [&](const auto& r) {
                               collector.add(r.weight, r.x, r.rows, r.columns, r.stride);
                             }});
    return {collector.data(config_), config_};
  }

  cli::PerplexityOptions windows(runtime::Engine* reference) const {
    return {.window = settings_.window, .reference = reference};
  }

  // None if no tensor of the file has the type.
  std::optional<Measured> measure(DType type, const ColumnImportance* importance) {
    const std::string file = settings_.temporary + "/quantised_quality.gguf";
    fs_.remove(file);
    cli::ConvertOptions options;
    options.importance = importance;
    options.threads = settings_.threads;
    options.types.set_all(type);
    if (!settings_.embeddings.empty()) {
      options.types.add_rule("^(token_embd|output)\\.weight=" + settings_.embeddings,
                             "--embeddings");
    }
    cli::convert_model(fs_, path_, file, options);
    Measured m;
    m.file_bytes = fs_.open(file)->size();
    {
      const GgufReader gguf(fs_, file);
      std::uint64_t bytes = 0;
      bool has_type = false;
      for (const auto& [name, tensor] : gguf.tensors()) {
        bytes += tensor.bytes;
        has_type = has_type || find_gguf_tensor_type(tensor.type)->dtype == type;
      }
      if (!has_type) return std::nullopt;
      m.bits_per_weight =
          8.0 * static_cast<double>(bytes) / static_cast<double>(result_.parameters);
    }
    runtime::Engine engine(runtime::Model::open(fs_, file), {.threads = settings_.threads});
    cli::Perplexity p = cli::measure_perplexity(engine, tokens_, windows(&engine_));
    m.perplexity = cli::exponential(p.nll.estimate());
    m.divergence = std::move(*p.divergence);
    fs_.remove(file);
    return m;
  }

  FileSystem& fs_ = real_file_system();
  const Settings& settings_;
  std::string path_;
  ModelConfig config_;
  runtime::Engine engine_;
  std::vector<std::int32_t> tokens_;
  ModelResult result_;
};

}  // namespace

int run(const Settings& settings, const std::string& command) {
  FileSystem& fs = real_file_system();
  std::vector<ModelResult> results;
  for (const std::string& model : settings.models) {
    results.push_back(ModelMeasurement(settings, model).run());
    const std::string picture = settings.out + "_" + results.back().name + ".svg";
    results.back().picture = std::filesystem::path(picture).filename().string();
    write_file_atomically(fs, picture, kl_plot(results.back()));
  }
  write_file_atomically(fs, settings.out + ".json", to_json(results, command));
  write_file_atomically(fs, settings.out + ".md",
                        to_markdown(results, command, settings.embeddings));
  return 0;
}

}  // namespace switchyard::quantised_quality

int main(int argc, char** argv) {
  using namespace switchyard::quantised_quality;
  Settings settings;
  CLI::App app("What each quantised type costs a model in quality, with and without importance");
  app.add_option("MODEL", settings.models, "model directories or GGUF files")->required();
  app.add_option("--text", settings.text, "text file, or a name below $SWITCHYARD_DATA")
      ->required();
  app.add_option("--separator", settings.separator, "what stands between documents of the text");
  app.add_option("--held-out", settings.held_out, "share of the text that is measured on")
      ->check(CLI::Range(0.001, 0.9))
      ->capture_default_str();
  app.add_option("--calibration-tokens", settings.calibration_tokens, "for the importance, 0: all")
      ->capture_default_str();
  app.add_option("--measured-tokens", settings.measured_tokens, "of the held-out part, 0: all")
      ->capture_default_str();
  app.add_option("--embeddings", settings.embeddings,
                 "type of embeddings and output, left out: the type of all others");
  app.add_option("--window", settings.window, "tokens that are read with one another as context")
      ->capture_default_str();
  app.add_option("--out", settings.out, "where to write, without ending")->required();
  app.add_option("--tmp", settings.temporary, "directory for the models' files")
      ->default_val(std::filesystem::temp_directory_path().string());
  app.add_option("-t,--threads", settings.threads, "threads, 0: one per core");
  CLI11_PARSE(app, argc, argv);
  std::string command = "quantised_quality";
  for (int i = 1; i < argc; ++i) command += std::string(" ") + argv[i];
  try {
    return run(settings, command);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "quantised_quality: %s\n", e.what());
    return 1;
  }
}
