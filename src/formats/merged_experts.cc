#include "formats/merged_experts.h"

#include <set>
#include <string>
#include <utility>

#include "switchyard/error.h"

#include "formats/dtype.h"
#include "formats/family.h"
#include "formats/json.h"
#include "formats/tensor_sources.h"

namespace switchyard {
namespace {

constexpr std::int64_t kCodeBytes = 16;  // of a block of MXFP4
constexpr std::int64_t kBlockValues = 32;

class Splitter {
 public:
  Splitter(const WeightFiles& weights, const ModelConfig& config)
      : weights_(weights),
        names_(config.family),
        in_turn_(traits(config.family).experts_in_turn),
        experts_(config.moe->router.experts),
        hidden_(config.moe->expert.hidden),
        width_(config.width) {}

  void layer(int l) {
    l_ = l;
    if (in_turn_ && weights_.has(name("gate_up_proj_blocks"))) {
      quantised("gate_up_proj", {{"gate", 0}, {"up", 1}}, 2, hidden_, width_);
      quantised("down_proj", {{"down", 0}}, 1, width_, hidden_);
    } else if (weights_.has(name("gate_up_proj"))) {
      plain("gate_up_proj", {{"gate", 0}, {"up", 1}}, 2, hidden_, width_);
      plain("down_proj", {{"down", 0}}, 1, width_, hidden_);
    } else {
      return;
    }
    bias("gate_up_proj_bias", {{"gate_bias", 0}, {"up_bias", 1}}, 2, hidden_);
    bias("down_proj_bias", {{"down_bias", 0}}, 1, width_);
  }

  WeightFiles finish() && {
    for (const auto& [name, tensor] : weights_.tensors()) {
      if (used_.count(name) == 0) add(tensor);
    }
    return {weights_.files(), weights_.handles(), std::move(tensors_)};
  }

 private:
  // What one of `parts` matrices, or vectors, of an expert is called, and which of them it is.
  struct Which {
    std::string_view part;
    std::int64_t number;
  };
  using Parts = std::vector<Which>;

  std::string name(std::string_view end) const { return names_.merged_experts(l_, end); }

  std::string place(const TensorInfo& tensor) const {
    return weights_.files()[tensor.file] + ": tensor " + shown(tensor.name);
  }

  const TensorInfo& use(std::string_view end, const std::vector<std::int64_t>& shape) {
    const TensorInfo& tensor = weights_.find(name(end), shape);
    used_.insert(tensor.name);
    return tensor;
  }

  // Expert e's share of a tensor.
  FileRange share(const TensorInfo& tensor, int e) const {
    const std::uint64_t bytes = tensor.bytes / static_cast<std::uint64_t>(experts_);
    return {.file = tensor.file,
            .offset = tensor.offset + static_cast<std::uint64_t>(e) * bytes,
            .bytes = bytes};
  }

  void add(TensorInfo tensor) {
    const std::string where = place(tensor);
    if (tensors_.emplace(tensor.name, std::move(tensor)).second) return;
    throw Error({.what = "the tensor stands for itself and in one that holds all experts",
                 .where = where,
                 .expected = "either",
                 .fix = "get the model again or convert it again"});
  }

  TensorInfo part_of(const TensorInfo& merged, int e, std::string_view part, DType dtype,
                     std::vector<std::int64_t> shape) const {
    TensorInfo info{.name = names_.expert(l_, e, part), .dtype = dtype, .shape = std::move(shape)};
    info.file = merged.file;
    info.bytes = *dtype_bytes(dtype, static_cast<std::uint64_t>(info.elements()));
    return info;
  }

