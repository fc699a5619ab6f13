#include "quantised_quality_report.h"

#include <algorithm>
#include <chrono>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/svg_plot.h"
#include "base/table.h"

namespace switchyard::quantised_quality {
namespace {

std::string today() {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::chrono::system_clock::now()));
}

std::string with_error(const Estimate& e, int decimals) {
  return fmt::format("{:.{}f} ± {:.{}f}", e.value, decimals, e.error, decimals);
}

// In thousandths of a nat.
std::string kl_text(const Estimate& e) {
  const Estimate thousandths{1000 * e.value, 1000 * e.error};
  return with_error(thousandths, thousandths.error < 0.02 ? 3 : thousandths.error < 0.2 ? 2 : 1);
}

nlohmann::ordered_json pair(const Estimate& e) { return {{"value", e.value}, {"error", e.error}}; }

nlohmann::ordered_json measured_json(const Measured& m) {
  const Divergence& d = m.divergence;
  return {{"file_bytes", m.file_bytes},
          {"bytes_per_weight", m.bits_per_weight / 8},
          {"perplexity", pair(m.perplexity)},
          {"perplexity_difference", pair(d.perplexity_difference())},
          {"kl", pair(d.kl())},
          {"kl_median", pair(d.kl_quantile(0.5))},
          {"kl_90", pair(d.kl_quantile(0.9))},
          {"kl_99", pair(d.kl_quantile(0.99))},
          {"kl_max", d.largest_kl()},
          {"same_top", pair(d.same_top())}};
}

std::vector<Cell> row_of(const TypeResult& type, const Measured& m, bool weighted) {
  const Divergence& d = m.divergence;
  const Estimate same = d.same_top();
  std::string effect = "-";
  if (weighted) {
    const double share = type.effect().value / type.plain.divergence.kl().value;
    const double median =
        m.divergence.kl_quantile(0.5).value / type.plain.divergence.kl_quantile(0.5).value - 1;
    effect =
        fmt::format("{}: {:+.0f} %, median {:+.0f} %", type.verdict(), 100 * share, 100 * median);
  }
  return {std::string(dtype_name(type.type)),
          weighted ? "yes" : "no",
          fmt::format("{:.3f}", m.bits_per_weight / 8),
          fmt::format("{:.2f} MB", static_cast<double>(m.file_bytes) / 1e6),
          with_error(m.perplexity, 3),
          with_error(d.perplexity_difference(), 3),
          kl_text(d.kl()),
          fmt::format("{:.3g}", 1000 * d.kl_quantile(0.5).value),
          fmt::format("{:.1f}", 1000 * d.kl_quantile(0.99).value),
          fmt::format("{:.2f} ± {:.2f} %", 100 * same.value, 100 * same.error),
          effect};
}

std::string names(const std::vector<DType>& types) {
  std::string text;
  for (const DType type : types) {
    text.append(text.empty() ? "" : ", ").append(dtype_name(type));
  }
  return text;
}

std::string section(const ModelResult& r) {
  Table table({{"type"},
               {"importance"},
               {"bytes per weight"},
               {"file"},
               {"perplexity"},
               {"- stored"},
               {"KL, mnat"},
               {"median"},
               {"99 %"},
               {"same top token"},
               {"importance"}});
  for (const TypeResult& type : r.types) {
    table.add_row(row_of(type, type.plain, false));
    table.add_row(row_of(type, type.weighted, true));
  }
  std::string text = fmt::format(
      "## {}\n\n{} weights; as stored, perplexity {} on {} tokens. Importance from {} tokens: {} "
      "matrices measured; of {} experts {} saw no token and {} fewer than {:.0f}.\n\n",
      r.name, r.parameters, with_error(r.perplexity, 3), r.tokens, r.calibration_tokens,
      r.coverage.matrices, r.coverage.experts, r.coverage.unvisited, r.coverage.few,
      ColumnImportance::kPriorTokens);
  text += table.render(TableFormat::markdown);
  if (!r.without_rows.empty()) {
    text += fmt::format(
        "\nWithout rows: {}. No matrix of this model has rows of whole blocks of 256, so these "
        "would be other types.\n",
        names(r.without_rows));
  }
  return text + fmt::format("\n![KL divergence against size]({})\n", r.picture);
}

}  // namespace

