#include "cli/inspect_page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/svg_plot.h"
#include "base/text.h"

namespace switchyard::cli {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c2330; --paper: #ffffff; --faint: #5b6475; --line: #d9dee7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --paper: #14181f; --faint: #9aa4b5; --line: #303846; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto; max-width: 70rem;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { color: var(--faint); margin: .3rem 0 .8rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
       text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th:first-child { text-align: left; }
figure { margin: 0; overflow-x: auto; background: #fff; border-radius: 6px; }
.bar { display: flex; gap: 1rem; align-items: center; flex-wrap: wrap; margin: .5rem 0; }
#tokens { font: 14px/2 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line);
       border-radius: 6px; padding: .8rem; }
#tokens span { color: #111; border-radius: 3px; padding: .1rem 0; cursor: default; }
#tokens span:hover, #tokens span:focus { outline: 2px solid var(--ink); }
#legend { display: flex; flex-wrap: wrap; gap: .3rem; } #legend button { font: 13px monospace; border: 1px solid #8888;
       border-radius: 3px; padding: .1rem .5rem; color: #111; cursor: pointer; }
#detail { min-height: 3.2em; font: 13px/1.6 ui-monospace, monospace; color: var(--faint); }
)";

// Colours go round the wheel by the golden angle, so that neighbouring experts differ.
constexpr const char* kScript = R"(
const data = JSON.parse(document.getElementById("data").textContent);
const layer = document.getElementById("layer"), box = document.getElementById("tokens"),
      legend = document.getElementById("legend"), detail = document.getElementById("detail");
let only = -1;
const colour = e => `hsl(${(e * 137.508) % 360} 70% ${72 + (e % 3) * 7}%)`;
data.layers.forEach((l, i) => layer.add(new Option(`layer ${l.layer}`, i)));
for (let e = 0; e < data.experts; ++e) {
  const b = document.createElement("button");
  b.textContent = e; b.style.background = colour(e); b.title = `show only tokens of expert ${e}`;
  b.onclick = () => { only = only === e ? -1 : e; draw(); };
  legend.append(b);
}
const spans = data.tokens.map((text, n) => {
  const s = document.createElement("span");
  s.textContent = text; s.tabIndex = 0;
  s.onmouseenter = s.onfocus = () => {
    detail.textContent = `token ${n} ${JSON.stringify(text)}\n` + data.layers.map(l =>
      `layer ${l.layer}: ` + l.experts[n].map((e, k) => `${e} (${l.weights[n][k].toFixed(2)})`).join(" ")).join("   ");
  };
  box.append(s);
  return s;
});
function draw() {
  const l = data.layers[layer.value];
  spans.forEach((s, n) => {
    const chosen = l.experts[n];
    const shown = only < 0 || chosen.includes(only);
    s.style.background = shown && chosen.length ? colour(only < 0 ? chosen[0] : only) : "transparent";
    s.style.color = shown && chosen.length ? "#111" : "inherit";
    s.style.opacity = shown ? 1 : 0.35;
  });
}
layer.onchange = draw;
if (data.layers.length) draw();
)";

std::string layer_table(const RouteStatistics& routes) {
  std::string html =
      "<table><tr><th>layer</th><th>experts per token</th><th>load entropy (of "
      "even)</th><th>largest / mean load</th>"
      "<th>dead experts</th><th>router entropy (of even)</th><th>mean top probability</th></tr>\n";
  for (const auto& [layer, r] : routes.layers()) {
    html += fmt::format(
        "<tr><td>{}</td><td>{:.2f}</td><td>{:.1f} %</td><td>{:.2f}</td><td>{}</td><td>{:.1f} "
        "%</td><td>{:.3f}</td></tr>\n",
        layer, r.load.experts_per_item(), 100 * r.load.normalized_entropy(), r.load.imbalance(),
        r.load.dead_experts().size(), 100 * r.confidence.normalized_entropy(),
        r.confidence.top_probability());
  }
  return html + "</table>\n";
}

// JSON inside a script element: only "</" could end the element early.
std::string embedded_json(const InspectPage& page, const RouteStatistics& routes) {
  nlohmann::json layers = nlohmann::json::array();
  std::size_t experts = 0;
  for (const auto& [layer, r] : routes.layers()) {
    nlohmann::json entry{{"layer", layer},
                         {"experts", nlohmann::json::array()},
                         {"weights", nlohmann::json::array()}};
    for (const TokenRoute& t : r.tokens) {
      entry["experts"].push_back(t.experts);
      entry["weights"].push_back(t.weights);
    }
    experts = r.load.counts().size();
    layers.push_back(std::move(entry));
  }
  const nlohmann::json data{
      {"tokens", page.tokens}, {"experts", experts}, {"layers", std::move(layers)}};
  std::string text = data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (std::size_t at = text.find("</"); at != std::string::npos; at = text.find("</", at + 3))
    text.replace(at, 2, "<\\/");
  return text;
}

}  // namespace

std::string load_heat_map(const RouteStatistics& routes) {
  plot::HeatMap map{.title = "Expert load",
                    .subtitle = "share of a layer's assignments; even would be 1 / E",
                    .x_label = "expert",
                    .y_label = "layer",
                    .value = {.label = "share", .min = 0.0}};
  map.rows = routes.layers().size();
  for (const auto& [layer, r] : routes.layers()) {
    map.columns = r.load.counts().size();
    map.row_names.push_back(std::to_string(layer));
    const auto total = static_cast<double>(std::max<std::uint64_t>(1, r.load.assignments()));
    for (const std::uint64_t count : r.load.counts())
      map.values.push_back(static_cast<double>(count) / total);
  }
  map.width = 960;
  map.height = static_cast<int>(160 + 30 * map.rows);
  return plot::to_svg(map);
}

std::string render(const InspectPage& page, const RouteStatistics& routes) {
  std::string html = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n";
  html += "<meta name=\"viewport\" content=\"width=device-width\">\n";
  html += "<title>" + escape_markup(page.title) + "</title>\n<style>" + kStyle +
          "</style></head>\n<body>\n";
  html += "<h1>" + escape_markup(page.title) + "</h1>\n<table>\n";
  for (const auto& [name, value] : page.facts) {
    html += "<tr><td>" + escape_markup(name) + "</td><td>" + escape_markup(value) + "</td></tr>\n";
  }
  html += "</table>\n";
  if (!routes.layers().empty() && page.routed_tokens > 0) {
    html += fmt::format("<h2>Load</h2>\n<p>Over {} tokens.</p>\n<figure>", page.routed_tokens) +
            load_heat_map(routes) + "</figure>\n" + layer_table(routes);
    html += fmt::format(
        "<h2>Where each token went</h2>\n<p>The first {} tokens, coloured by their first expert. "
        "Point at a token for all "
        "layers; choose an expert to see only its tokens.</p>\n",
        page.tokens.size());
    html +=
        "<div class=\"bar\"><select id=\"layer\" aria-label=\"layer\"></select><div "
        "id=\"legend\"></div></div>\n"
        "<div id=\"tokens\"></div>\n<pre id=\"detail\"></pre>\n"
        "<script type=\"application/json\" id=\"data\">" +
        embedded_json(page, routes) + "</script>\n<script>" + kScript + "</script>\n";
  }
  return html + "</body></html>\n";
}

}  // namespace switchyard::cli
