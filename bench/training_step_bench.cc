// What a training step costs with each routing method, over one of plain top-2 with as many experts
// a token on average.
//
//   training_step_bench [--method top-2,rmoe] [--rounds 15] [--experts 16] [--threads n]
//                       [--json] [--list]
//
// A step is forward, backward, clipping and update of a byte-level decoder (D = 128, 4 layers,
// F = 128, 16 x 128 tokens of generated text). All methods take turns in every round; the ratio is
// the median over rounds of time over the same round's top-2, so another load on the machine hits
// both. The learning rate is 0: the weights stay as they were made and so does what the routers
// choose. Thresholds are set such that tokens take two experts on average.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "base/table.h"
#include "models/allocator_tuning.h"
#include "train/generated_text.h"
#include "train/recipe.h"
#include "train/statistics.h"
#include "train/torch_threads.h"
#include "train/training_step.h"

namespace switchyard::train {
namespace {

constexpr const char* kBaseline = "top-2";
constexpr double kMeanExperts = 2;

// As recipes/bytes-moe.toml.
constexpr const char* kRecipe = R"(
[model]
family = "switchyard"
width = 128
layers = 4
heads = 4
hidden = 128
[router]
kind = "top_k"
experts_per_token = 2
losses = { balance_coefficient = 0.01 }
[data]
train = "none"
tokenizer = "bytes"
sequence = 128
[train]
steps = 1
batch = 16
)";

// A method is that recipe with overrides. {E} in a value stands for the number of experts.
struct Method {
  const char* name;
  const char* what;
  std::vector<std::string> set{};
  bool by_threshold = false;  // router.threshold is what two experts a token ask for
  std::vector<std::string> unset{};
};

const std::vector<Method>& methods() {
  static const std::vector<Method> table = {
      {.name = kBaseline, .what = "two of E experts"},
      {.name = "dense",
       .what = "one FFN as wide as two experts",
       .set = {"model.family=llama", "model.hidden=256"},
       .unset = {"router"}},
      {.name = "expert-choice",
       .what = "each expert takes its best items",
       .set = {"router.kind=expert_choice", "router.losses={}"}},
      {.name = "top-p",
       .what = "experts up to a probability, entropy loss",
       .set = {"router.kind=top_p", "router.experts_per_token={E}",
               "router.losses={ balance_coefficient = 0.01, entropy_coefficient = 0.002 }"},
       .by_threshold = true},
      {.name = "sigmoid-threshold",
       .what = "every expert above a score",
       .set = {"router.kind=sigmoid_threshold", "router.experts_per_token={E}"},
       .by_threshold = true},
      {.name = "adamoe",
       .what = "four of E experts and E null experts",
       .set = {"router.experts_per_token=4", "router.null_experts={E}"}},
      {.name = "mlp", .what = "a router of two layers", .set = {"router.router_hidden=64"}},
      {.name = "rmoe",
       .what = "a GRU of width 48 as router",
       .set = {"router.kind=recurrent", "router.router_hidden=48"}},
      {.name = "smoe-dropout",
       .what = "a frozen router, softmax over the chosen",
       .set = {"router.frozen=true", "router.softmax_after_selection=true", "router.losses={}"}},
      {.name = "duo-llm-random",
       .what = "big or small by coin, two experts wide on average",
       .set = {"router.kind=random", "router.experts=2", "router.experts_per_token=1",
               "router.losses={}", "router.probabilities=[0.5, 0.5]", "model.hidden=480",
               "model.expert_hidden=[480, 32]"}},
      {.name = "duo-llm-router",
       .what = "mixes big and small, together two experts wide; all but the router frozen",
       .set = {"model.hidden=240", "model.expert_hidden=[240, 16]", "router.experts=2",
               "router.experts_per_token=1", "router.gate=none", "router.soft_training=true",
               "router.losses={ budget_coefficient = 10.0, budget = [0.5] }",
               "train.only_router=true"}},
  };
  return table;
}

Recipe recipe_of(const Method& method, int experts) {
  std::vector<std::string> set = {fmt::format("router.experts={}", experts)};
  const bool routed = method.unset.empty();
  if (!routed) set.clear();
  for (std::string value : method.set) {
    if (const std::size_t at = value.find("{E}"); at != std::string::npos)
      value.replace(at, 3, std::to_string(experts));
    set.push_back(std::move(value));
  }
  return parse_recipe(kRecipe, method.name, set, method.unset);
}

class Candidate {
 public:
  Candidate(const Method& method, int experts, const std::vector<torch::Tensor>& batches)
      : method_(method), recipe_(recipe_of(method, experts)), batches_(batches) {
    if (method.by_threshold) find_threshold();
    make_model();
  }

  const Method& method() const { return method_; }

