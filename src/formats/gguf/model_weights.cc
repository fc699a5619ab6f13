// Tensors of a GGUF file -> WeightFiles.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "switchyard/error.h"

#include "formats/dtype.h"
#include "formats/gguf/architecture.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/model_parts.h"
#include "formats/gguf/rope_keys.h"
#include "formats/tensor_sources.h"

namespace switchyard {
namespace {

// More than any model has in all its layers.
constexpr std::int64_t kMaxExperts = 1 << 17;

// Tensors of other programs that no computation needs; the end of their names.
constexpr std::array<std::string_view, 4> kIgnored = {
    kRopeFactors,        // model_config_from_gguf() has read them
    "attn_rot_embd",     // the angles of RoPE, in files from 2023
    ".attn_k_b.weight",  // beside attn_kv_b: copies of it, the keys' part transposed
    ".attn_v_b.weight",
};

std::string computed_types() {
  std::string text;
  for (const GgufTensorType& type : gguf_tensor_types()) {
    if (type.dtype && (is_quantised(*type.dtype) || type.id <= 1 || type.name == "BF16")) {
      text.append(text.empty() ? "" : ", ").append(type.name);
    }
  }
  return text;
}

template <typename T>
std::string list_text(const std::vector<T>& values) {
  std::string text = "[";
  for (const T n : values) text.append(text.size() > 1 ? ", " : "").append(std::to_string(n));
  return text + "]";
}

class WeightReader {
 public:
  WeightReader(const GgufReader& gguf, const ModelConfig& config) : gguf_(gguf), config_(config) {
    const GgufArchitecture* row = find_gguf_architecture(config.family);
    paired_ = gguf.metadata().text("general.architecture") != kOwnArchitecture && row != nullptr &&
              row->paired_rows;
  }

  WeightFiles read() {
    check_counts();
    std::map<std::string, std::string, std::less<>> stored_names;
    for (const GgufPart& part : gguf_parts(config_)) {
      stored_names.emplace(part.weight, part.tensor);
      if (part.is_expert()) {
        add_expert(part);
      } else if (const GgufTensor* tensor = use(part.tensor)) {
        add(part, whole(*tensor));
      }
    }
    if (config_.mla) add_latent_in_two();
    check_unused();
    WeightFiles weights(gguf_.files(), gguf_.handles(), std::move(weights_));
    weights.set_origin("the metadata", std::move(stored_names));
    return weights;
  }

 private:
  // A short file that claims many layers and experts would have us list all their names.
  void check_counts() const {
    const auto fail = [&](const std::string& what, const std::string& expected) {
      throw Error({.what = what,
                   .where = gguf_.metadata().where(),
                   .expected = expected,
                   .fix = "get the file again or convert the model again"});
    };
    if (static_cast<std::size_t>(config_.layers) > gguf_.tensors().size()) {
      fail("the metadata says " + std::to_string(config_.layers) + " layers",
           "at most " + std::to_string(gguf_.tensors().size()) + ", one a tensor");
    }
    if (!config_.moe) return;
    const std::int64_t experts =
        std::count(config_.layer_is_moe.begin(), config_.layer_is_moe.end(), true) *
        config_.moe->router.experts;
    std::uint64_t elements = 0;  // cut, so that the sum does not overflow
    for (const auto& [name, tensor] : gguf_.tensors()) {
      elements += std::min(tensor.elements(), static_cast<std::uint64_t>(kMaxExperts));
    }
    const std::int64_t most = std::min(kMaxExperts, static_cast<std::int64_t>(elements));
    if (experts > most) {
      fail("the metadata says " + std::to_string(experts) + " experts in all layers",
           "at most " + std::to_string(most));
    }
  }

  const GgufTensor* use(const std::string& name) {
    const GgufTensor* tensor = gguf_.find(name);
    if (tensor != nullptr) used_.insert(name);
    return tensor;
  }

  TensorInfo whole(const GgufTensor& tensor) const {
    const GgufTensorType& type = *find_gguf_tensor_type(tensor.type);
    if (!type.dtype) {
      throw Error({.what = "tensors of type " + std::string(type.name) + " are not computed",
                   .where = gguf_.place(tensor),
                   .expected = "one of " + computed_types(),
                   .fix = "get the model in one of these types, such as Q4_K_M, or convert it"});
    }
    TensorInfo info;
    info.dtype = *type.dtype;
    for (auto n = tensor.dims.rbegin(); n != tensor.dims.rend(); ++n) {
      info.shape.push_back(static_cast<std::int64_t>(*n));
    }
    info.file = tensor.file;
    info.offset = tensor.offset;
    info.bytes = tensor.bytes;
    return info;
  }

  // Slice `index` of `count` equal ones along the outermost dimension.
  static TensorInfo slice(TensorInfo info, std::int64_t index, std::int64_t count) {
    info.bytes /= static_cast<std::uint64_t>(count);
    info.offset += static_cast<std::uint64_t>(index) * info.bytes;
    info.shape.front() /= count;
    return info;
  }

  // One expert of a tensor that holds all of a layer.
  TensorInfo expert_of(const GgufPart& part, const GgufTensor& merged) const {
    const int experts = config_.moe->router.experts;
    TensorInfo info = whole(merged);
    if (info.shape.size() != part.shape.size() + 1 || info.shape.front() != experts) {
      throw Error({.what = "the dimensions are " + list_text(merged.dims),
                   .where = gguf_.place(merged),
                   .expected = std::to_string(part.shape.size() + 1) + " of them, the outermost " +
                               std::to_string(experts) + " as the number of experts says",
                   .fix = "get the file again or convert the model again"});
    }
    info = slice(std::move(info), part.expert, experts);
    info.shape.erase(info.shape.begin());
    return info;
  }

