// Importance files of both kinds, and what a model makes of one.
#include <cmath>

#include "base/check.h"
#include "formats/gguf/column_importance.h"
#include "formats/gguf/importance_collector.h"
#include "formats/gguf/model_parts.h"
#include "formats/gguf/testing_raw_file.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::hostile {
namespace {

using namespace testing_support;

constexpr const char* kFile = "importance";

// Small, so that every byte can be attacked.
ModelConfig smallest_moe() {
  ModelConfig config = tiny_mixtral();
  config.width = config.head_dim = 4;
  config.heads = config.kv_heads = 1;
  config.layers = 1;
  config.layer_is_moe = {true};
  config.moe->expert.hidden = 2;
  config.moe->router.experts = 2;
  config.moe->router.experts_per_token = 1;
  return config;
}

std::string new_kind() {
  const ModelConfig config = smallest_moe();
  ImportanceCollector collector;
  const std::vector<float> x(64, 1.5F);
  for (const GgufPart& part : gguf_parts(config)) {
    if (part.shape.size() != 2 || part.expert == 1) continue;
    const auto columns = static_cast<std::size_t>(part.shape.back());
    collector.add(part.weight, x.data(), 4, columns, columns);
  }
  MemoryFileSystem fs;
  write_importance(fs, kFile, collector.data(config));
  return read_file(fs, kFile);
}

std::string old_kind() {
  testing_gguf::RawFile file;
  file.u32(2);
  file.u32(19).plain("blk.0.attn_q.weight").u32(3).u32(4);
  for (const float v : {3.0F, 6.0F, 0.0F, 1.0F}) file.put(v);
  file.u32(26).plain("blk.0.ffn_down_exps.weight").u32(3).u32(4);
  for (const float v : {3.0F, 6.0F, 3.0F, 3.0F}) file.put(v);
  file.u32(3).u32(8).plain("text.txt");
  return file.bytes();
}

}  // namespace

std::vector<std::string> importance_seeds() { return {new_kind(), old_kind()}; }

void read_importance_file(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put(kFile, bytes);
  const ModelConfig config = smallest_moe();
  const ColumnImportance importance(read_importance(fs, kFile), config);
  for (const GgufPart& part : gguf_parts(config)) {
    const std::vector<float> weights = importance.of(part.weight);
    SWITCHYARD_CHECK(weights.empty() ||
                     weights.size() == static_cast<std::size_t>(part.shape.back()));
    for (const float w : weights) SWITCHYARD_CHECK(std::isfinite(w) && w >= 0);
  }
  write_importance(fs, "again", importance.data());
  SWITCHYARD_CHECK(read_importance(fs, "again").entries == importance.data().entries);
}

}  // namespace switchyard::hostile
