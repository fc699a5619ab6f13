// GGUF files, single and split: the container, and the model in it.
#include "base/check.h"
#include "formats/dtype.h"
#include "formats/gguf/gguf_model.h"
#include "formats/weight_check.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::hostile {
namespace {

using namespace testing_support;

constexpr const char* kFile = "m.gguf";
constexpr const char* kFirst = "m-00001-of-00002.gguf";
constexpr const char* kSecond = "m-00002-of-00002.gguf";

std::string values_file() {
  MemoryFileSystem fs;
  GgufWriter writer;
  writer.set("u8", std::uint8_t{1});
  writer.set("i64", std::int64_t{-1});
  writer.set("f32", 0.5F);
  writer.set("f64", 0.5);
  writer.set("bool", true);
  writer.set("text", std::string("a text"));
  writer.set("texts", GgufArray{std::vector<std::string>{"a", "", "ccc"}});
  writer.set("bools", GgufArray{std::vector<bool>{true, false}});
  writer.set("nested", GgufArray{std::vector<GgufArray>{{std::vector<std::uint16_t>{1, 2}},
                                                        {std::vector<float>{0.25F}}}});
  writer.add("a", DType::f16, {3, 2}, std::vector<std::byte>(12));
  writer.add("b", DType::q4_0, {32, 2}, std::vector<std::byte>(36));
  writer.commit(fs, kFile);
  return read_file(fs, kFile);
}

// So small that every byte of its file can be attacked.
ModelConfig smallest(ModelConfig config) {
  config.vocab = 3;
  config.width = 4;
  config.heads = 1;
  config.kv_heads = 1;
  config.head_dim = 4;
  config.layers = 1;
  config.layer_is_moe = {config.moe.has_value()};
  config.dense.hidden = config.dense.hidden > 0 ? 2 : 0;
  if (config.moe) {
    config.moe->expert.hidden = 2;
    config.moe->router.experts = 2;
    config.moe->router.experts_per_token = 1;
    if (config.moe->shared_hidden > 0) config.moe->shared_hidden = 2;
  }
  return config;
}

std::string model_file(const ModelConfig& config) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "hf", smallest(config));
  write_gguf(fs, kFile, read_model_config(fs, "hf"), SafetensorsReader(fs, "hf"));
  return read_file(fs, kFile);
}

std::string part_file(int number, const std::string& tensor) {
  MemoryFileSystem fs;
  GgufWriter writer;
  writer.set("split.no", static_cast<std::uint16_t>(number));
  writer.set("split.count", std::uint16_t{2});
  writer.set("split.tensors.count", std::int32_t{2});
  writer.add(tensor, DType::f32, {2}, std::vector<std::byte>(8));
  writer.commit(fs, kFile);
  return read_file(fs, kFile);
}

// Reads all that the header promises.
void use(const GgufReader& reader) {
  for (const auto& [name, tensor] : reader.tensors()) {
    SWITCHYARD_CHECK(tensor.file < reader.files().size());
    std::vector<std::byte> bytes(tensor.bytes);
    reader.read(tensor, bytes);
    const GgufTensorType* type = find_gguf_tensor_type(tensor.type);
    SWITCHYARD_CHECK(type != nullptr && tensor.elements() % type->elements == 0);
  }
}

void use_model(const GgufReader& reader) {
  const ModelConfig config = model_config_from_gguf(reader);
  SWITCHYARD_CHECK(config.active_parameters() <= config.parameters());
  const WeightFiles weights = weights_from_gguf(reader, config);
  check_weights(config, weights);
  for (const auto& [name, tensor] : weights.tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    weights.read(tensor, bytes);
    if (is_floating(tensor.dtype)) weights.read_f32(name);
  }
  // A model that is whole survives being written and read.
  MemoryFileSystem fs;
  write_gguf(fs, "again.gguf", config, weights);
  SWITCHYARD_CHECK(model_config_from_gguf(GgufReader(fs, "again.gguf")) == config);
}

}  // namespace

std::vector<std::string> gguf_seeds() { return {values_file()}; }

void read_gguf(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put(kFile, bytes);
  use(GgufReader(fs, kFile));
}

std::vector<std::string> gguf_model_seeds() {
  return {model_file(tiny_llama()), model_file(tiny_qwen2_moe()), model_file(tiny_switchyard())};
}

void read_gguf_model(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put(kFile, bytes);
  use_model(GgufReader(fs, kFile));
}

std::vector<std::string> gguf_split_seeds() { return {join(part_file(0, "a"), part_file(1, "b"))}; }

void read_gguf_split(std::string_view bytes) {
  const auto [first, second] = split(bytes);
  MemoryFileSystem fs;
  fs.put(kFirst, first);
  fs.put(kSecond, second);
  const GgufReader reader(fs, kFirst);
  for (const std::string& file : reader.files()) {
    SWITCHYARD_CHECK(file == kFirst || file == kSecond);
  }
  use(reader);
}

}  // namespace switchyard::hostile
