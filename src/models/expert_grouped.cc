// Grouped experts on the CPU with a hand-written backward.
//
// Rows are assignments sorted expert-major; r is a row, n(r) its item, w(r) its gate weight, e(r)
// its expert.
//
//   forward    h = x[n] in_e^T            [A, 2F]   kept for backward
//              a = w act(h_gate) h_up     [A, F]    in a task's scratch, never stored
//              y[n] = sum of a out_e^T over the item's rows, in the order of its choices
//   backward   da = dy[n] out_e;  dw = sum_f da act(h_gate) h_up
//              dh from da;        dx[n] = sum of dh in_e over the item's rows
//              din_e = dh^T x[n];  dout_e = dy[n]^T a       over the rows of e
//
// F is the expert's own: where widths differ, the values of a row take as much room as its expert
// is wide.
//
// The gate weight multiplies a, not the expert's output: one multiplication among others in the
// same pass over a, and its gradient is a dot product of length F with values that are at hand, so
// the experts' outputs need not be kept.
//
// Work is cut into tasks by shape alone (a block of one expert's rows; a block of rows of one
// expert's weight gradient), each computed by one thread in a fixed order: the result does not
// depend on the number of threads.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "base/check.h"
#include "models/expert_paths.h"
#include "models/gemm.h"

namespace switchyard::models {
namespace {

// Rows of one forward task: enough for an efficient product, few enough that a task's operands stay
// in the L2 cache (256 rows of D = F = 512 floats are 512 KiB each).
constexpr std::int64_t kBlockRows = 256;
// Rows of one weight-gradient task.
constexpr std::int64_t kBlockGradientRows = 512;

// Runs task(i) for i in [0, count) on libtorch's threads; whoever is free takes the next.
void run_tasks(std::int64_t count, const std::function<void(std::int64_t)>& task) {
  std::atomic<std::int64_t> next{0};
  // Workers do not inherit the caller's autograd state, and tasks work below it.
  const auto work = [&](std::int64_t, std::int64_t) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    for (auto i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i);
  };
  at::parallel_for(0, std::min<std::int64_t>(count, at::get_num_threads()), 1, work);
}

// The decision sorted expert-major.
struct Rows : torch::CustomClassHolder {
  std::vector<std::int64_t> begin;       // [E + 1]
  std::vector<std::int64_t> item;        // [A]
  std::vector<std::int64_t> assignment;  // [A]: index into the flat [N * K] choices
  std::vector<std::int64_t> row;         // [N * K]: the row of each choice, -1: none
  std::int64_t count() const { return static_cast<std::int64_t>(item.size()); }
};

c10::intrusive_ptr<Rows> sort_by_expert(const torch::Tensor& slots, std::int64_t experts) {
  auto rows = c10::make_intrusive<Rows>();
  const auto contiguous = slots.contiguous();
  const auto* slot = contiguous.data_ptr<std::int64_t>();
  const auto choices = slots.size(1);
  const auto total = slots.numel();
  rows->begin.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (std::int64_t a = 0; a < total; ++a) {
    SWITCHYARD_CHECK(slot[a] >= -1 && slot[a] < experts);
    if (slot[a] >= 0) ++rows->begin[slot[a] + 1];
  }
  for (std::int64_t e = 0; e < experts; ++e) rows->begin[e + 1] += rows->begin[e];
  rows->item.resize(rows->begin[experts]);
  rows->assignment.resize(rows->begin[experts]);
  rows->row.assign(total, -1);
  auto next = rows->begin;
  for (std::int64_t a = 0; a < total; ++a) {
    if (slot[a] < 0) continue;
    const auto r = next[slot[a]]++;
    rows->item[r] = a / choices;
    rows->assignment[r] = a;
    rows->row[a] = r;
  }
  return rows;
}

// A block of consecutive rows of one expert.
struct Block {
  std::int64_t expert = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t rows() const { return end - begin; }
};

std::vector<Block> row_blocks(const Rows& rows) {
  std::vector<Block> blocks;
  const auto experts = static_cast<std::int64_t>(rows.begin.size()) - 1;
  for (std::int64_t e = 0; e < experts; ++e) {
    for (auto begin = rows.begin[e]; begin < rows.begin[e + 1]; begin += kBlockRows) {
      blocks.push_back({e, begin, std::min(begin + kBlockRows, rows.begin[e + 1])});
    }
  }
  return blocks;
}

// One expert: how wide it is, where its matrices lie in the banks, and where the values of its rows
// lie in buffers that hold F or G values a row.
struct ExpertShape {
  std::int64_t hidden = 0;      // F
  std::int64_t in_rows = 0;     // G: 2F when gated, else F
  std::int64_t in_begin = 0;    // of in_e [G, D]
  std::int64_t out_begin = 0;   // of out_e [D, F]
  std::int64_t out_stride = 0;  // elements from one row of out_e to the next
  std::int64_t first_row = 0;
  std::int64_t hidden_begin = 0;  // of first_row's F values
  std::int64_t values_begin = 0;  // of first_row's G values

