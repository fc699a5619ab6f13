// Models: safetensors, their index, config.json, the router's JSON.
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/json.h"
#include "formats/weight_check.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::hostile {
namespace {

using testing_support::MemoryFileSystem;

constexpr const char* kWeights = "m/model.safetensors";

std::string small_file(DType dtype) {
  MemoryFileSystem fs;
  fs.create_directories("m");
  SafetensorsWriter writer;
  writer.add("a", dtype, {2, 3}, std::vector<std::byte>(6 * dtype_size(dtype), std::byte{0x3c}));
  writer.add("b", DType::u8, {5}, std::vector<std::byte>(5));
  writer.add("empty", DType::f32, {0, 7}, {});
  writer.set_metadata("key", "value");
  writer.commit(fs, kWeights);
  return read_file(fs, kWeights);
}

// Reads all that the header promises.
void use(const SafetensorsReader& reader) {
  for (const auto& [name, tensor] : reader.tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    reader.read(tensor, bytes);
    SWITCHYARD_CHECK(tensor.bytes ==
                     static_cast<std::uint64_t>(tensor.elements()) * dtype_size(tensor.dtype));
    if (is_floating(tensor.dtype)) {
      SWITCHYARD_CHECK(reader.read_f32(name, tensor.shape).size() ==
                       static_cast<std::size_t>(tensor.elements()));
    }
  }
}

std::vector<ModelConfig> tiny_models() {
  using namespace testing_support;
  std::vector<ModelConfig> models = {tiny_llama(),     tiny_mistral(),    tiny_qwen2(),
                                     tiny_mixtral(),   tiny_olmoe(),      tiny_qwen2_moe(),
                                     tiny_qwen3_moe(), tiny_switchyard(), tiny_duo()};
  for (const ModelConfig& config : tiny_attentions()) models.push_back(config);
  return models;
}

}  // namespace

std::vector<std::string> safetensors_seeds() {
  return {small_file(DType::f32), small_file(DType::bf16), small_file(DType::f64)};
}

void read_safetensors(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put(kWeights, bytes);
  use(SafetensorsReader(fs, kWeights));
}

std::vector<std::string> safetensors_index_seeds() {
  return {
      R"({"metadata": {"total_size": 29}, "weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors",
              "empty": "model-1.safetensors"}})"};
}

void read_safetensors_index(std::string_view bytes) {
  static const std::string shard = small_file(DType::f32);
  MemoryFileSystem fs;
  fs.put("m/model-1.safetensors", shard);
  fs.put("outside.safetensors", shard);
  fs.put("m/model.safetensors.index.json", bytes);
  const SafetensorsReader reader(fs, "m");
  for (const std::string& file : reader.files()) SWITCHYARD_CHECK(file == "m/model-1.safetensors");
  use(reader);
}

std::vector<std::string> model_config_seeds() {
  std::vector<std::string> seeds;
  for (const ModelConfig& config : tiny_models())
    seeds.push_back(to_json(config, "float32").dump());
  return seeds;
}

void read_model_config(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put("m/config.json", bytes);
  const ModelConfig config = switchyard::read_model_config(fs, "m");
  // What was accepted holds together: counts do not overflow, and it survives being written and
  // read.
  SWITCHYARD_CHECK(config.active_parameters() <= config.parameters());
  SWITCHYARD_CHECK(config.flops_per_token(config.context) > 0);
  SWITCHYARD_CHECK(model_config_from_json(to_json(config), "written") == config);
  if (config.parameters() > 1'000'000 || config.layers > 64) return;
  std::uint64_t sum = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    std::uint64_t elements = 1;
    for (const std::int64_t n : tensor.shape()) elements *= static_cast<std::uint64_t>(n);
    sum += elements;
  }
  SWITCHYARD_CHECK(sum == config.parameters());
}

std::vector<std::string> routing_config_seeds() {
  std::vector<std::string> seeds;
  for (const routing::Method& method : routing::methods()) {
    seeds.push_back(routing::to_json(routing::default_config(method.kind)).dump());
  }
  return seeds;
}

void read_routing_config(std::string_view bytes) {
  const routing::Config config = routing::config_from_json(parse_json(bytes, "router"), "router");
  SWITCHYARD_CHECK(routing::config_from_json(routing::to_json(config), "written") == config);
  if (config.experts > 64) return;
  // Any accepted config routes.
  const std::size_t items = 3;
  const std::vector<float> logits(items * static_cast<std::size_t>(routing::router_width(config)),
                                  0.5F);
  const std::vector<float> bias(config.selection_bias ? logits.size() / items : 0, 0.25F);
  const std::vector<std::int32_t> tokens = {0, 7, std::numeric_limits<std::int32_t>::max()};
  routing::State state;
  const routing::Decision decision = routing::route(config,
                                                    {.logits = logits,
                                                     .selection_bias = bias,
                                                     .token_ids = tokens,
                                                     .item_ids = {},
                                                     .items = items},
                                                    state);
  SWITCHYARD_CHECK(decision.items() == items);
}

}  // namespace switchyard::hostile
