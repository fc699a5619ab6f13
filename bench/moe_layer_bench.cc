// How close the MoE layer comes to its limit: forward + backward of a whole layer (router included)
// against the matrix products it cannot do without, the naive loop, and a dense layer of the same
// active operations.
//
//   moe_layer_bench [--rounds 9] [--threads n] [--shape 1|2|3|T,D,E,K,F]
//                   [--glibc-default]
//
// T tokens, D model width, E experts, K experts per token, F expert width. All candidates take
// turns in every round and medians are printed, so that another load on the machine hits all alike.
// The paths' outputs and gradients are compared while they are timed; a difference ends the program
// with exit code 1.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

#include "switchyard/thread_pool.h"

#include "models/allocator_tuning.h"
#include "models/feed_forward.h"
#include "models/gemm.h"
#include "models/init.h"
#include "models/moe_layer.h"

namespace switchyard::models {
namespace {

struct LayerShape {
  std::int64_t T, D, E, K, F;
  std::int64_t assignments() const { return T * K; }
  // Three products forward (gate, up, down) and twice that backward, two operations a multiply-add.
  double operations() const { return 3.0 * 2.0 * static_cast<double>(assignments() * D * 3 * F); }
};
constexpr std::array kShapes{LayerShape{2048, 256, 8, 2, 512}, LayerShape{4096, 512, 16, 2, 1024},
                             LayerShape{512, 256, 64, 8, 128}};

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

torch::Tensor values(torch::IntArrayRef sizes, const char* name, double deviation) {
  auto tensor = torch::empty(sizes);
  fill_normal(tensor, deviation, 1, name);
  return tensor;
}

// The products of a layer whose load is perfectly balanced, without anything around them.
class Products {
 public:
  explicit Products(const LayerShape& shape)
      : s_(shape),
        x_(values({s_.assignments(), s_.D}, "x", 1)),
        h_(values({s_.assignments(), 2 * s_.F}, "h", 1)),
        a_(values({s_.assignments(), s_.F}, "a", 1)),
        y_(values({s_.assignments(), s_.D}, "y", 1)),
        in_(values({s_.E, 2 * s_.F, s_.D}, "in", 0.02)),
        out_(values({s_.E, s_.D, s_.F}, "out", 0.02)),
        result_(torch::empty({s_.assignments(), std::max(2 * s_.F, s_.D)})),
        d_in_(torch::empty_like(in_)),
        d_out_(torch::empty_like(out_)) {}

  // Expert after expert through libtorch.
  void by_libtorch() {
    const torch::NoGradGuard no_grad;
    const auto rows = s_.assignments() / s_.E;
    for (std::int64_t e = 0; e < s_.E; ++e) {
      const auto part = [&](const torch::Tensor& t) { return t.narrow(0, e * rows, rows); };
      // A contiguous [rows, columns] out of the result buffer.
      const auto to = [&](std::int64_t columns) {
        return result_.view({-1})
            .narrow(0, e * rows * result_.size(1), rows * columns)
            .view({rows, columns});
      };
      auto h = to(2 * s_.F), y = to(s_.D), da = to(s_.F), dx = to(s_.D);
      auto d_in = d_in_[e], d_out = d_out_[e];
      at::mm_out(h, part(x_), in_[e].t());
      at::mm_out(y, part(a_), out_[e].t());
      at::mm_out(da, part(y_), out_[e]);
      at::mm_out(dx, part(h_), in_[e]);
      at::mm_out(d_in, part(h_).t(), part(x_));
      at::mm_out(d_out, part(y_).t(), part(a_));
    }
  }

