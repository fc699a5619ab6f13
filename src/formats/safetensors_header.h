// The JSON header of a safetensors file: parsed and checked before anything is read behind it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/safetensors.h"

namespace switchyard {

// No writer makes a header larger than this; a length beyond it is an attack or a broken file.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;  // in file order; offsets count from the start of the data
  std::map<std::string, std::string> metadata;
};

// `text` is the header, `data_bytes` the number of bytes behind it. Throws Error naming `path` and
// the tensor unless the tensors cover the data exactly: known types, shape times element size equal
// to the length, no overlap, hole or rest.
SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           const std::string& path);

}  // namespace switchyard