  void add_expert(const GgufPart& part) {
    if (const GgufTensor* merged = use(part.tensor)) {
      add(part, expert_of(part, *merged));
      return;
    }
    if (const GgufTensor* own = use(part.own_tensor())) {
      add(part, whole(*own));
      return;
    }
    if (part.projection == "down") return;
    if (const GgufTensor* both = use(part.gate_up_tensor())) {
      TensorInfo info = expert_of(part, *both);
      if (info.shape.front() % 2 != 0) {
        throw Error({.what = "the dimensions are " + list_text(both->dims),
                     .where = gguf_.place(*both),
                     .expected = "as many rows of gate as of up",
                     .fix = "get the file again or convert the model again"});
      }
      add(part, slice(std::move(info), part.projection == "gate" ? 0 : 1, 2));
    }
  }

  // kv_b in two tensors: both as they are, and joined for who asks for kv_b.
  void add_latent_in_two() {
    const WeightNames names(config_.family);
    const MlaConfig& mla = *config_.mla;
    const std::int64_t heads = config_.heads;
    for (int l = 0; l < config_.layers; ++l) {
      if (weights_.count(names.layer(l, "kv_b")) != 0) return;
      const std::string blk = "blk." + std::to_string(l) + ".";
      const TensorInfo* keys = add_flat(names.layer(l, "k_b"), blk + "attn_k_b.weight",
                                        {heads, mla.kv_rank, mla.nope_dim});
      const TensorInfo* values = add_flat(names.layer(l, "v_b"), blk + "attn_v_b.weight",
                                          {heads, mla.value_dim, mla.kv_rank});
      if (keys == nullptr || values == nullptr) return;  // check_weights() misses kv_b
      TensorInfo joined{.name = names.layer(l, "kv_b"),
                        .dtype = joined_latent_type(keys->dtype, values->dtype),
                        .shape = {heads * (mla.nope_dim + mla.value_dim), mla.kv_rank},
                        .file = keys->file};
      joined.bytes = *dtype_bytes(joined.dtype, static_cast<std::uint64_t>(joined.elements()));
      const auto range = [](const TensorInfo& info) {
        return TypedRange{{info.file, info.offset, info.bytes}, info.dtype};
      };
      joined.sources = joined_latent(
          range(*keys), range(*values),
          {.heads = heads, .nope = mla.nope_dim, .value = mla.value_dim, .rank = mla.kv_rank});
      weights_.emplace(joined.name, std::move(joined));
    }
  }

  // A tensor of so many heads with their matrices, as one matrix; files have two dimensions or
  // three. Null if it is not there.
  const TensorInfo* add_flat(const std::string& name, const std::string& tensor,
                             const std::vector<std::int64_t>& shape) {
    const GgufTensor* stored = use(tensor);
    if (stored == nullptr) return nullptr;
    TensorInfo info = whole(*stored);
    const std::vector<std::int64_t> flat = {shape[0] * shape[1], shape[2]};
    if (info.shape != shape && info.shape != flat) {
      throw Error({.what = "the dimensions are " + list_text(stored->dims),
                   .where = gguf_.place(*stored),
                   .expected = list_text(std::vector<std::int64_t>(shape.rbegin(), shape.rend())) +
                               " as the metadata says",
                   .fix = "get the file again or convert the model again"});
    }
    if (!is_floating(info.dtype) && !is_quantised(info.dtype)) {
      throw Error({.what = "the dtype is " + std::string(dtype_name(info.dtype)),
                   .where = gguf_.place(*stored),
                   .expected = "one of " + computed_types(),
                   .fix = "get the file again or convert the model again"});
    }
    info.name = name;
    info.shape = flat;
    return &weights_.emplace(name, std::move(info)).first->second;
  }

  // Files write a dimension of 1 at the outside or leave it out.
  static void match_rank(const std::vector<std::int64_t>& expected,
                         std::vector<std::int64_t>& shape) {
    const auto stripped = [](std::vector<std::int64_t> s) {
      while (s.size() > 1 && s.front() == 1) s.erase(s.begin());
      return s;
    };
    if (stripped(shape) == stripped(expected)) shape = expected;
  }

  void add(const GgufPart& part, TensorInfo info) {
    info.name = part.weight;
    match_rank(part.shape, info.shape);
    if (paired_ && part.rotary != RotaryRows::none) {
      const int heads = part.rotary == RotaryRows::queries ? config_.heads : config_.kv_heads;
      // Of another shape check_weights() will say so; there are no heads to speak of then.
      if (info.shape.front() == std::int64_t{heads} * config_.head_dim) info.paired_heads = heads;
    }
    weights_.emplace(part.weight, std::move(info));
  }

  void check_unused() const {
    for (const auto& entry : gguf_.tensors()) {
      const std::string& name = entry.first;
      if (used_.count(name) != 0) continue;
      const bool ignored = std::any_of(kIgnored.begin(), kIgnored.end(),
                                       [&](std::string_view i) { return name.ends_with(i); });
      if (ignored) continue;
      throw Error({.what = "the tensor has no place in a model of family " +
                           std::string(family_name(config_.family)) + " with " +
                           std::to_string(config_.layers) + " layers",
                   .where = gguf_.place(entry.second),
                   .expected = "only tensors whose part in the computation is known",
                   .fix = "use a model without it"});
    }
  }

  const GgufReader& gguf_;
  const ModelConfig& config_;
  bool paired_ = false;
  std::set<std::string, std::less<>> used_;
  std::map<std::string, TensorInfo, std::less<>> weights_;
};

}  // namespace

WeightFiles weights_from_gguf(const GgufReader& gguf, const ModelConfig& config) {
  return WeightReader(gguf, config).read();
}

}  // namespace switchyard
