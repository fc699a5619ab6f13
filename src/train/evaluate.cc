#include "train/evaluate.h"

#include <algorithm>
#include <cmath>

#include <torch/nn/functional/loss.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/check.h"

namespace switchyard::train {
namespace {

// [rows, length] inputs and targets of windows that all have `length` predictions.
double batch_nll(models::Decoder& model, const TokenFile& text,
                 const std::vector<std::size_t>& begins, std::size_t length,
                 const EvaluationOptions& options) {
  const auto rows = static_cast<std::int64_t>(begins.size());
  const auto columns = static_cast<std::int64_t>(length);
  torch::Tensor ids = torch::empty({rows, columns + 1}, torch::kInt64);
  for (std::int64_t row = 0; row < rows; ++row) {
    text.read(begins[static_cast<std::size_t>(row)],
              std::span(ids.data_ptr<std::int64_t>() + row * (columns + 1), length + 1));
  }
  ids = ids.to(options.device);
  models::ForwardContext context;
  const torch::Tensor inputs = ids.narrow(1, 0, columns).contiguous();
  const auto forward = [&] { return model.forward(inputs, context); };
  torch::Tensor logits;
  if (options.experts_per_token > 0) {
    const auto k = context.override_k(options.experts_per_token);
    logits = forward();
  } else {
    logits = forward();
  }
  if (options.routing != nullptr) options.routing->add(context);
  const torch::Tensor loss = torch::nn::functional::cross_entropy(
      logits.reshape({rows * columns, -1}), ids.narrow(1, 1, columns).reshape({-1}),
      torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kNone));
  return loss.sum(torch::kFloat64).item<double>();
}

}  // namespace

double Evaluation::perplexity() const { return std::exp(loss()); }

Evaluation evaluate(models::Decoder& model, const TokenFile& text,
                    const EvaluationOptions& options) {
  torch::NoGradGuard no_grad;
  const auto length = static_cast<std::size_t>(options.sequence);
  const auto batch = static_cast<std::size_t>(options.batch);
  const std::size_t predictions = text.size() == 0 ? 0 : text.size() - 1;
  const std::size_t whole = predictions / length;
  const bool part = options.windows > 0 && options.windows < whole;
  const std::size_t count = part ? options.windows : whole;
  Evaluation out;
  for (std::size_t first = 0; first < count; first += batch) {
    if (options.stop.stop_requested()) return out;
    std::vector<std::size_t> begins;
    for (std::size_t i = first; i < std::min(count, first + batch); ++i) {
      begins.push_back((part ? i * whole / count : i) * length);
    }
    out.nll += batch_nll(model, text, begins, length, options);
    out.tokens += begins.size() * length;
  }
  if (const std::size_t rest = predictions % length; !part && rest > 0) {
    out.nll += batch_nll(model, text, {whole * length}, rest, options);
    out.tokens += rest;
  }
  return out;
}

TextScore text_score(const Evaluation& evaluation, const TokenFile& text) {
  SWITCHYARD_CHECK(evaluation.tokens > 0);
  // The first token of the text is never predicted; its share is taken to be that of the mean
  // token.
  const double nll = evaluation.loss() * static_cast<double>(text.size());
  return {.token_perplexity = evaluation.perplexity(),
          .word_perplexity = std::exp(nll / static_cast<double>(text.counts().words)),
          .bits_per_byte = nll / std::log(2.0) / static_cast<double>(text.counts().bytes)};
}

}  // namespace switchyard::train
