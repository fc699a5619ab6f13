#include "cli/inspect_page.h"

#include <algorithm>
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
figure.pair { display: flex; flex-wrap: wrap; }
.bar { display: flex; gap: 1rem; align-items: center; flex-wrap: wrap; margin: .5rem 0; }
#tokens { font: 14px/2 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line);
       border-radius: 6px; padding: .8rem; }
#tokens span { color: #111; border-radius: 3px; padding: .1rem 0; cursor: default; }
#tokens span:hover, #tokens span:focus { outline: 2px solid var(--ink); }
#legend { display: flex; flex-wrap: wrap; gap: .3rem; } #legend button { font: 13px monospace; border: 1px solid #8888;
       border-radius: 3px; padding: .1rem .5rem; color: #111; cursor: pointer; } #legend button[aria-pressed=true] { outline: 2px solid var(--ink); }
#detail { min-height: 3.2em; font: 13px/1.6 ui-monospace, monospace; color: var(--faint); }
)";

// Colours of experts go round the wheel by the golden angle, so that neighbouring experts differ;
// numbers of experts and entropies get darker as they grow. Each way of colouring sorts tokens into
// groups, which are the buttons of the legend.
constexpr const char* kScript = R"(
const data = JSON.parse(document.getElementById("data").textContent);
const layer = document.getElementById("layer"), by = document.getElementById("by"),
      box = document.getElementById("tokens"), legend = document.getElementById("legend"),
      detail = document.getElementById("detail");
let only = -1;
const wheel = e => `hsl(${(e * 137.508) % 360} 70% ${72 + (e % 3) * 7}%)`;
const shade = share => `hsl(${210 - 190 * share} 75% ${93 - 38 * share}%)`;
const most = Math.max(1, ...data.layers.flatMap(l => l.experts.map(e => e.length)));
const kSteps = 8;
const ways = {
  expert: {
    groups: data.names.map((n, e) => ({label: n, colour: wheel(e)})).concat([{label: "none", colour: "#c9ced8"}]),
    of: (l, n) => l.experts[n].length ? l.experts[n][0] : data.names.length,
    has: (l, n, g) => g < data.names.length ? l.experts[n].includes(g) : !l.experts[n].length},
  count: {
    groups: Array.from({length: most + 1}, (_, k) => ({label: `${k}`, colour: shade(k / most)})),
    of: (l, n) => l.experts[n].length},
  entropy: {
    groups: Array.from({length: kSteps}, (_, k) => ({label: `${Math.round(100 * k / kSteps)} %`, colour: shade(k / (kSteps - 1))})),
    of: (l, n) => Math.min(kSteps - 1, Math.floor(l.entropy[n] * kSteps))},
};
data.layers.forEach((l, i) => layer.add(new Option(`layer ${l.layer}`, i)));
const spans = data.tokens.map((text, n) => {
  const s = document.createElement("span");
  s.textContent = text; s.tabIndex = 0;
  s.onmouseenter = s.onfocus = () => {
    detail.textContent = `token ${n} ${JSON.stringify(text)}\n` + data.layers.map(l =>
      `layer ${l.layer}: ` + (l.experts[n].map((e, k) => `${data.names[e]} (${l.weights[n][k].toFixed(2)})`).join(" ") || "none") +
      ` entropy ${Math.round(100 * l.entropy[n])} %`).join("   ");
  };
  box.append(s);
  return s;
});
function draw() {
  const l = data.layers[layer.value], way = ways[by.value];
  const has = way.has || ((at, n, g) => way.of(at, n) === g);
  legend.replaceChildren(...way.groups.map((group, g) => {
    const b = document.createElement("button");
    b.textContent = group.label; b.style.background = group.colour;
    b.setAttribute("aria-pressed", only === g);
    b.onclick = () => { only = only === g ? -1 : g; draw(); };
    return b;
  }));
  spans.forEach((s, n) => {
    const shown = only < 0 || has(l, n, only);
    s.style.background = shown ? way.groups[only < 0 ? way.of(l, n) : only].colour : "transparent";
    s.style.color = shown ? "#111" : "inherit";
    s.style.opacity = shown ? 1 : 0.35;
  });
}
layer.onchange = draw;
by.onchange = () => { only = -1; draw(); };
if (data.layers.length) draw();
)";

