#include "runtime/dense_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "routing/recurrent.h"

namespace switchyard::runtime {
namespace {

using Shape = std::vector<std::int64_t>;

// Walks every dense tensor of a model, in one fixed order. The visitor is told where the tensor
// goes: a matrix, which keeps its stored type, or a vector, which is widened to fp32.
struct Visitor {
  std::function<void(kernels::Matrix& target, const std::string& name, const Shape& shape)> matrix;
  std::function<void(std::span<const float>& target, const std::string& name, const Shape& shape)>
      vector;
  // kv_b of latent attention, which becomes key_up and value_up.
  std::function<void(LayerWeights& layer, const std::string& name, const Shape& shape)> latent;
  // The weights have these two as they are, in the place of kv_b.
  bool latent_in_two = false;
};

void visit_ffn(FfnWeights& ffn, const FfnConfig& config, std::int64_t width,
               const std::function<std::string(std::string_view)>& name, const Visitor& visit) {
  const std::int64_t hidden = config.hidden;
  if (config.gated) visit.matrix(ffn.gate, name("gate"), {hidden, width});
  visit.matrix(ffn.up, name("up"), {hidden, width});
  visit.matrix(ffn.down, name("down"), {width, hidden});
}

void visit_latent_attention(LayerWeights& layer, int l, const ModelConfig& c,
                            const WeightNames& names, const Visitor& visit) {
  const MlaConfig& mla = *c.mla;
  const std::int64_t d = c.width;
  if (mla.q_rank > 0) {
    visit.matrix(layer.q_a, names.layer(l, "q_a"), {mla.q_rank, d});
    visit.vector(layer.q_a_norm, names.layer(l, "q_a_norm"), {mla.q_rank});
    visit.matrix(layer.q, names.layer(l, "q_b"), {c.q_width(), mla.q_rank});
  } else {
    visit.matrix(layer.q, names.layer(l, "q"), {c.q_width(), d});
  }
  visit.matrix(layer.kv_a, names.layer(l, "kv_a"), {mla.cached_width(), d});
  visit.vector(layer.kv_a_norm, names.layer(l, "kv_a_norm"), {mla.kv_rank});
  const std::int64_t heads = c.heads;
  if (visit.latent_in_two) {
    visit.matrix(layer.key_up, names.layer(l, "k_b"), {heads * mla.kv_rank, mla.nope_dim});
    visit.matrix(layer.value_up, names.layer(l, "v_b"), {heads * mla.value_dim, mla.kv_rank});
    return;
  }
  visit.latent(layer, names.layer(l, "kv_b"),
               {heads * (mla.nope_dim + mla.value_dim), mla.kv_rank});
}

void visit_expert_bias(LayerWeights& layer, int l, const ModelConfig& c, const WeightNames& names,
                       const Visitor& visit) {
  const FfnConfig& ffn = c.moe->expert;
  layer.expert_bias.resize(static_cast<std::size_t>(c.moe->router.experts));
  for (int e = 0; e < c.moe->router.experts; ++e) {
    ExpertBias& bias = layer.expert_bias[static_cast<std::size_t>(e)];
    if (ffn.gated) visit.vector(bias.gate, names.expert(l, e, "gate_bias"), {ffn.hidden});
    visit.vector(bias.up, names.expert(l, e, "up_bias"), {ffn.hidden});
    visit.vector(bias.down, names.expert(l, e, "down_bias"), {c.width});
  }
}

void visit_layer(LayerWeights& layer, int l, const ModelConfig& c, const WeightNames& names,
                 const Visitor& visit) {
  const std::int64_t d = c.width;
  const std::int64_t q = c.q_width();
  const std::int64_t kv = c.kv_width();
  visit.vector(layer.input_norm, names.layer(l, "input_norm"), {d});
  visit.vector(layer.post_norm, names.layer(l, "post_norm"), {d});
  if (c.mla) {
    visit_latent_attention(layer, l, c, names, visit);
  } else {
    visit.matrix(layer.q, names.layer(l, "q"), {q, d});
    visit.matrix(layer.k, names.layer(l, "k"), {kv, d});
    visit.matrix(layer.v, names.layer(l, "v"), {kv, d});
  }
  visit.matrix(layer.o, names.layer(l, "o"), {d, c.mixed_width()});
  if (c.attention_bias) {
    visit.vector(layer.q_bias, names.layer(l, "q_bias"), {q});
    visit.vector(layer.k_bias, names.layer(l, "k_bias"), {kv});
    visit.vector(layer.v_bias, names.layer(l, "v_bias"), {kv});
  }
  if (c.attention_output_bias) visit.vector(layer.o_bias, names.layer(l, "o_bias"), {d});
  if (c.attention_sinks) visit.vector(layer.sinks, names.layer(l, "sinks"), {c.heads});
  if (c.qk_norm != QkNorm::none) {
    const bool full = c.qk_norm == QkNorm::full;
    visit.vector(layer.q_norm, names.layer(l, "q_norm"), {full ? q : c.head_dim});
    visit.vector(layer.k_norm, names.layer(l, "k_norm"), {full ? kv : c.head_dim});
  }
  if (!c.layer_is_moe[static_cast<std::size_t>(l)]) {
    visit_ffn(
        layer.dense.emplace(), c.dense, d, [&](std::string_view p) { return names.dense(l, p); },
        visit);
    return;
  }
  const MoeConfig& moe = *c.moe;
  const std::int64_t router_width = routing::router_width(moe.router);
  const std::int64_t hidden = moe.router.router_hidden;
  if (hidden > 0) visit.matrix(layer.router_projection, names.router_projection(l), {hidden, d});
  if (router_width > 0) {
    visit.matrix(layer.router, names.router(l), {router_width, hidden > 0 ? hidden : d});
  }
  if (moe.router.selection_bias) {
    visit.vector(layer.selection_bias, names.selection_bias(l), {router_width});
  }
  if (moe.router_bias) visit.vector(layer.router_bias, names.router_bias(l), {router_width});
  if (moe.expert_bias) visit_expert_bias(layer, l, c, names, visit);
  if (moe.shared_hidden > 0) {
    FfnConfig shared = moe.expert;
    shared.hidden = moe.shared_hidden;
    visit_ffn(
        layer.shared.emplace(), shared, d,
        [&](std::string_view p) { return names.shared_expert(l, p); }, visit);
    if (moe.shared_gate) visit.matrix(layer.shared_gate, names.shared_gate(l), {1, d});
  }
}

void visit_router_cell(CellWeights& cell, const ModelConfig& c, const WeightNames& names,
                       const Visitor& visit) {
  const std::int64_t gates = c.moe ? routing::cell_gates(c.moe->router) : 0;
  if (gates == 0) return;
  const std::int64_t p = c.moe->router.router_hidden;
  visit.matrix(cell.weight_ih, names.router_cell("weight_ih"), {gates * p, p});
  visit.matrix(cell.weight_hh, names.router_cell("weight_hh"), {gates * p, p});
  visit.vector(cell.bias_ih, names.router_cell("bias_ih"), {gates * p});
  visit.vector(cell.bias_hh, names.router_cell("bias_hh"), {gates * p});
}

void visit_all(DenseWeights& weights, const ModelConfig& c, const Visitor& visit) {
  const WeightNames names(c.family);
  visit.matrix(weights.embedding, names.embedding(), {c.vocab, c.width});
  weights.layers.resize(static_cast<std::size_t>(c.layers));
  for (int l = 0; l < c.layers; ++l)
    visit_layer(weights.layers[static_cast<std::size_t>(l)], l, c, names, visit);
  visit_router_cell(weights.router_cell, c, names, visit);
  visit.vector(weights.final_norm, names.final_norm(), {c.width});
  if (!c.tied_embeddings) visit.matrix(weights.output, names.output(), {c.vocab, c.width});
}

bool latent_in_two(const WeightFiles& tensors, const ModelConfig& c) {
  return c.mla && tensors.has(WeightNames(c.family).layer(0, "k_b"));
}

bool kept_as_stored(DType dtype) {
  return kernels::is_plain_weight(dtype) || kernels::is_quantised_weight(dtype);
}

std::size_t matrix_bytes(const TensorInfo& tensor) {
  return kept_as_stored(tensor.dtype) ? static_cast<std::size_t>(tensor.bytes)
                                      : static_cast<std::size_t>(tensor.elements()) * sizeof(float);
}

std::size_t vector_bytes(const Shape& shape) {
  return static_cast<std::size_t>(shape[0]) * sizeof(float);
}

// Reads any range of files opened for direct access, through one aligned bounce buffer. The
// unaligned end of a file goes through the page cache.
class DirectReader {
 public:
  DirectReader(FileSystem& fs, const WeightFiles& tensors) {
    for (const std::string& path : tensors.files()) {
      files_.push_back({fs.open(path, ReadMode::direct), fs.open(path, ReadMode::buffered)});
    }
  }

