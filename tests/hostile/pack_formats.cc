// Packed experts, beside the model they were packed from.
#include "switchyard/expert_pack.h"

#include "base/check.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::hostile {
namespace {

using testing_support::MemoryFileSystem;

constexpr const char* kPack = "m/experts.swpack";
constexpr const char* kWeights = "m/model.safetensors";

// One layer of two experts, 768 bytes each.
ModelConfig small_model() {
  ModelConfig config = testing_support::tiny_mixtral();
  config.width = 8;
  config.heads = config.kv_heads = 1;
  config.vocab = 4;
  config.layers = 1;
  config.layer_is_moe = {true};
  config.moe->expert.hidden = 8;
  config.moe->router.experts = 2;
  return config;
}

}  // namespace

std::vector<std::string> expert_pack_seeds() {
  MemoryFileSystem fs;
  testing_support::write_tiny_model(fs, "m", small_model());
  experts::write_pack(fs, "m", small_model(), 512);
  return {read_file(fs, kPack)};
}

void read_expert_pack(std::string_view bytes) {
  static const ModelConfig config = small_model();
  static const std::string weights = [] {
    MemoryFileSystem fs;
    testing_support::write_tiny_model(fs, "m", small_model());
    return read_file(fs, kWeights);
  }();
  MemoryFileSystem fs;
  fs.put(kWeights, weights);
  fs.put(kPack, bytes);
  const experts::ExpertStore experts = experts::open_packed(fs, "m", config);
  const experts::Store& store = *experts.store;
  SWITCHYARD_CHECK(store.layers() == 1 && store.experts(0) == 2);
  for (std::uint32_t e = 0; e < 2; ++e) {
    const experts::Slab& slab = store.slab({0, e});
    for (const experts::Extent& extent : slab.extents) {
      std::vector<std::byte> content(extent.bytes);
      store.file(extent.file).read(extent.offset, content);
    }
    for (const experts::Part& part : experts.parts.at(0).at(e)) {
      SWITCHYARD_CHECK(part.extent < slab.extents.size());
      SWITCHYARD_CHECK(part.offset + part.bytes <= slab.extents[part.extent].bytes);
      SWITCHYARD_CHECK(part.bytes == 64 * dtype_size(part.dtype));
    }
  }
}

}  // namespace switchyard::hostile
