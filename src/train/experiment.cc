#include "train/experiment.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "switchyard/error.h"

#include "train/toml_reader.h"

namespace switchyard::train {
namespace {

constexpr double kHuge = 1e30;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const std::string directory = directory_of(path);
  return directory.substr(directory.find_last_of('/') + 1);
}

void require(const TomlReader& in, bool there, const char* key, const char* expected) {
  if (there) return;
  throw Error({.what = fmt::format("'{}' is missing", key),
               .where = in.where(key),
               .expected = expected,
               .fix = ""});
}

Arm read_arm(const TomlDocument& document, const std::string& name) {
  TomlReader in(document, "arm." + name);
  Arm out;
  out.name = name;
  in.get("what", out.what);
  in.get("from", out.from);
  in.get("set", out.set);
  in.get("unset", out.unset);
  in.get("sweep_experts_per_token", out.sweep_experts_per_token, 1, 1 << 16);
  in.finish();
  return out;
}

std::vector<std::string> names_of(const std::vector<Arm>& arms) {
  std::vector<std::string> names;
  names.reserve(arms.size());
  for (const Arm& arm : arms) names.push_back(arm.name);
  return names;
}

// The arms such that each comes after the one it starts from, otherwise in the file's order.
std::vector<Arm> in_running_order(const TomlDocument& document, const std::vector<Arm>& arms) {
  std::vector<Arm> out;
  const auto placed = [&](const std::string& name) {
    return std::any_of(out.begin(), out.end(), [&](const Arm& arm) { return arm.name == name; });
  };
  for (const Arm& arm : arms) {
    if (arm.from.empty()) continue;
    int index = 0;
    TomlReader(document, "arm." + arm.name).get_choice("from", names_of(arms), index);
  }
  while (out.size() < arms.size()) {
    const auto next = std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) {
      return !placed(arm.name) && (arm.from.empty() || placed(arm.from));
    });
    if (next == arms.end()) {
      const auto stuck =
          std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) { return !placed(arm.name); });
      throw Error({.what = fmt::format("arm '{}' starts, over other arms, from itself or from arms "
                                       "that do",
                                       stuck->name),
                   .where = TomlReader(document, "arm." + stuck->name).where("from"),
                   .expected = "arms that in the end start from an arm without from",
                   .fix = ""});
    }
    out.push_back(*next);
  }
  return out;
}

Overrides read_overrides(const TomlDocument& document, const std::string& section,
                         const Experiment& experiment) {
  TomlReader in(document, section);
  Overrides out;
  in.get("set", out.all);
  in.allow("arm");
  in.finish();
  TomlReader by_arm(document, section + ".arm");
  for (const Arm& arm : experiment.arms) by_arm.get(arm.name, out.by_arm[arm.name]);
  by_arm.finish();
  return out;
}

Claim read_claim(const TomlDocument& document, const std::string& name,
                 const Experiment& experiment) {
  TomlReader in(document, "claim." + name);
  Claim out;
  out.name = name;
  in.get("text", out.text);
  in.get("source", out.source);
  in.get("published", out.published);
  in.get("metric", out.metric);
  int kind = 0;
  in.get_choice("kind", {"comparison", "value"}, kind);
  out.kind = static_cast<Claim::Kind>(kind);
  const std::vector<std::string> arms = names_of(experiment.arms);
  int method = 0;
  in.get_choice("method", arms, method);
  out.method = arms[static_cast<std::size_t>(method)];
  require(in, in.has("method"), "method", "an arm");
  if (out.kind == Claim::Kind::value) {
    in.get("low", out.low, -kHuge, kHuge);
    in.get("high", out.high, -kHuge, kHuge);
    require(in, in.has("low") || in.has("high"), "low", "low, high, or both");
    if (!in.has("low")) out.low = -kHuge;
    if (!in.has("high")) out.high = kHuge;
    require(in, out.low <= out.high, "high", "a number not below low");
  } else {
    int better = 0;
    int baseline = 0;
    in.get_choice("better", {"lower", "higher"}, better);
    in.get_choice("baseline", arms, baseline);
    in.get("not_worse_by", out.not_worse_by, 0.0, kHuge);
    out.lower_is_better = better == 0;
    out.baseline = arms[static_cast<std::size_t>(baseline)];
    require(in, out.baseline != out.method, "method", "another arm than the baseline");
  }
  in.finish();
  require(in, !out.text.empty(), "text", "what was claimed");
  require(in, !out.metric.empty(), "metric", "a number of result.json, for example valid_loss");
  return out;
}

// What changes an arm's recipe in an ordinary run, a quick one, and one with each preset.
std::vector<std::vector<std::string>> kinds_of_run(const Experiment& experiment, const Arm& arm) {
  std::vector<std::vector<std::string>> out = {{}, experiment.quick.of(arm.name)};
  for (const auto& [name, preset] : experiment.presets) out.push_back(preset.of(arm.name));
  return out;
}