  void read(const TensorInfo& tensor, std::byte* out) {
    const auto& [direct, buffered] = files_[tensor.file];
    const std::uint64_t alignment = std::max<std::size_t>(direct->alignment(), 1);
    const std::uint64_t aligned_end = direct->size() / alignment * alignment;
    std::uint64_t offset = tensor.offset;
    const std::uint64_t end = tensor.offset + tensor.bytes;
    while (offset < std::min(end, aligned_end)) {
      const std::uint64_t begin = offset / alignment * alignment;
      const std::uint64_t length = std::min<std::uint64_t>(bounce_.size(), aligned_end - begin);
      direct->read(begin, {bounce_.data(), static_cast<std::size_t>(length)});
      const std::uint64_t usable = std::min(end, begin + length) - offset;
      std::memcpy(out, bounce_.data() + (offset - begin), usable);
      out += usable;
      offset += usable;
    }
    if (offset < end) buffered->read(offset, {out, static_cast<std::size_t>(end - offset)});
  }

 private:
  struct Pair {
    std::shared_ptr<ReadableFile> direct;
    std::shared_ptr<ReadableFile> buffered;
  };
  std::vector<Pair> files_;
  AlignedBuffer bounce_{1 << 20};
};

// kv_b [H (nope_dim + value_dim), kv_rank] in its two parts.
struct LatentParts {
  LatentParts(const ModelConfig& c, const TensorInfo& tensor)
      : heads(static_cast<std::size_t>(c.heads)),
        nope(static_cast<std::size_t>(c.mla->nope_dim)),
        value(static_cast<std::size_t>(c.mla->value_dim)),
        rank(static_cast<std::size_t>(c.mla->kv_rank)),
        key_type(tensor.dtype == DType::bf16 ? DType::bf16 : DType::f32),
        value_type(kept_as_stored(tensor.dtype) ? tensor.dtype : DType::f32),
        value_row_bytes(matrix_bytes(tensor) / static_cast<std::size_t>(tensor.shape[0])) {}