  // As the grouped path does them: experts side by side, each on one thread.
  void by_expert() {
    const auto rows = s_.assignments() / s_.E;
    at::parallel_for(0, s_.E, 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto e = begin; e < end; ++e) {
        const auto at_row = [&](const torch::Tensor& t) {
          return t.data_ptr<float>() + e * rows * t.size(1);
        };
        const auto at_expert = [&](const torch::Tensor& t) {
          return t.data_ptr<float>() + e * t.stride(0);
        };
        float *x = at_row(x_), *h = at_row(h_), *a = at_row(a_), *y = at_row(y_),
              *to = at_row(result_);
        const auto D = s_.D, F = s_.F;
        gemm({.transpose_b = true, .m = rows, .n = 2 * F, .k = D}, x, D, at_expert(in_), D, to,
             2 * F);
        gemm({.transpose_b = true, .m = rows, .n = D, .k = F}, a, F, at_expert(out_), F, to, D);
        gemm({.m = rows, .n = F, .k = D}, y, D, at_expert(out_), F, to, F);
        gemm({.m = rows, .n = D, .k = 2 * F}, h, 2 * F, at_expert(in_), D, to, D);
        gemm({.transpose_a = true, .m = 2 * F, .n = D, .k = rows}, h, 2 * F, x, D, at_expert(d_in_),
             D);
        gemm({.transpose_a = true, .m = D, .n = F, .k = rows}, y, D, a, F, at_expert(d_out_), F);
      }
    });
  }

 private:
  LayerShape s_;
  torch::Tensor x_, h_, a_, y_, in_, out_, result_, d_in_, d_out_;
};

struct Outcome {
  torch::Tensor y, dx, d_router, d_in, d_out;
};

