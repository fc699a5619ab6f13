#include "support/merged_checkpoint.h"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

#include "formats/quant/quant.h"

namespace switchyard::testing_support {
namespace {

using Values = std::vector<float>;

std::vector<std::byte> bytes_of(const Values& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

class Merger {
 public:
  Merger(FileSystem& fs, const std::string& from)
      : reader_(fs, from), config_(read_model_config(fs, from)), names_(config_.family) {
    in_turn_ = config_.family == Family::gpt_oss;
    experts_ = static_cast<std::size_t>(config_.moe->router.experts);
    hidden_ = static_cast<std::size_t>(config_.moe->expert.hidden);
    width_ = static_cast<std::size_t>(config_.width);
  }

  void write(FileSystem& fs, const std::string& path, MergedForm form) {
    for (const auto& [name, tensor] : reader_.tensors()) {
      if (name.find(".experts.") != std::string::npos) continue;
      std::vector<std::byte> bytes(tensor.bytes);
      reader_.read(tensor, bytes);
      writer_.add(name, tensor.dtype, tensor.shape, std::move(bytes));
    }
    for (l_ = 0; l_ < config_.layers; ++l_) {
      if (!config_.layer_is_moe[static_cast<std::size_t>(l_)]) continue;
      if (form == MergedForm::mxfp4) {
        quantised("gate_up_proj", {"gate", "up"}, hidden_, width_);
        quantised("down_proj", {"down"}, width_, hidden_);
      } else {
        plain("gate_up_proj", {"gate", "up"}, hidden_, width_);
        plain("down_proj", {"down"}, width_, hidden_);
      }
      if (!config_.moe->expert_bias) continue;
      biases("gate_up_proj_bias", {"gate_bias", "up_bias"}, hidden_);
      biases("down_proj_bias", {"down_bias"}, width_);
    }
    writer_.commit(fs, path);
  }

 private:
  using Parts = std::vector<std::string>;

  Values values(std::size_t expert, const std::string& part) {
    return reader_.read_f32(names_.expert(l_, static_cast<int>(expert), part));
  }

  void add(const std::string& end, DType dtype, const std::vector<std::size_t>& shape,
           std::vector<std::byte> bytes) {
    writer_.add(names_.merged_experts(l_, end), dtype, {shape.begin(), shape.end()},
                std::move(bytes));
  }

  // Row of the merged matrix that row r of part p becomes.
  std::size_t row_of(std::size_t r, std::size_t p, std::size_t parts, std::size_t rows) const {
    return in_turn_ ? r * parts + p : p * rows + r;
  }

  void plain(const std::string& end, const Parts& parts, std::size_t rows, std::size_t columns) {
    const std::size_t all = parts.size() * rows;
    Values merged(experts_ * all * columns);
    for (std::size_t e = 0; e < experts_; ++e) {
      for (std::size_t p = 0; p < parts.size(); ++p) {
        const Values matrix = values(e, parts[p]);
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t c = 0; c < columns; ++c) {
            const std::size_t row = row_of(r, p, parts.size(), rows);
            const std::size_t at = in_turn_ ? c * all + row : row * columns + c;
            merged[e * all * columns + at] = matrix[r * columns + c];
          }
        }
      }
    }
    if (in_turn_) {
      add(end, DType::f32, {experts_, columns, all}, bytes_of(merged));
    } else {
      add(end, DType::f32, {experts_, all, columns}, bytes_of(merged));
    }
  }

  void biases(const std::string& end, const Parts& parts, std::size_t length) {
    Values merged(experts_ * parts.size() * length);
    for (std::size_t e = 0; e < experts_; ++e) {
      for (std::size_t p = 0; p < parts.size(); ++p) {
        const Values bias = values(e, parts[p]);
        for (std::size_t i = 0; i < length; ++i) {
          merged[e * parts.size() * length + row_of(i, p, parts.size(), length)] = bias[i];
        }
      }
    }
    add(end, DType::f32, {experts_, parts.size() * length}, bytes_of(merged));
  }

  void quantised(const std::string& stem, const Parts& parts, std::size_t rows,
                 std::size_t columns) {
    const std::size_t blocks = columns / 32;
    const std::size_t all = parts.size() * rows;
    std::vector<std::byte> codes(experts_ * all * blocks * 16);
    std::vector<std::byte> scales(experts_ * all * blocks);
    for (std::size_t e = 0; e < experts_; ++e) {
      for (std::size_t p = 0; p < parts.size(); ++p) {
        std::vector<std::byte> stored(rows * blocks * 17);
        quant::encode_rows(DType::mxfp4, values(e, parts[p]), columns, {}, stored);
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t b = 0; b < blocks; ++b) {
            const std::byte* block = stored.data() + (r * blocks + b) * 17;
            const std::size_t at = (e * all + row_of(r, p, parts.size(), rows)) * blocks + b;
            scales[at] = block[0];
            // Value i of the block: nibbles of GGUF are apart, those of safetensors side by side.
            const auto code = [&](std::size_t i) {
              const auto byte = std::to_integer<unsigned>(block[1 + i % 16]);
              return i < 16 ? byte & 15U : byte >> 4;
            };
            for (std::size_t i = 0; i < 16; ++i) {
              codes[at * 16 + i] = static_cast<std::byte>(code(2 * i) | code(2 * i + 1) << 4);
            }
          }
        }
      }
    }
    add(stem + "_blocks", DType::u8, {experts_, all, blocks, 16}, std::move(codes));
    add(stem + "_scales", DType::u8, {experts_, all, blocks}, std::move(scales));
  }

  SafetensorsReader reader_;
  ModelConfig config_;
  WeightNames names_;
  SafetensorsWriter writer_;
  bool in_turn_ = false;
  std::size_t experts_ = 0, hidden_ = 0, width_ = 0;
  int l_ = 0;
};

}  // namespace

void write_merged_checkpoint(FileSystem& fs, const std::string& from, const std::string& to,
                             MergedForm form) {
  fs.create_directories(to);
  auto config = nlohmann::json::parse(read_file(fs, from + "/config.json"));
  if (form == MergedForm::mxfp4) {
    config["quantization_config"] = {{"quant_method", "mxfp4"},
                                     {"modules_to_not_convert", {"model.layers.*.self_attn"}}};
  }
  write_file_atomically(fs, to + "/config.json", config.dump(2));
  Merger(fs, from).write(fs, to + "/model.safetensors", form);
}

}  // namespace switchyard::testing_support