  // A transposed matrix cannot stay quantised: its blocks would lie across rows.
  std::size_t key_bytes() const { return heads * rank * nope * dtype_size(key_type); }
  std::size_t value_bytes() const { return heads * value * value_row_bytes; }

  std::size_t heads, nope, value, rank;
  DType key_type, value_type;
  std::size_t value_row_bytes;
};

// K_h^T of every head, from kv_b in fp32.
void transpose_keys(const LatentParts& parts, std::span<const float> kv_b,
                    std::span<std::byte> out) {
  const std::size_t per_head = (parts.nope + parts.value) * parts.rank;
  for (std::size_t h = 0; h < parts.heads; ++h) {
    for (std::size_t r = 0; r < parts.rank; ++r) {
      for (std::size_t i = 0; i < parts.nope; ++i) {
        const float weight = kv_b[h * per_head + i * parts.rank + r];
        const std::size_t at = (h * parts.rank + r) * parts.nope + i;
        if (parts.key_type == DType::bf16) {
          const kernels::Bf16 narrow = kernels::to_bf16(weight);  // exact: it was bf16 before
          std::memcpy(out.data() + at * sizeof narrow, &narrow, sizeof narrow);
        } else {
          std::memcpy(out.data() + at * sizeof weight, &weight, sizeof weight);
        }
      }
    }
  }
}

// The rows of V of every head, as they are in kv_b.
void copy_values(const LatentParts& parts, const std::byte* kv_b, std::span<std::byte> out) {
  const std::size_t bytes = parts.value * parts.value_row_bytes;
  for (std::size_t h = 0; h < parts.heads; ++h) {
    const std::size_t row = h * (parts.nope + parts.value) + parts.nope;
    std::memcpy(out.data() + h * bytes, kv_b + row * parts.value_row_bytes, bytes);
  }
}

kernels::Matrix as_matrix(DType dtype, const void* data, const Shape& shape) {
  return {dtype, data, static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
}

}  // namespace

std::uint64_t DenseWeights::bytes_needed(const WeightFiles& tensors, const ModelConfig& config) {
  std::uint64_t total = 0;
  DenseWeights unused;
  visit_all(unused, config,
            {.matrix =
                 [&](kernels::Matrix&, const std::string& name, const Shape& shape) {
                   total += Arena::rounded(matrix_bytes(tensors.find(name, shape)));
                 },
             .vector =
                 [&](std::span<const float>&, const std::string& name, const Shape& shape) {
                   static_cast<void>(tensors.find(name, shape));
                   total += Arena::rounded(vector_bytes(shape));
                 },
             .latent =
                 [&](LayerWeights&, const std::string& name, const Shape& shape) {
                   const LatentParts parts(config, tensors.find(name, shape));
                   total += Arena::rounded(parts.key_bytes()) + Arena::rounded(parts.value_bytes());
                 },
             .latent_in_two = latent_in_two(tensors, config)});
  return total;
}

DenseWeights DenseWeights::load(FileSystem& fs, const WeightFiles& tensors,
                                const ModelConfig& config, const std::shared_ptr<Ledger>& ledger) {
  DenseWeights weights;
  const std::uint64_t bytes = bytes_needed(tensors, config);
  weights.booking_ = Ledger::book(ledger, Purpose::dense_weights, bytes);
  weights.arena_ = Arena(static_cast<std::size_t>(bytes));
  Arena& arena = weights.arena_;
  DirectReader reader(fs, tensors);
  visit_all(
      weights, config,
      {.matrix =
           [&](kernels::Matrix& target, const std::string& name, const Shape& shape) {
             const TensorInfo& tensor = tensors.find(name, shape);
             if (kept_as_stored(tensor.dtype)) {
               const auto data = arena.take<std::byte>(static_cast<std::size_t>(tensor.bytes));
               reader.read(tensor, data.data());
               order_rows(tensor, data);
               target = as_matrix(tensor.dtype, data.data(), shape);
             } else {
               const auto data = arena.take<float>(static_cast<std::size_t>(tensor.elements()));
               std::ranges::copy(tensors.read_f32(name, shape), data.begin());
               target = as_matrix(DType::f32, data.data(), shape);
             }
           },
       .vector =
           [&](std::span<const float>& target, const std::string& name, const Shape& shape) {
             const auto data = arena.take<float>(static_cast<std::size_t>(shape[0]));
             std::ranges::copy(tensors.read_f32(name, shape), data.begin());
             target = data;
           },
       .latent =
           [&](LayerWeights& layer, const std::string& name, const Shape& shape) {
             const TensorInfo& tensor = tensors.find(name, shape);
             const LatentParts parts(config, tensor);
             const std::vector<float> kv_b = tensors.read_f32(name, shape);
             const auto keys = arena.take<std::byte>(parts.key_bytes());
             transpose_keys(parts, kv_b, keys);
             layer.key_up = {parts.key_type, keys.data(), parts.heads * parts.rank, parts.nope};
             const auto values = arena.take<std::byte>(parts.value_bytes());
             if (kept_as_stored(tensor.dtype)) {
               std::vector<std::byte> stored(static_cast<std::size_t>(tensor.bytes));
               reader.read(tensor, stored.data());
               copy_values(parts, stored.data(), values);
             } else {
               copy_values(parts, std::as_bytes(std::span(kv_b)).data(), values);
             }
             layer.value_up = {parts.value_type, values.data(), parts.heads * parts.value,
                               parts.rank};
           },
       .latent_in_two = latent_in_two(tensors, config)});
  if (config.tied_embeddings) weights.output = weights.embedding;
  return weights;
}

}  // namespace switchyard::runtime