  std::int64_t hidden_at(std::int64_t row) const {
    return hidden_begin + (row - first_row) * hidden;
  }
  std::int64_t values_at(std::int64_t row) const {
    return values_begin + (row - first_row) * in_rows;
  }
};

struct Shape : torch::CustomClassHolder {
  std::int64_t width = 0;  // D
  bool gated = true;
  Activation activation = Activation::silu;
  std::vector<ExpertShape> experts;
  std::int64_t hidden_values = 0;  // F values of all rows
  std::int64_t values = 0;         // G values of all rows
};

c10::intrusive_ptr<Shape> make_shape(const ExpertBankImpl& bank, const Rows& rows) {
  auto shape = c10::make_intrusive<Shape>();
  const auto D = bank.in.size(-1);
  shape->width = D;
  shape->gated = bank.ffn.gated;
  shape->activation = bank.ffn.activation;
  std::int64_t before = 0;  // F of the experts before
  for (std::int64_t e = 0; e < bank.slots(); ++e) {
    const auto F = bank.hidden[static_cast<std::size_t>(e)];
    const auto G = bank.ffn.gated ? 2 * F : F;
    const auto count = rows.begin[e + 1] - rows.begin[e];
    shape->experts.push_back({.hidden = F,
                              .in_rows = G,
                              .in_begin = before * (bank.ffn.gated ? 2 : 1) * D,
                              .out_begin = bank.equal_widths() ? before * D : before,
                              .out_stride = bank.equal_widths() ? F : bank.out.size(1),
                              .first_row = rows.begin[e],
                              .hidden_begin = shape->hidden_values,
                              .values_begin = shape->values});
    before += F;
    shape->hidden_values += count * F;
    shape->values += count * G;
  }
  return shape;
}

template <typename T>
torch::Tensor view(T* data, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  return torch::from_blob(data, {rows, columns}, {stride, 1}, c10::CppTypeToScalarType<T>::value);
}

// out = act(h) for a block; h may be strided.
void activate_block(Activation activation, const torch::Tensor& h, torch::Tensor out) {
  switch (activation) {
    case Activation::silu:
      at::silu_out(out, h);
      return;
    case Activation::gelu:
      at::gelu_out(out, h, "none");
      return;
    case Activation::gelu_tanh:
      at::gelu_out(out, h, "tanh");
      return;
    case Activation::relu:
      at::clamp_min_out(out, h, 0);
      return;
  }
}

// d_h = d_a * act'(h); d_h may be strided.
void activate_backward_block(Activation activation, const torch::Tensor& d_a,
                             const torch::Tensor& h, torch::Tensor d_h) {
  switch (activation) {
    case Activation::silu:
      at::silu_backward_out(d_h, d_a, h);
      return;
    case Activation::gelu:
      at::gelu_backward_out(d_h, d_a, h, "none");
      return;
    case Activation::gelu_tanh:
      at::gelu_backward_out(d_h, d_a, h, "tanh");
      return;
    case Activation::relu:
      at::threshold_backward_out(d_h, d_a, h, 0);
      return;
  }
}

template <typename T>
void gather_rows(const Rows& rows, const Block& block, const T* from, std::int64_t width, T* to) {
  for (std::int64_t i = 0; i < block.rows(); ++i) {
    std::memcpy(to + i * width, from + rows.item[block.begin + i] * width, sizeof(T) * width);
  }
}

// out[n] = sum of row_values[row] over the item's choices, in their order.
template <typename T>
void sum_rows(const Rows& rows, std::int64_t items, std::int64_t choices, std::int64_t width,
              const T* row_values, T* out) {
  at::parallel_for(0, items, 64, [&](std::int64_t begin, std::int64_t end) {
    for (auto n = begin; n < end; ++n) {
      T* sum = out + n * width;
      bool first = true;
      for (std::int64_t k = 0; k < choices; ++k) {
        const auto r = rows.row[n * choices + k];
        if (r < 0) continue;
        const T* value = row_values + r * width;
        if (first) {
          std::memcpy(sum, value, sizeof(T) * width);
        } else {
          for (std::int64_t d = 0; d < width; ++d) sum[d] += value[d];
        }
        first = false;
      }
      if (first) std::fill(sum, sum + width, T{0});
    }
  });
}

template <typename T>
torch::Tensor forward_pass(const Shape& shape, const Rows& rows, const torch::Tensor& x,
                           const torch::Tensor& weights, const torch::Tensor& in,
                           const torch::Tensor& out, const torch::Tensor& hidden) {
  const auto width = shape.width;
  const auto results = torch::empty({rows.count(), width}, x.options());
  const auto* x_data = x.data_ptr<T>();
  const auto* weight = weights.data_ptr<T>();
  const auto* in_data = in.data_ptr<T>();
  const auto* out_data = out.data_ptr<T>();
  auto* h_data = hidden.data_ptr<T>();
  auto* result = results.data_ptr<T>();
  const auto blocks = row_blocks(rows);
  run_tasks(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t i) {
    const auto& block = blocks[i];
    const auto& expert = shape.experts[block.expert];
    const auto F = expert.hidden, in_rows = expert.in_rows;
    const auto m = block.rows();
    const auto scratch = torch::empty({m * (width + F)}, x.options());
    T* gathered = scratch.template data_ptr<T>();
    T* a = gathered + m * width;
    T* h = h_data + expert.values_at(block.begin);
    gather_rows(rows, block, x_data, width, gathered);
    gemm({.transpose_b = true, .m = m, .n = in_rows, .k = width}, gathered, width,
         in_data + expert.in_begin, width, h, in_rows);
    activate_block(shape.activation, view(h, m, F, in_rows), view(a, m, F, F));
    const T* up = shape.gated ? h + F : nullptr;
    for (std::int64_t r = 0; r < m; ++r) {
      const T w = weight[rows.assignment[block.begin + r]];
      T* row = a + r * F;
      if (up == nullptr) {
        for (std::int64_t f = 0; f < F; ++f) row[f] *= w;
      } else {
        const T* u = up + r * in_rows;
        for (std::int64_t f = 0; f < F; ++f) row[f] *= w * u[f];
      }
    }
    gemm({.transpose_b = true, .m = m, .n = width, .k = F}, a, F, out_data + expert.out_begin,
         expert.out_stride, result + block.begin * width, width);
  });
  auto y = torch::empty_like(x);
  sum_rows(rows, x.size(0), weights.size(1), width, result, y.data_ptr<T>());
  return y;
}

