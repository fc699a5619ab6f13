#include "formats/synthetic/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "formats/weight_check.h"

namespace switchyard {
namespace {

constexpr std::size_t kGrain = std::size_t{1} << 16;  // values made at a time by one thread

// What attention and feed-forward networks add to the residual stream, all layers together, against
// the embedding: its variance is at most about this number's square.
constexpr float kAdded = 0.5F;
// A tied model that is little more than its embedding answers every token with the one that is most
// like it, and that one with the first again.
constexpr float kAddedIfTied = 3.0F;

// Values of one tensor: mean + scale * noise.
struct Fill {
  float mean = 0.0F;
  float scale = 1.0F;
  bool signs = false;  // times -1 or 1 by chance
};

bool adds_to_residual_stream(std::string_view name) {
  constexpr std::string_view kNames[] = {"o_proj.weight", "down_proj.weight", "w2.weight",
                                         "o_proj.bias", "down_proj.bias"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](std::string_view end) { return name.ends_with(end); });
}

Fill fill_of(const ExpectedTensor& tensor, const ModelConfig& config, SyntheticScale scale) {
  const WeightNames names(config.family);
  const auto shape = tensor.shape();
  const bool routed = scale == SyntheticScale::token_routed;
  const bool tied = config.tied_embeddings;
  if (tensor.name.ends_with("norm.weight")) {
    // The output of a tied model would be its input again: a token is most like itself. Signs take
    // the likeness away.
    return {
        .mean = 1.0F, .scale = 0.1F, .signs = routed && tied && tensor.name == names.final_norm()};
  }
  const float per_input = 1.0F / std::sqrt(static_cast<float>(shape.back()));
  // An embedding that is only looked up is as large as a normed hidden state.
  const float embedding = tied ? 1.0F / std::sqrt(static_cast<float>(config.width)) : 1.0F;
  const bool matrix = shape.size() == 2;
  if (!routed) {
    if (!matrix) return {.scale = 0.1F};
    return {.scale = tensor.name == names.embedding() ? embedding : per_input};
  }
  if (tensor.name == names.embedding()) return {.scale = embedding};
  // A bias of the router as large as its logits would choose the experts on its own.
  Fill fill{.scale = matrix ? per_input : 0.02F};
  if (adds_to_residual_stream(tensor.name)) {
    fill.scale *= (tied ? kAddedIfTied : kAdded) * embedding /
                  std::sqrt(2.0F * static_cast<float>(config.layers));
  }
  return fill;
}

// ---- Noise ----
// Mean 0, variance 1, close to normal. Sums of uniform numbers: the bits are the same everywhere,
// which a library's logarithm would not promise. Number i of a stream is drawn from its place alone
// (base/random.h).

std::uint64_t stream_of(std::string_view name, std::uint64_t seed) {
  for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return seed;
}

// Twelve uniform numbers from a draw each.
float sum_of_twelve(std::uint64_t stream, std::uint64_t i) {
  std::uint64_t at = stream + 12 * i * RandomKey::kGolden;
  float sum = -6.0F;
  for (int n = 0; n < 12; ++n)
    sum += static_cast<float>(mix_bits(at += RandomKey::kGolden) >> 40) * 0x1p-24F;
  return sum;
}

// Four of 16 bits from one draw: a tenth of the time.
float sum_of_four(std::uint64_t stream, std::uint64_t i) {
  constexpr float kDeviation = 37837.227F;  // of the sum: sqrt(4 / 12) * 2^16
  const std::uint64_t draw = mix_bits(stream + (i + 1) * RandomKey::kGolden);
  const std::uint64_t sum =
      (draw & 0xffff) + (draw >> 16 & 0xffff) + (draw >> 32 & 0xffff) + (draw >> 48);
  return static_cast<float>(static_cast<std::int32_t>(sum) - 2 * 0xffff) * (1.0F / kDeviation);
}

// Values [begin, end) of a tensor as fp32 bytes.
template <typename Noise>
void write_values(std::uint64_t stream, const Fill& fill, std::uint64_t begin, std::uint64_t end,
                  std::byte* out, Noise noise) {
  for (std::uint64_t i = begin; i < end; ++i, out += sizeof(float)) {
    float value = fill.mean + fill.scale * noise(stream, i);
    if (fill.signs && (mix_bits(~stream + i * RandomKey::kGolden) & 1) != 0) value = -value;
    std::memcpy(out, &value, sizeof value);
  }
}

// ---- The file -----------------------------------------------------------------------------------

class SyntheticFile final : public ReadableFile {
 public:
  explicit SyntheticFile(SyntheticOptions options) : options_(std::move(options)) {}

  // Returns where the tensor begins.
  std::uint64_t add(const ExpectedTensor& tensor, const Fill& fill, std::uint64_t count) {
    const std::uint64_t begin = size_;
    tensors_.emplace(begin, Tensor{stream_of(tensor.name, options_.seed), fill});
    size_ += count * sizeof(float);
    return begin;
  }

  std::uint64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }

  // REQUIRES: whole values of one tensor, as WeightFiles asks for them.
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    const auto next = tensors_.upper_bound(offset);
    SWITCHYARD_CHECK(next != tensors_.begin());
    const auto& [begin, tensor] = *std::prev(next);
    const std::uint64_t end = next == tensors_.end() ? size_ : next->first;
    SWITCHYARD_CHECK(out.size() <= end - offset);
    SWITCHYARD_CHECK(offset % sizeof(float) == 0 && out.size() % sizeof(float) == 0);
    const std::uint64_t first = (offset - begin) / sizeof(float);
    const std::size_t count = out.size() / sizeof(float);
    const auto make = [&, &values = tensor](std::size_t from, std::size_t to) {
      std::byte* const place = out.data() + from * sizeof(float);
      if (options_.scale == SyntheticScale::even) {
        write_values(values.stream, values.fill, first + from, first + to, place, sum_of_twelve);
      } else {
        write_values(values.stream, values.fill, first + from, first + to, place, sum_of_four);
      }
    };
    if (options_.pool == nullptr) {
      make(0, count);
    } else {
      options_.pool->parallel_for(count, kGrain, make);
    }
    if (options_.made) options_.made(count);
  }

 private:
  struct Tensor {
    std::uint64_t stream;
    Fill fill;
  };

  SyntheticOptions options_;
  std::string path_ = "synthetic weights";
  std::map<std::uint64_t, Tensor> tensors_;  // by where they begin
  std::uint64_t size_ = 0;
};

}  // namespace

WeightFiles synthetic_weights(const ModelConfig& config, const SyntheticOptions& options) {
  validate(config);
  const auto file = std::make_shared<SyntheticFile>(options);
  std::map<std::string, TensorInfo, std::less<>> tensors;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    TensorInfo info{.name = tensor.name, .dtype = DType::f32, .shape = tensor.shape()};
    const auto count = static_cast<std::uint64_t>(info.elements());
    info.offset = file->add(tensor, fill_of(tensor, config, options.scale), count);
    info.bytes = count * sizeof(float);
    tensors.emplace(info.name, std::move(info));
  }
  return {{file->path()}, {file}, std::move(tensors)};
}

}  // namespace switchyard
