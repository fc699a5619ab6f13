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
};

void visit_ffn(FfnWeights& ffn, const FfnConfig& config, std::int64_t width,
               const std::function<std::string(std::string_view)>& name, const Visitor& visit) {
  const std::int64_t hidden = config.hidden;
  if (config.gated) visit.matrix(ffn.gate, name("gate"), {hidden, width});
  visit.matrix(ffn.up, name("up"), {hidden, width});
  visit.matrix(ffn.down, name("down"), {width, hidden});
}

void visit_layer(LayerWeights& layer, int l, const ModelConfig& c, const WeightNames& names,
                 const Visitor& visit) {
  const std::int64_t d = c.width;
  const std::int64_t q = c.q_width();
  const std::int64_t kv = c.kv_width();
  visit.vector(layer.input_norm, names.layer(l, "input_norm"), {d});
  visit.vector(layer.post_norm, names.layer(l, "post_norm"), {d});
  visit.matrix(layer.q, names.layer(l, "q"), {q, d});
  visit.matrix(layer.k, names.layer(l, "k"), {kv, d});
  visit.matrix(layer.v, names.layer(l, "v"), {kv, d});
  visit.matrix(layer.o, names.layer(l, "o"), {d, q});
  if (c.attention_bias) {
    visit.vector(layer.q_bias, names.layer(l, "q_bias"), {q});
    visit.vector(layer.k_bias, names.layer(l, "k_bias"), {kv});
    visit.vector(layer.v_bias, names.layer(l, "v_bias"), {kv});
  }
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

bool kept_as_stored(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16; }

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
                 }});
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
           }});
  if (config.tied_embeddings) weights.output = weights.embedding;
  return weights;
}

}  // namespace switchyard::runtime