// One row between the two products of the backward pass. In: da (gradient of a), act = act(h_gate),
// u = h_up. Out: a itself over act, da w u (the gradient of act) over da, d_up. Returns the
// gradient of w.
template <typename T>
T backward_row(std::int64_t F, T w, T* da, T* act, const T* u, T* d_up) {
  constexpr std::int64_t kLanes =
      16;  // sums side by side let the compiler use vectors; the order stays fixed
  T partial[kLanes] = {};
  const auto element = [&](std::int64_t f) {
    const T up = u == nullptr ? T{1} : u[f];
    const T product = act[f] * up;
    const T scaled = w * da[f];
    const T term = da[f] * product;
    if (u != nullptr) d_up[f] = scaled * act[f];
    da[f] = scaled * up;
    act[f] = w * product;
    return term;
  };
  std::int64_t f = 0;
  for (; f + kLanes <= F; f += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) partial[lane] += element(f + lane);
  }
  for (; f < F; ++f) partial[f % kLanes] += element(f);
  T sum = 0;
  for (const T value : partial) sum += value;
  return sum;
}

struct Gradients {
  torch::Tensor x{}, weights{}, in{}, out{};
};

// Which gradients somebody waits for: frozen experts cost no products for theirs.
struct Needs {
  bool x = true;
  bool in = true;
  bool out = true;
};