  double step_seconds() {
    const auto begin = std::chrono::steady_clock::now();
    model_->step(batches_, {.step = step_++, .lr = 0});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  // Of the last step.
  double experts_per_token() const { return model_->routers().summary().experts_per_token; }
  double flops() const {
    return measured_flops_per_token(model_->master().config(), model_->routers(),
                                    recipe_.data.sequence);
  }

 private:
  void make_model() {
    model_ = std::make_unique<TrainableModel>(model_config(recipe_, kByteVocab, std::nullopt),
                                              recipe_.train, 0.0, torch::kCPU);
  }

  double mean_experts_at(double threshold) {
    recipe_.router->threshold = static_cast<float>(threshold);
    make_model();
    step_seconds();
    return experts_per_token();
  }

  // More probability needs more experts; a higher score is reached by fewer.
  void find_threshold() {
    const bool grows = recipe_.router->kind == routing::Kind::top_p;
    double low = 0.001;
    double high = 0.999;
    for (int i = 0; i < 16; ++i) {
      const double middle = (low + high) / 2;
      const double experts = mean_experts_at(middle);
      if (std::abs(experts - kMeanExperts) < 0.005) break;
      ((experts < kMeanExperts) == grows ? low : high) = middle;
    }
    step_ = 0;
  }

  const Method& method_;
  Recipe recipe_;
  const std::vector<torch::Tensor>& batches_;
  std::unique_ptr<TrainableModel> model_;
  std::int64_t step_ = 0;
};

// [16, 129] bytes of text.
torch::Tensor batch() {
  constexpr std::int64_t kRows = 16;
  constexpr std::int64_t kColumns = 129;
  const std::string text = generate_text(kRows * kColumns, 1);
  torch::Tensor ids = torch::empty({kRows, kColumns}, torch::kInt64);
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    ids.data_ptr<std::int64_t>()[i] = static_cast<unsigned char>(text[static_cast<std::size_t>(i)]);
  return ids;
}

struct Measurement {
  const Candidate* candidate;
  double milliseconds;
  double ratio;  // of time
  double flops_ratio;
};

std::vector<Measurement> measure(std::vector<Candidate>& candidates, int rounds) {
  std::vector<std::vector<double>> seconds(candidates.size());
  std::vector<std::vector<double>> ratios(candidates.size());
  for (Candidate& candidate : candidates) candidate.step_seconds();  // warms up
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      seconds[i].push_back(candidates[i].step_seconds());
      ratios[i].push_back(seconds[i].back() / seconds[0].back());
    }
    fmt::print(stderr, "\rround {}/{}", round + 1, rounds);
  }
  fmt::print(stderr, "\n");
  std::vector<Measurement> out;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    out.push_back({.candidate = &candidates[i],
                   .milliseconds = median(seconds[i]) * 1e3,
                   .ratio = median(ratios[i]),
                   .flops_ratio = candidates[i].flops() / candidates[0].flops()});
  }
  return out;
}

void print_table(const std::vector<Measurement>& measurements) {
  Table table({{"method"},
               {"experts a token"},
               {"ms a step"},
               {"time / top-2"},
               {"FLOPs / top-2"},
               {"what"}});
  for (const Measurement& m : measurements) {
    const double experts = m.candidate->experts_per_token();
    table.add_row({m.candidate->method().name, experts > 0 ? Cell::number(experts, 2) : Cell(),
                   Cell::number(m.milliseconds, 1), Cell::number(m.ratio, 2),
                   Cell::number(m.flops_ratio, 2), m.candidate->method().what});
  }
  fmt::print("{}", table.render(TableFormat::markdown));
}

void print_json(const std::vector<Measurement>& measurements, int rounds, int experts) {
  nlohmann::json out = {{"rounds", rounds},
                        {"experts", experts},
                        {"threads", torch::get_num_threads()},
                        {"methods", nlohmann::json::array()}};
  for (const Measurement& m : measurements) {
    out["methods"].push_back({{"name", m.candidate->method().name},
                              {"experts_per_token", m.candidate->experts_per_token()},
                              {"milliseconds", m.milliseconds},
                              {"time_ratio", m.ratio},
                              {"flops_ratio", m.flops_ratio}});
  }
  fmt::print("{}\n", out.dump(2));
}

const Method& method_named(const std::string& name) {
  const auto found =
      std::ranges::find_if(methods(), [&](const Method& method) { return method.name == name; });
  if (found == methods().end()) {
    throw Error({.what = "unknown method '" + name + "'",
                 .where = "--method",
                 .expected = "a name that --list prints",
                 .fix = ""});
  }
  return *found;
}

void run(const std::vector<std::string>& names, int rounds, int experts, bool json) {
  const std::vector<torch::Tensor> batches = {batch()};
  std::vector<Candidate> candidates;
  candidates.emplace_back(method_named(kBaseline), experts, batches);
  for (const Method& method : methods()) {
    const bool wanted = names.empty() || std::ranges::find(names, method.name) != names.end();
    if (wanted && method.name != std::string_view(kBaseline))
      candidates.emplace_back(method, experts, batches);
  }
  const std::vector<Measurement> measurements = measure(candidates, rounds);
  if (json) {
    print_json(measurements, rounds, experts);
  } else {
    fmt::print("medians of {} rounds, {} experts, {} threads\n\n", rounds, experts,
               torch::get_num_threads());
    print_table(measurements);
  }
}

}  // namespace
}  // namespace switchyard::train

int main(int argc, char** argv) {
  using namespace switchyard;
  CLI::App app("Time of a training step with each routing method, over plain top-2's.");
  std::vector<std::string> names;
  int rounds = 15;
  int experts = 16;
  int threads = 0;
  bool json = false;
  bool list = false;
  app.add_option("--method", names, "only these, and top-2")->delimiter(',');
  app.add_option("--rounds", rounds)->capture_default_str()->check(CLI::Range(1, 10000));
  app.add_option("--experts", experts, "E of a layer")
      ->capture_default_str()
      ->check(CLI::Range(4, 1024));
  app.add_option("--threads", threads, "0: one a core")->check(CLI::Range(0, 1024));
  app.add_flag("--json", json);
  app.add_flag("--list", list, "print the methods and end");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const train::Method& method : train::methods())
      fmt::print("{:<18}{}\n", method.name, method.what);
    return 0;
  }
  try {
    for (const std::string& name : names) train::method_named(name);
    train::set_torch_threads(threads);
    models::keep_freed_memory();
    train::run(names, rounds, experts, json);
  } catch (const std::exception& error) {
    fmt::print(stderr, "training_step_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