std::string layer_table(const RouteStatistics& routes) {
  std::string html =
      "<table><tr><th>layer</th><th>experts per token</th><th>null share</th><th>tokens without "
      "expert</th><th>load entropy (of even)</th><th>largest / mean load</th><th>load CV</th>"
      "<th>dead experts</th><th>router entropy (of even)</th><th>mean top probability</th></tr>\n";
  for (const auto& [layer, r] : routes.layers()) {
    html += fmt::format(
        "<tr><td>{}</td><td>{:.2f}</td><td>{:.1f} %</td><td>{:.1f} %</td><td>{:.1f} "
        "%</td><td>{:.2f}</td><td>{:.2f}</td><td>{}</td><td>{:.1f} %</td><td>{:.3f}</td></tr>\n",
        layer, r.load.experts_per_item(), 100 * r.load.null_share(), 100 * r.load.idle_share(),
        100 * r.load.normalized_entropy(), r.load.imbalance(), r.load.coefficient_of_variation(),
        r.load.dead_experts().size(), 100 * r.confidence.normalized_entropy(),
        r.confidence.top_probability());
  }
  return html + "</table>\n";
}

std::string class_table(const RouteStatistics& routes) {
  std::string html = "<table><tr><th>layer</th>";
  for (const TokenClassName& name : kTokenClassNames)
    html += fmt::format("<th>{}</th>", name.title);
  html += "</tr>\n<tr><td>tokens</td>";
  for (const ClassLoad& load : routes.layers().begin()->second.by_class)
    html += fmt::format("<td>{}</td>", load.items);
  html += "</tr>\n";
  for (const auto& [layer, r] : routes.layers()) {
    html += fmt::format("<tr><td>{}</td>", layer);
    for (const ClassLoad& load : r.by_class)
      html +=
          load.items == 0 ? "<td>-</td>" : fmt::format("<td>{:.2f}</td>", load.experts_per_item());
    html += "</tr>\n";
  }
  return html + "</table>\n";
}

// JSON inside a script element: only "</" could end the element early.
std::string embedded_json(const InspectPage& page, const RouteStatistics& routes) {
  nlohmann::json layers = nlohmann::json::array();
  for (const auto& [layer, r] : routes.layers()) {
    nlohmann::json entry{{"layer", layer},
                         {"experts", nlohmann::json::array()},
                         {"weights", nlohmann::json::array()},
                         {"entropy", nlohmann::json::array()}};
    for (const TokenRoute& t : r.tokens) {
      entry["experts"].push_back(t.experts);
      entry["weights"].push_back(t.weights);
      entry["entropy"].push_back(t.entropy);
    }
    layers.push_back(std::move(entry));
  }
  const nlohmann::json data{
      {"tokens", page.tokens}, {"names", routes.expert_names()}, {"layers", std::move(layers)}};
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
  if (routes.has_nulls())
    map.subtitle += "; the last column, all null experts together, may lie above the colours";
  map.column_names = routes.expert_names();
  if (routes.has_nulls()) map.column_names.push_back("null");
  map.rows = routes.layers().size();
  map.columns = map.column_names.size();
  double largest = 0;  // of the experts; all nulls together would leave them in the dark
  for (const auto& [layer, r] : routes.layers()) {
    map.row_names.push_back(std::to_string(layer));
    const std::uint64_t nulls = routes.has_nulls() ? r.load.null_count() : 0;
    const auto total =
        static_cast<double>(std::max<std::uint64_t>(1, r.load.assignments() + nulls));
    for (const std::uint64_t count : r.load.counts()) {
      map.values.push_back(static_cast<double>(count) / total);
      largest = std::max(largest, map.values.back());
    }
    if (routes.has_nulls()) map.values.push_back(static_cast<double>(nulls) / total);
  }
  if (routes.has_nulls()) {
    map.show_values = true;
    if (largest > 0) map.value.max = largest;
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
  if (!page.history.empty()) {
    html += "<h2>Over the training</h2>\n<figure class=\"pair\">" +
            draw_experts_per_token(page.history) + draw_routing_shares(page.history) +
            "</figure>\n";
  }
  if (!routes.layers().empty() && page.routed_tokens > 0) {
    html += fmt::format("<h2>Load</h2>\n<p>Over {} tokens.</p>\n<figure>", page.routed_tokens) +
            load_heat_map(routes) + "</figure>\n" + layer_table(routes) +
            "<h2>Experts per token by kind of token</h2>\n" + class_table(routes);
    html += fmt::format(
        "<h2>Where each token went</h2>\n<p>The first {} tokens. Point at a token for all layers; "
        "press a group of the legend to see only its tokens.</p>\n",
        page.tokens.size());
    html +=
        "<div class=\"bar\"><select id=\"layer\" aria-label=\"layer\"></select><select "
        "id=\"by\" aria-label=\"colour\"><option value=\"expert\">first expert</option><option "
        "value=\"count\">number of experts</option><option value=\"entropy\">router entropy (of "
        "even)</option></select><div id=\"legend\"></div></div>\n"
        "<div id=\"tokens\"></div>\n<pre id=\"detail\"></pre>\n"
        "<script type=\"application/json\" id=\"data\">" +
        embedded_json(page, routes) + "</script>\n<script>" + kScript + "</script>\n";
  }
  return html + "</body></html>\n";
}

}  // namespace switchyard::cli