template <typename T>
Gradients backward_pass(const Shape& shape, const Rows& rows, const torch::Tensor& x,
                        const torch::Tensor& weights, const torch::Tensor& in,
                        const torch::Tensor& out, const torch::Tensor& hidden,
                        const torch::Tensor& dy, const Needs& needs) {
  const auto D = shape.width;
  const auto A = rows.count();
  const bool need_x = needs.x;
  // Rows of x, dy, a and dh for the weight gradients, and rows of dx.
  const auto buffer = torch::empty(
      {A * (2 * D + (need_x ? D : 0)) + shape.hidden_values + shape.values}, x.options());
  T* x_rows = buffer.data_ptr<T>();
  T* dy_rows = x_rows + A * D;
  T* a_rows = dy_rows + A * D;
  T* dh_rows = a_rows + shape.hidden_values;
  T* dx_rows = dh_rows + shape.values;
  Gradients gradient{.weights = torch::zeros_like(weights)};
  if (needs.in) gradient.in = torch::empty_like(in);
  if (needs.out) gradient.out = torch::empty_like(out);
  const auto *x_data = x.data_ptr<T>(), *dy_data = dy.data_ptr<T>(),
             *weight = weights.data_ptr<T>();
  const auto *in_data = in.data_ptr<T>(), *out_data = out.data_ptr<T>();
  auto* h_data = hidden.data_ptr<T>();
  auto* d_weight = gradient.weights.data_ptr<T>();

  const auto blocks = row_blocks(rows);
  run_tasks(static_cast<std::int64_t>(blocks.size()), [&](std::int64_t i) {
    const auto& block = blocks[i];
    const auto& expert = shape.experts[block.expert];
    const auto F = expert.hidden, G = expert.in_rows;
    const auto m = block.rows();
    T* block_dy = dy_rows + block.begin * D;
    T* act = a_rows + expert.hidden_at(block.begin);
    T* h = h_data + expert.values_at(block.begin);
    T* dh = dh_rows + expert.values_at(block.begin);
    const auto scratch = torch::empty({m * F}, x.options());
    T* da = scratch.template data_ptr<T>();
    gather_rows(rows, block, x_data, D, x_rows + block.begin * D);
    gather_rows(rows, block, dy_data, D, block_dy);
    gemm({.m = m, .n = F, .k = D}, block_dy, D, out_data + expert.out_begin, expert.out_stride, da,
         F);
    activate_block(shape.activation, view(h, m, F, G), view(act, m, F, F));
    for (std::int64_t r = 0; r < m; ++r) {
      const auto assignment = rows.assignment[block.begin + r];
      d_weight[assignment] = backward_row(F, weight[assignment], da + r * F, act + r * F,
                                          shape.gated ? h + r * G + F : nullptr, dh + r * G + F);
    }
    activate_backward_block(shape.activation, view(da, m, F, F), view(h, m, F, G),
                            view(dh, m, F, G));
    if (need_x) {
      gemm({.m = m, .n = D, .k = G}, dh, G, in_data + expert.in_begin, D, dx_rows + block.begin * D,
           D);
    }
  });

  // A block of rows of one expert's d_in or d_out.
  struct Task {
    std::int64_t expert, begin, end;
    bool is_in;
  };
  std::vector<Task> tasks;
  for (std::int64_t e = 0; e < static_cast<std::int64_t>(shape.experts.size()); ++e) {
    for (const bool is_in : {true, false}) {
      if (!(is_in ? needs.in : needs.out)) continue;
      const auto size = is_in ? shape.experts[e].in_rows : D;
      for (std::int64_t begin = 0; begin < size; begin += kBlockGradientRows) {
        tasks.push_back({e, begin, std::min(begin + kBlockGradientRows, size), is_in});
      }
    }
  }
  T* d_in = needs.in ? gradient.in.template data_ptr<T>() : nullptr;
  T* d_out = needs.out ? gradient.out.template data_ptr<T>() : nullptr;
  run_tasks(static_cast<std::int64_t>(tasks.size()), [&](std::int64_t i) {
    const auto& task = tasks[i];
    const auto& expert = shape.experts[task.expert];
    const auto F = expert.hidden, G = expert.in_rows;
    const auto first = rows.begin[task.expert];
    const auto n = rows.begin[task.expert + 1] - first;
    const auto m = task.end - task.begin;
    const auto columns = task.is_in ? D : F;
    const auto stride = task.is_in ? D : expert.out_stride;
    T* to = task.is_in ? d_in + expert.in_begin + task.begin * D
                       : d_out + expert.out_begin + task.begin * stride;
    if (n == 0) {  // an expert without items
      for (std::int64_t r = 0; r < m; ++r) std::fill_n(to + r * stride, columns, T{0});
    } else if (task.is_in) {
      gemm({.transpose_a = true, .m = m, .n = D, .k = n},
           dh_rows + expert.values_at(first) + task.begin, G, x_rows + first * D, D, to, stride);
    } else {
      gemm({.transpose_a = true, .m = m, .n = F, .k = n}, dy_rows + first * D + task.begin, D,
           a_rows + expert.hidden_at(first), F, to, stride);
    }
  });

  if (need_x) {
    gradient.x = torch::empty_like(x);
    sum_rows(rows, x.size(0), weights.size(1), D, dx_rows, gradient.x.template data_ptr<T>());
  }
  return gradient;
}