Estimate TypeResult::effect() const {
  cli::Moments difference;
  const auto before = plain.divergence.kls();
  const auto after = weighted.divergence.kls();
  for (std::size_t i = 0; i < before.size(); ++i) {
    difference.add(static_cast<double>(after[i]) - before[i]);
  }
  return difference.estimate();
}

std::string TypeResult::verdict() const {
  const Estimate e = effect();
  return e.high() < 0 ? "helps" : e.low() > 0 ? "hurts" : "no difference";
}

std::string to_json(const std::vector<ModelResult>& results, const std::string& command) {
  auto models = nlohmann::ordered_json::array();
  for (const ModelResult& r : results) {
    auto rows = nlohmann::ordered_json::array();
    for (const TypeResult& type : r.types) {
      rows.push_back({{"type", dtype_name(type.type)},
                      {"plain", measured_json(type.plain)},
                      {"importance", measured_json(type.weighted)},
                      {"kl_change", pair(type.effect())},
                      {"verdict", type.verdict()}});
    }
    auto without = nlohmann::ordered_json::array();
    for (const DType type : r.without_rows) without.push_back(dtype_name(type));
    models.push_back({{"model", r.name},
                      {"parameters", r.parameters},
                      {"tokens", r.tokens},
                      {"perplexity", pair(r.perplexity)},
                      {"calibration_tokens", r.calibration_tokens},
                      {"experts", r.coverage.experts},
                      {"experts_unvisited", r.coverage.unvisited},
                      {"experts_few_tokens", r.coverage.few},
                      {"rows", std::move(rows)},
                      {"types_without_rows", std::move(without)}});
  }
  return nlohmann::ordered_json{
             {"command", command}, {"date", today()}, {"models", std::move(models)}}
             .dump(1) +
         "\n";
}

std::string to_markdown(const std::vector<ModelResult>& results, const std::string& command,
                        const std::string& embeddings) {
  std::string text = fmt::format(
      "# Quality of quantised types\n\n{}, `{}`\n\n"
      "Every matrix but routers is of the type, {}. KL is the Kullback-Leibler divergence of the "
      "next token's distribution from that of the model as stored, in thousandths of a nat: its "
      "mean, its median and, under 99 %, what 99 of 100 tokens stay below. Products round their "
      "inputs to 8 bits, which is part of what is measured. After ± stands one standard error, "
      "tokens counted as independent; \"- stored\" is the perplexity minus that of the model as "
      "stored, from paired tokens. The last column: what importance does to the mean KL, \"no "
      "difference\" where the 95 % interval of the paired difference holds 0, and to the median. "
      "A few tokens make up much of the mean.\n",
      today(), command,
      embeddings.empty() ? "embeddings and output included"
                         : "but embeddings and output are " + embeddings);
  for (const ModelResult& r : results) text += "\n" + section(r);
  return text;
}

std::string kl_plot(const ModelResult& result) {
  plot::LinePlot picture{
      .title = "Divergence against size: " + result.name,
      .subtitle = fmt::format("{} tokens; lower left is better", result.tokens),
      .x = {.label = "bytes per weight"},
      .y = {.label = "mean KL divergence", .unit = "nats", .scale = plot::Scale::logarithmic},
      .height = 440};
  plot::Series plain{.name = "all columns alike", .style = plot::LineStyle::markers};
  plot::Series weighted{.name = "with importance", .style = plot::LineStyle::markers};
  for (const TypeResult& type : result.types) {
    plain.x.push_back(type.plain.bits_per_weight / 8);
    plain.y.push_back(type.plain.divergence.kl().value);
    weighted.x.push_back(type.weighted.bits_per_weight / 8);
    weighted.y.push_back(type.weighted.divergence.kl().value);
    weighted.labels.emplace_back(dtype_name(type.type));
  }
  picture.series = {std::move(plain), std::move(weighted)};
  return plot::to_svg(picture);
}

}  // namespace switchyard::quantised_quality
