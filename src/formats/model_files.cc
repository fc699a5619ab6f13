#include "switchyard/model_files.h"

#include <array>
#include <cstring>

#include "switchyard/safetensors.h"

#include "formats/gguf/gguf_model.h"
#include "formats/merged_experts.h"

namespace switchyard {

bool is_gguf(FileSystem& fs, const std::string& path) {
  if (!fs.exists(path) || fs.is_directory(path)) return false;
  const auto file = fs.open(path);
  std::array<std::byte, 4> magic{};
  if (file->size() < magic.size()) return false;
  file->read(0, magic);
  return std::memcmp(magic.data(), "GGUF", magic.size()) == 0;
}

WeightFiles open_weights(FileSystem& fs, const std::string& path, const ModelConfig& config) {
  if (is_gguf(fs, path)) return weights_from_gguf(GgufReader(fs, path), config);
  return with_experts_apart(SafetensorsReader(fs, path), config);
}

}  // namespace switchyard
