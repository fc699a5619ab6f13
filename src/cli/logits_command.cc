// switchyard logits: what a model says at every position, for comparison with any other program.
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/token_list.h"
#include "formats/npy.h"

namespace switchyard::cli {
namespace {

// {"layers": [{"layer": 0, "experts": [[e, ...] a token], "weights": [[g, ...] a token]}]}
class RouteLog {
 public:
  void add(const runtime::RouteRecord& record) {
    nlohmann::json& layer = layers_[record.layer];
    const routing::Decision& d = *record.decision;
    for (std::size_t n = 0; n < d.items(); ++n) {
      nlohmann::json experts = nlohmann::json::array();
      nlohmann::json weights = nlohmann::json::array();
      for (std::uint32_t a = d.offsets[n]; a < d.offsets[n + 1]; ++a) {
        experts.push_back(d.expert[a]);
        weights.push_back(d.weight[a]);
      }
      layer["experts"].push_back(std::move(experts));
      layer["weights"].push_back(std::move(weights));
    }
  }

  nlohmann::json json(const std::vector<std::int32_t>& tokens) const {
    nlohmann::json layers = nlohmann::json::array();
    for (const auto& [layer, content] : layers_) {
      nlohmann::json entry = content;
      entry["layer"] = layer;
      layers.push_back(std::move(entry));
    }
    return {{"tokens", tokens}, {"layers", std::move(layers)}};
  }

 private:
  std::map<int, nlohmann::json> layers_;
};

}  // namespace

int run_logits(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  TokenFlags token_flags;
  std::string out;
  std::string routes;
  auto app = make_app(
      "logits", "Writes every position's logits as float32 [T, V], and which experts were chosen.",
      "switchyard logits models/tiny-stories-moe --tokens 1,2,3 -o logits.npy --routes "
      "routes.json");
  model_flags.add_to(*app);
  token_flags.add_to(*app);
  app->add_option("-o,--out", out, "where to write the logits (.npy)")->required();
  app->add_option("--routes", routes, "where to write chosen experts and gate weights (.json)");
  if (!parse(*app, arguments, console)) return kDone;
  if (model_flags.print_plan(console)) return kDone;

  const std::vector<std::int32_t> tokens = token_flags.read(console, model_flags.model);
  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  runtime::Session session = engine.new_session();
  RouteLog log;
  const runtime::StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
  const auto logits = engine.step(
      std::span(&input, 1),
      {.stop = console.stop, .on_route = [&](const runtime::RouteRecord& r) { log.add(r); }});
  const auto vocab = static_cast<std::int64_t>(engine.model().config().vocab);
  write_npy(console.files, out, {static_cast<std::int64_t>(tokens.size()), vocab}, logits.front());
  if (!routes.empty())
    write_file_atomically(console.files, routes, log.json(tokens).dump(1) + "\n");
  console.out << "wrote " << tokens.size() << " x " << vocab << " logits to " << out << '\n';
  return kDone;
}

}  // namespace switchyard::cli