  void quantised(const std::string& stem, const Parts& parts, std::int64_t count, std::int64_t rows,
                 std::int64_t columns) {
    const std::int64_t blocks = columns / kBlockValues;
    if (columns % kBlockValues != 0) {
      throw Error({.what = "rows of " + std::to_string(columns) + " values are no whole blocks",
                   .where = place(weights_.find(name(stem + "_blocks"))),
                   .expected = "a multiple of 32",
                   .fix = "check that config.json and weights belong together"});
    }
    const TensorInfo& codes = use(stem + "_blocks", {experts_, count * rows, blocks, kCodeBytes});
    const TensorInfo& scales = use(stem + "_scales", {experts_, count * rows, blocks});
    for (const TensorInfo* tensor : {&codes, &scales}) {
      if (tensor->dtype != DType::u8) fail_type(*tensor, "U8");
    }
    for (int e = 0; e < experts_; ++e) {
      for (const Which& which : parts) {
        TensorInfo info = part_of(codes, e, which.part, DType::mxfp4, {rows, columns});
        info.sources = strided_mxfp4(
            share(codes, e), share(scales, e), rows, blocks,
            {.first = which.number * blocks, .row_step = count * blocks, .column_step = 1},
            place(scales));
        add(std::move(info));
      }
    }
  }

  void plain(const std::string& stem, const Parts& parts, std::int64_t count, std::int64_t rows,
             std::int64_t columns) {
    const TensorInfo& merged = in_turn_ ? use(stem, {experts_, columns, count * rows})
                                        : use(stem, {experts_, count * rows, columns});
    if (!is_floating(merged.dtype)) fail_type(merged, "F32, F16, BF16 or F64");
    for (int e = 0; e < experts_; ++e) {
      for (const Which& which : parts) {
        TensorInfo info = part_of(merged, e, which.part, merged.dtype, {rows, columns});
        if (in_turn_) {
          info.sources =
              strided(share(merged, e), merged.dtype, rows, columns,
                      {.first = which.number, .row_step = count, .column_step = count * rows});
        } else {
          info.offset =
              share(merged, e).offset + static_cast<std::uint64_t>(which.number) * info.bytes;
        }
        add(std::move(info));
      }
    }
  }

  void bias(const std::string& end, const Parts& parts, std::int64_t count, std::int64_t length) {
    if (!weights_.has(name(end))) return;  // whether it must be there, check_weights() knows
    const TensorInfo& merged = use(end, {experts_, count * length});
    if (!is_floating(merged.dtype)) fail_type(merged, "F32, F16, BF16 or F64");
    for (int e = 0; e < experts_; ++e) {
      for (const Which& which : parts) {
        TensorInfo info = part_of(merged, e, which.part, merged.dtype, {length});
        if (in_turn_) {
          info.sources = strided(share(merged, e), merged.dtype, length, 1,
                                 {.first = which.number, .row_step = count, .column_step = 1});
        } else {
          info.offset =
              share(merged, e).offset + static_cast<std::uint64_t>(which.number) * info.bytes;
        }
        add(std::move(info));
      }
    }
  }

  [[noreturn]] void fail_type(const TensorInfo& tensor, const std::string& expected) const {
    throw Error({.what = "the dtype is " + std::string(dtype_name(tensor.dtype)),
                 .where = place(tensor),
                 .expected = expected,
                 .fix = "convert the model to one of these types"});
  }

  const WeightFiles& weights_;
  WeightNames names_;
  bool in_turn_;
  int experts_;
  std::int64_t hidden_, width_;
  int l_ = 0;
  std::set<std::string, std::less<>> used_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
};

}  // namespace

WeightFiles with_experts_apart(const WeightFiles& weights, const ModelConfig& config) {
  // Experts of several widths fit no tensor.
  if (!config.moe || !config.moe->expert_hidden.empty() || !config.moe->expert.gated) {
    return weights;
  }
  Splitter splitter(weights, config);
  for (int l = 0; l < config.layers; ++l) {
    if (config.layer_is_moe[static_cast<std::size_t>(l)]) splitter.layer(l);
  }
  return std::move(splitter).finish();
}

}  // namespace switchyard