class GroupedExperts : public torch::autograd::Function<GroupedExperts> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weights, const torch::Tensor& in,
                               const torch::Tensor& out, const torch::Tensor& slots,
                               const ExpertBankImpl* bank) {
    const auto rows = sort_by_expert(slots, bank->slots());
    const auto shape = make_shape(*bank, *rows);
    const auto hidden = torch::empty({shape->values}, x.options());
    auto y = x.scalar_type() == torch::kDouble
                 ? forward_pass<double>(*shape, *rows, x, weights, in, out, hidden)
                 : forward_pass<float>(*shape, *rows, x, weights, in, out, hidden);
    context->save_for_backward({x, weights, in, out, hidden});
    context->saved_data["rows"] = c10::IValue::make_capsule(rows);
    context->saved_data["shape"] = c10::IValue::make_capsule(shape);
    context->saved_data["need_x"] = x.requires_grad();
    context->saved_data["need_in"] = in.requires_grad();
    context->saved_data["need_out"] = out.requires_grad();
    return y;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list dy) {
    if (torch::GradMode::is_enabled()) {
      throw Error({.what = "the grouped compute path has no second derivative",
                   .where = "backward of an MoE layer",
                   .fix = "set the forward context's compute path to naive"});
    }
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weights = saved[1], &in = saved[2], &out = saved[3],
               &hidden = saved[4];
    const auto& data = context->saved_data;
    const auto rows = c10::static_intrusive_pointer_cast<Rows>(data.at("rows").toCapsule());
    const auto shape = c10::static_intrusive_pointer_cast<Shape>(data.at("shape").toCapsule());
    const Needs needs{.x = data.at("need_x").toBool(),
                      .in = data.at("need_in").toBool(),
                      .out = data.at("need_out").toBool()};
    const auto gradient_y = dy[0].contiguous();
    auto gradient =
        x.scalar_type() == torch::kDouble
            ? backward_pass<double>(*shape, *rows, x, weights, in, out, hidden, gradient_y, needs)
            : backward_pass<float>(*shape, *rows, x, weights, in, out, hidden, gradient_y, needs);
    return {gradient.x,   gradient.weights, gradient.in,
            gradient.out, torch::Tensor(),  torch::Tensor()};
  }
};

}  // namespace

torch::Tensor grouped_on_cpu(const ExpertBankImpl& bank, const torch::Tensor& x,
                             const torch::Tensor& slots, const torch::Tensor& weights) {
  return GroupedExperts::apply(x.contiguous(), weights.contiguous(), bank.in.contiguous(),
                               bank.out.contiguous(), slots, &bank);
}

torch::Tensor grouped_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                              const torch::Tensor& slots, const torch::Tensor& weights) {
  const auto type = x.scalar_type();
  const bool same_type = weights.scalar_type() == type && bank.in.scalar_type() == type &&
                         bank.out.scalar_type() == type;
  const bool on_cpu =
      x.device().is_cpu() && (type == torch::kFloat32 || type == torch::kDouble) && same_type;
  return on_cpu ? grouped_on_cpu(bank, x, slots, weights)
                : grouped_composed(bank, x, slots, weights);
}

}  // namespace switchyard::models
