#include "train/experiment.h"

#include <algorithm>
#include <fmt/format.h>

#include "switchyard/error.h"

#include "train/toml_reader.h"

namespace switchyard::train {
namespace {

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  const std::string directory = directory_of(path);
  return directory.substr(directory.find_last_of('/') + 1);
}

Arm read_arm(const TomlDocument& document, const std::string& name) {
  TomlReader in(document, "arm." + name);
  Arm out;
  out.name = name;
  in.get("what", out.what);
  in.get("set", out.set);
  in.get("unset", out.unset);
  in.finish();
  return out;
}

void require(const TomlReader& in, bool there, const char* key, const char* expected) {
  if (there) return;
  throw Error({.what = fmt::format("'{}' is missing", key),
               .where = in.where(key),
               .expected = expected,
               .fix = ""});
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
  int better = 0;
  in.get_choice("better", {"lower", "higher"}, better);
  out.lower_is_better = better == 0;
  std::vector<std::string> arms;
  for (const Arm& arm : experiment.arms) arms.push_back(arm.name);
  int baseline = 0;
  int method = 0;
  in.get_choice("baseline", arms, baseline);
  in.get_choice("method", arms, method);
  in.finish();
  require(in, !out.text.empty(), "text", "what was claimed");
  require(in, !out.metric.empty(), "metric", "a number of result.json, for example valid_loss");
  require(in, baseline != method, "method", "another arm than the baseline");
  out.baseline = arms[static_cast<std::size_t>(baseline)];
  out.method = arms[static_cast<std::size_t>(method)];
  return out;
}

}  // namespace

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
  for (const char* section : {"arm", "claim", "quick"}) root.allow(section);
  root.finish();

  for (const std::string& name : TomlReader(document, "arm").keys())
    out.arms.push_back(read_arm(document, name));
  require(root, out.arms.size() >= 2, "arm", "at least two arms: [arm.NAME]");
  for (const std::string& name : TomlReader(document, "claim").keys()) {
    out.claims.push_back(read_claim(document, name, out));
  }
  require(root, !out.claims.empty(), "claim", "at least one claim: [claim.NAME]");
  TomlReader quick(document, "quick");
  quick.get("set", out.quick_set);
  quick.finish();

  for (const Arm& arm : out.arms) {
    arm_recipe(fs, out, arm, out.seeds.front(), {});
    arm_recipe(fs, out, arm, out.seeds.front(), out.quick_set);
  }
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