double relative(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

double difference(const Outcome& a, const Outcome& b) {
  return std::max({relative(a.y, b.y), relative(a.dx, b.dx), relative(a.d_router, b.d_router),
                   relative(a.d_in, b.d_in), relative(a.d_out, b.d_out)});
}

class LayerRun {
 public:
  explicit LayerRun(const LayerShape& shape) : shape_(shape) {
    MoeConfig config;
    config.expert.hidden = static_cast<int>(shape.F);
    config.router.experts = static_cast<int>(shape.E);
    config.router.experts_per_token = static_cast<int>(shape.K);
    layer_ = MoeLayer(config, shape.D, 0, 1);
    FfnConfig dense;
    dense.hidden = static_cast<int>(shape.K * shape.F);
    dense_ = FeedForward(shape.D, dense);
    for (auto* module : {static_cast<torch::nn::Module*>(layer_.get()),
                         static_cast<torch::nn::Module*>(dense_.get())}) {
      for (auto& parameter : module->named_parameters()) {
        fill_normal(parameter.value(), 0.02, 1, parameter.key());
      }
    }
    x_ = values({1, shape.T, shape.D}, "x", 1).requires_grad_();
    dy_ = values({1, shape.T, shape.D}, "dy", 1);
    tokens_ = torch::zeros({1, shape.T}, torch::kInt64);
  }

  Outcome moe(ComputePath path) {
    clear();
    ForwardContext context;
    context.training = true;
    context.path = path;
    const auto y = layer_->forward(x_, tokens_, context);
    y.backward(dy_);
    return {y.detach(), x_.grad(), layer_->router->weight.grad(), layer_->experts->in.grad(),
            layer_->experts->out.grad()};
  }

  void dense() {
    clear();
    dense_->forward(x_).backward(dy_);
  }

 private:
  void clear() {
    x_.mutable_grad().reset();
    for (auto& parameter : layer_->parameters()) parameter.mutable_grad().reset();
    for (auto& parameter : dense_->parameters()) parameter.mutable_grad().reset();
  }

  LayerShape shape_;
  MoeLayer layer_{nullptr};
  FeedForward dense_{nullptr};
  torch::Tensor x_, dy_, tokens_;
};

double median(std::vector<double> times) {
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

bool bench_shape(const LayerShape& shape, int rounds) {
  Products products(shape);
  LayerRun run(shape);
  struct Candidate {
    const char* name;
    std::function<void()> work;
    double operations;
    std::vector<double> times;
  };
  const double active = shape.operations();
  const double all = active * static_cast<double>(shape.E) / static_cast<double>(shape.K);
  std::array candidates{
      Candidate{"products, libtorch", [&] { products.by_libtorch(); }, active, {}},
      Candidate{"products, by expert", [&] { products.by_expert(); }, active, {}},
      Candidate{"naive loop", [&] { run.moe(ComputePath::naive); }, active, {}},
      Candidate{"grouped", [&] { run.moe(ComputePath::grouped); }, active, {}},
      Candidate{"masked dense", [&] { run.moe(ComputePath::masked_dense); }, all, {}},
      Candidate{"automatic", [&] { run.moe(ComputePath::automatic); }, active, {}},
      Candidate{"dense, equal FLOPs", [&] { run.dense(); }, active, {}},
  };
  for (auto& candidate : candidates) candidate.work();  // warm up
  for (int round = 0; round < rounds; ++round) {
    for (auto& candidate : candidates) {
      // One that does many times the work need not be timed so often.
      if (candidate.operations > 4 * active && round % 4 != 0) continue;
      candidate.times.push_back(seconds(candidate.work));
    }
  }
  const auto expected = run.moe(ComputePath::naive);
  const auto copy = Outcome{expected.y.clone(), expected.dx.clone(), expected.d_router.clone(),
                            expected.d_in.clone(), expected.d_out.clone()};
  const double grouped_error = difference(run.moe(ComputePath::grouped), copy);
  const double dense_error = difference(run.moe(ComputePath::masked_dense), copy);

  fmt::print("T={} D={} E={} K={} F={}: {:.1f} GFLOP forward + backward, median of {}\n", shape.T,
             shape.D, shape.E, shape.K, shape.F, active / 1e9, rounds);
  const double limit = std::min(median(candidates[0].times), median(candidates[1].times));
  const double naive = median(candidates[2].times);
  fmt::print("  {:<22}{:>10}{:>10}{:>16}{:>14}\n", "", "ms", "GFLOP/s", "of the products",
             "x naive loop");
  for (const auto& candidate : candidates) {
    const double time = median(candidate.times);
    fmt::print("  {:<22}{:>10.2f}{:>10.1f}{:>15.0f}%{:>14.2f}\n", candidate.name, time * 1e3,
               candidate.operations / time / 1e9, 100 * limit / time, naive / time);
  }
  fmt::print(
      "  largest relative difference from the naive loop: grouped {:.1e}, masked dense {:.1e}\n\n",
      grouped_error, dense_error);
  return std::max(grouped_error, dense_error) < 1e-4;
}

// "2" or "2048,128,16,12,64".
LayerShape parse_shape(const std::string& text) {
  LayerShape s{};
  if (std::sscanf(text.c_str(), "%ld,%ld,%ld,%ld,%ld", &s.T, &s.D, &s.E, &s.K, &s.F) == 5 &&
      std::min({s.T, s.D, s.E, s.K, s.F}) > 0 && s.K <= s.E) {
    return s;
  }
  return kShapes.at(static_cast<std::size_t>(std::clamp(std::atoi(text.c_str()), 1, 3) - 1));
}

int run_all(int argc, char** argv) {
  int rounds = 9;
  int threads =
      available_cores();  // libtorch's own default counts hardware threads of a core as one
  std::vector<LayerShape> shapes(kShapes.begin(), kShapes.end());
  bool keep = true;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--rounds" && i + 1 < argc) {
      rounds = std::max(1, std::atoi(argv[++i]));
    } else if (flag == "--threads" && i + 1 < argc) {
      threads = std::max(1, std::atoi(argv[++i]));
    } else if (flag == "--shape" && i + 1 < argc) {
      shapes = {parse_shape(argv[++i])};
    } else if (flag == "--glibc-default") {
      keep = false;
    } else {
      fmt::print(stderr,
                 "usage: moe_layer_bench [--rounds n] [--threads n] [--shape "
                 "1|2|3|T,D,E,K,F] [--glibc-default]\n");
      return 2;
    }
  }
  torch::set_num_threads(threads);
  if (keep) keep_freed_memory();
  fmt::print("libtorch {}, {} threads, freed memory {}\n\n", TORCH_VERSION,
             torch::get_num_threads(), keep ? "kept" : "given back");
  bool agree = true;
  for (const LayerShape& shape : shapes) agree = bench_shape(shape, rounds) && agree;
  if (!agree) fmt::print(stderr, "moe_layer_bench: the paths do not agree\n");
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace switchyard::models

int main(int argc, char** argv) { return switchyard::models::run_all(argc, argv); }
