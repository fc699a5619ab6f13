#include "runtime/kv_cache.h"

#include <string>

#include "switchyard/error.h"

namespace switchyard::runtime {
namespace {

void check_type(DType type, int width, const std::string& flag, const std::string& what) {
  const auto refuse = [&](const std::string& why, const std::string& expected) {
    throw Error({.what = "a KV cache of type " + std::string(dtype_name(type)) + why,
                 .where = flag,
                 .expected = expected,
                 .fix = "leave the option away for f32"});
  };
  if (!kernels::is_cache_type(type)) refuse(" is not supported", "f32, f16, bf16 or q8_0");
  if (type != DType::q8_0 || width % 32 == 0) return;
  refuse(" has blocks of 32 values, but " + what + " of this model are " + std::to_string(width) +
             " wide",
         "f32, f16 or bf16");
}

struct LayerBytes {
  std::uint64_t keys = 0;
  std::uint64_t values = 0;
};

LayerBytes layer_bytes(const ModelConfig& c, int tokens, const KvTypes& types) {
  const auto positions = static_cast<std::size_t>(tokens);
  if (c.mla) {
    const auto width = static_cast<std::size_t>(c.mla->cached_width());
    return {0, Arena::rounded(kernels::cached_values_bytes(types.keys, width, positions))};
  }
  const auto width = static_cast<std::size_t>(c.head_dim);
  const auto heads = static_cast<std::size_t>(c.kv_heads);
  return {Arena::rounded(heads * kernels::cached_keys_bytes(types.keys, width, positions)),
          Arena::rounded(heads * kernels::cached_values_bytes(types.values, width, positions))};
}

}  // namespace

KvTypes kv_types(const ModelConfig& config, const ModelOptions& options) {
  const DType k = options.cache_type_k, v = options.cache_type_v;
  if (config.mla) {
    check_type(k, config.mla->cached_width(), "--cache-type-k", "the cached rows");
    if (v != DType::f32 && v != k) {
      throw Error({.what = "latent attention keeps one row a token, which is key and value",
                   .where = "--cache-type-v " + std::string(dtype_name(v)),
                   .expected = "the type of --cache-type-k, which decides",
                   .fix = "leave --cache-type-v away"});
    }
    return {k, k};
  }
  check_type(k, config.head_dim, "--cache-type-k", "the heads");
  check_type(v, config.head_dim, "--cache-type-v", "the heads");
  return {k, v};
}

std::uint64_t kv_bytes(const ModelConfig& config, int tokens, const KvTypes& types) {
  const LayerBytes layer = layer_bytes(config, tokens, types);
  return static_cast<std::uint64_t>(config.layers) * (layer.keys + layer.values);
}

KvCache::KvCache(const ModelConfig& c, int tokens, const KvTypes& types)
    : types_(types),
      latent_(c.mla.has_value()),
      arena_(static_cast<std::size_t>(kv_bytes(c, tokens, types))) {
  const LayerBytes layer = layer_bytes(c, tokens, types);
  const auto positions = static_cast<std::size_t>(tokens);
  key_width_ = static_cast<std::size_t>(c.mla ? c.mla->cached_width() : c.head_dim);
  value_width_ = static_cast<std::size_t>(c.mla ? c.mla->kv_rank : c.head_dim);
  if (!latent_) {
    key_head_bytes_ = kernels::cached_keys_bytes(types.keys, key_width_, positions);
    value_head_bytes_ = kernels::cached_values_bytes(types.values, value_width_, positions);
  }
  for (int l = 0; l < c.layers; ++l) {
    if (!latent_) keys_.push_back(arena_.take<std::byte>(layer.keys).data());
    values_.push_back(arena_.take<std::byte>(layer.values).data());
  }
}

kernels::AttentionCache KvCache::head(int layer, int kv_head) const {
  const auto l = static_cast<std::size_t>(layer), h = static_cast<std::size_t>(kv_head);
  return {.key_type = types_.keys,
          .value_type = latent_ ? types_.keys : types_.values,
          .keys = latent_ ? nullptr : keys_[l] + h * key_head_bytes_,
          .values = values_[l] + h * value_head_bytes_,
          .key_width = key_width_,
          .value_width = value_width_};
}

void KvCache::put(const kernels::KernelSet& kernels, int layer, int kv_head, int position,
                  const float* key, const float* value) {
  const auto l = static_cast<std::size_t>(layer), h = static_cast<std::size_t>(kv_head);
  const auto at = static_cast<std::size_t>(position);
  kernels.cache_key(types_.keys, key, key_width_, at, keys_[l] + h * key_head_bytes_);
  kernels.cache_value(types_.values, value, value_width_, at, values_[l] + h * value_head_bytes_);
}

void KvCache::put_latent(const kernels::KernelSet& kernels, int layer, int position,
                         const float* row) {
  kernels.cache_value(types_.keys, row, key_width_, static_cast<std::size_t>(position),
                      values_[static_cast<std::size_t>(layer)]);
}

}  // namespace switchyard::runtime