// Every arm's recipe is read in every kind of run. A sweep of all arms leaves out those without a
// router; one of an arm is meant for it.
void check_arms(FileSystem& fs, const TomlDocument& document, Experiment& experiment,
                const std::vector<std::int64_t>& of_all) {
  for (Arm& arm : experiment.arms) {
    const bool own = !arm.sweep_experts_per_token.empty();
    int most = std::numeric_limits<int>::max();
    for (const std::vector<std::string>& kind : kinds_of_run(experiment, arm)) {
      const Recipe recipe = arm_recipe(fs, experiment, arm, experiment.seeds.front(), kind);
      const auto& router = recipe.router;
      most = std::min(most, router ? router->experts + router->null_experts : 0);
    }
    if (!own && most > 0) arm.sweep_experts_per_token = of_all;
    for (const std::int64_t k : arm.sweep_experts_per_token) {
      if (k <= most) continue;
      throw Error(
          {.what = fmt::format("arm '{}' cannot run with {} experts a token", arm.name, k),
           .where =
               TomlReader(document, own ? "arm." + arm.name : "").where("sweep_experts_per_token"),
           .expected = most > 0 ? fmt::format("numbers from 1 to {}", most)
                                : "no sweep for an arm without a router",
           .fix = ""});
    }
  }
}

}  // namespace

std::vector<std::string> Overrides::of(const std::string& arm) const {
  std::vector<std::string> out = all;
  const auto own = by_arm.find(arm);
  if (own != by_arm.end()) out.insert(out.end(), own->second.begin(), own->second.end());
  return out;
}

const Overrides& Experiment::preset(const std::string& preset_name) const {
  const auto found = presets.find(preset_name);
  if (found != presets.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : presets) known.push_back(key);
  throw Error({.what = fmt::format("the experiment has no preset '{}'", preset_name),
               .where = name,
               .expected = known.empty() ? "a run without --preset"
                                         : fmt::format("one of {}", fmt::join(known, ", ")),
               .fix = ""});
}

const Arm& Experiment::arm(const std::string& arm_name) const {
  const auto found =
      std::find_if(arms.begin(), arms.end(), [&](const Arm& arm) { return arm.name == arm_name; });
  if (found != arms.end()) return *found;
  throw Error({.what = fmt::format("there is no arm '{}'", arm_name),
               .where = name,
               .expected = "",
               .fix = ""});
}

Experiment load_experiment(FileSystem& fs, const std::string& path) {
  const TomlDocument document = parse_toml(read_file(fs, path, 1 << 20), path);
  TomlReader root(document, "");
  Experiment out;
  out.name = name_of(path);
  root.get("title", out.title);
  std::string recipe;
  root.get("recipe", recipe);
  require(root, !recipe.empty(), "recipe", "the path of a recipe, relative to this file");
  out.recipe = recipe.starts_with('/') ? recipe : directory_of(path) + "/" + recipe;
  std::vector<std::int64_t> seeds;
  root.get("seeds", seeds, 0, INT64_MAX);
  require(root, !seeds.empty(), "seeds", "a list of whole numbers");
  out.seeds.assign(seeds.begin(), seeds.end());
  std::vector<std::int64_t> sweep;
  root.get("sweep_experts_per_token", sweep, 1, 1 << 16);
  root.get("analysis", out.analysis);
  root.get("headline", out.headline);
  for (const char* section : {"arm", "claim", "quick", "preset", "measure"}) root.allow(section);
  root.finish();

  for (const std::string& name : TomlReader(document, "arm").keys())
    out.arms.push_back(read_arm(document, name));
  require(root, !out.arms.empty(), "arm", "at least one arm: [arm.NAME]");
  out.arms = in_running_order(document, out.arms);
  for (const std::string& name : TomlReader(document, "claim").keys()) {
    out.claims.push_back(read_claim(document, name, out));
  }
  require(root, !out.claims.empty(), "claim", "at least one claim: [claim.NAME]");
  if (out.headline.empty()) out.headline = out.claims.front().name;
  require(root, std::ranges::find(out.claims, out.headline, &Claim::name) != out.claims.end(),
          "headline", "the name of a claim");
  out.quick = read_overrides(document, "quick", out);
  for (const std::string& name : TomlReader(document, "preset").keys()) {
    out.presets[name] = read_overrides(document, "preset." + name, out);
  }
  TomlReader measure(document, "measure");
  measure.get("runtime_budget", out.measure.runtime_budget, 0.0, 1.0);
  measure.finish();

  check_arms(fs, document, out, sweep);
  return out;
}

Recipe arm_recipe(FileSystem& fs, const Experiment& experiment, const Arm& arm, std::uint64_t seed,
                  const std::vector<std::string>& extra) {
  std::vector<std::string> overrides = arm.set;
  overrides.push_back(fmt::format("train.seed={}", seed));
  overrides.push_back(fmt::format("name={}-seed{}", arm.name, seed));
  overrides.insert(overrides.end(), extra.begin(), extra.end());
  return load_recipe(fs, experiment.recipe, overrides, arm.unset);
}

}  // namespace switchyard::train
