// Starts a model from the weights of another one that differs from it in shape.
//
// A weight that both have under one name and in one shape is copied. Every difference beyond that
// is explained by a row of the table weight_adapters(), or it is an Error that names the tensor,
// its shape and what was expected; so is a weight of the source that nothing uses, and a source
// that would compute something else with the same weights (other heads, another RoPE base, ...).
//
//   Decoder model(config, seed);
//   for (const std::string& line : adapt_weights(fs, "runs/base/model", model)) say(line);
//
// E experts, m null experts, D model width.
// A method that starts from other models adds a row with a function; nothing else changes.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

#include "models/decoder.h"

namespace switchyard::models {

struct AdaptOptions {
  // Rows of null experts: copies of the experts' own, in order, which with lower-first ties start
  // with ceil(K / (m / E + 1)) experts an item; false: as random as the model was made.
  bool copy_null_rows = true;
};

// Copies and adapts into `target`, whose weights are as its constructor made them. Returns one line
// for each adapter that was used. On error `target` may be partly overwritten.
std::vector<std::string> adapt_weights(FileSystem& fs, const std::string& directory,
                                       Decoder& target, const AdaptOptions& options = {});

// ---- Adapters -----------------------------------------------------------------------------------

// Where a weight of the target stands. `part`: "router", "selection_bias", "gate", "up", "down" of
// an expert (expert >= 0) or of a dense FFN; empty for everything else.
struct WeightPlace {
  std::string name;  // as the source's family calls it
  std::vector<std::int64_t> shape;
  int layer = -1;
  int expert = -1;
  std::string part;
};

// What adapters read.
class AdaptationSource {
 public:
  AdaptationSource(FileSystem& fs, const std::string& directory);

  const ModelConfig& config() const { return config_; }
  const WeightNames& names() const { return names_; }
  bool has(const std::string& name) const { return reader_.has(name); }
  const std::vector<std::int64_t>& shape(const std::string& name) const;
  // fp32, not to be written to; remembers that the weight was used.
  torch::Tensor read(const std::string& name);
  // Says that the target does without this weight, which need not exist.
  void leave_out(const std::string& name) { used_.insert(name); }
  // Weights of the source that nothing read, in the order of its config.
  std::vector<std::string> unused() const;

 private:
  ModelConfig config_;
  WeightNames names_;
  SafetensorsReader reader_;
  std::set<std::string> used_;
  // The weights read last: every expert that a dense network is split into reads the same three.
  std::vector<std::pair<std::string, torch::Tensor>> recent_;
};

struct WeightAdapter {
  std::string_view what;
  // Whether it explains this weight, which the source does not have in this shape.
  bool (*explains)(const AdaptationSource& source, const ModelConfig& target,
                   const WeightPlace& place);
  // The value; undefined: as the target's constructor made it.
  torch::Tensor (*make)(AdaptationSource& source, const ModelConfig& target,
                        const WeightPlace& place, const torch::Tensor& initial,
                        const AdaptOptions& options);
};

// The first that explains a weight makes it.
std::span<const WeightAdapter> weight_adapters();

}  // namespace switchyard::models
