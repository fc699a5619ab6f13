#include "base/svg_plot.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/plot_colors.h"
#include "base/svg_canvas.h"

namespace switchyard::plot {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++found;
  return found;
}

// Elements are closed in order and no attribute holds a number that is none.
void expect_well_formed(const std::string& svg) {
  std::vector<std::string> open;
  for (std::size_t at = svg.find('<'); at != std::string::npos; at = svg.find('<', at + 1)) {
    const auto end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    ASSERT_EQ(count(tag, "\"") % 2, 0u) << tag;
    if (tag.front() == '/') {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(open.back(), tag.substr(1));
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_THAT(svg, Not(HasSubstr("nan\"")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
}

LinePlot two_lines() {
  LinePlot plot{.title = "Loss",
                .subtitle = "3 seeds",
                .x = {.label = "step"},
                .y = {.label = "loss", .unit = "nats"}};
  plot.series.push_back({.name = "dense",
                         .x = {0, 1, 2},
                         .y = {3, 2, 1},
                         .low = {2.5, 1.5, 0.5},
                         .high = {3.5, 2.5, 1.5}});
  plot.series.push_back(
      {.name = "top-2", .x = {0, 1, 2}, .y = {3, 1.5, 0.5}, .style = LineStyle::line_and_markers});
  return plot;
}

TEST(LinePlot, DrawsSeriesBandsMarkersAndWords) {
  const std::string svg = to_svg(two_lines());
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<polyline"), 2u);
  EXPECT_EQ(count(svg, "fill-opacity=\"0.18\""), 1u);
  for (const char* words :
       {">Loss<", ">3 seeds<", ">step<", ">loss (nats)<", ">dense<", ">top-2<"}) {
    EXPECT_THAT(svg, HasSubstr(words));
  }
  EXPECT_THAT(svg, HasSubstr(hex(series_color(0))));
  EXPECT_THAT(svg, HasSubstr(hex(series_color(1))));
  EXPECT_EQ(svg, to_svg(two_lines()));
}

TEST(LinePlot, PutsPointsWhereTheyBelong) {
  LinePlot plot{.x = {.min = 0, .max = 10}, .y = {.min = 0, .max = 10}};
  plot.series.push_back({.x = {0, 10}, .y = {0, 10}});
  const std::string svg = to_svg(plot);
  // From the lower left to the upper right of the area: its corners are those of the axes.
  const auto start = svg.find("<polyline points=\"") + 18;
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  ASSERT_EQ(std::sscanf(svg.c_str() + start, "%lf,%lf %lf,%lf", &x1, &y1, &x2, &y2), 4);
  EXPECT_LT(x1, x2);
  EXPECT_GT(y1, y2);
  EXPECT_NEAR(y1, 400 - 48, 0.01);
  EXPECT_NEAR(x2, 640 - 20, 0.01);
}

TEST(LinePlot, GapsAtMissingValues) {
  LinePlot plot;
  plot.series.push_back({.x = {0, 1, 2, 3, 4, 5, 6}, .y = {1, 2, kNan, 2, kNan, 4, 5}});
  const std::string svg = to_svg(plot);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<polyline"), 2u);
  EXPECT_EQ(count(svg, "<circle"), 1u);  // the lone point is seen
}

TEST(LinePlot, ALogarithmicAxisLeavesOutWhatIsNotPositive) {
  LinePlot plot{.y = {.scale = Scale::logarithmic}};
  plot.series.push_back({.x = {0, 1, 2, 3}, .y = {0, 10, 100, -3}});
  const std::string svg = to_svg(plot);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<polyline"), 1u);
  EXPECT_THAT(svg, HasSubstr(">100<"));
}

TEST(LinePlot, NothingToDrawIsSaid) {
  LinePlot nothing;
  EXPECT_THAT(to_svg(nothing), HasSubstr("no data"));
  nothing.series.push_back({.name = "a", .x = {1, 2}, .y = {kNan, kNan}});
  const std::string svg = to_svg(nothing);
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("no data"));
}

TEST(LinePlot, LongSeriesMakeSmallFilesAndKeepTheirPeaks) {
  LinePlot plot{.y = {.min = 0, .max = 100}};
  Series series;
  for (int i = 0; i < 200000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 123456 ? 100 : 1 + i % 7);
  }
  plot.series.push_back(series);
  const std::string svg = to_svg(plot);
  EXPECT_LT(svg.size(), 60000u);
  LinePlot without = plot;
  without.series[0].y[123456] = 1;
  EXPECT_NE(svg, to_svg(without));
}

TEST(LinePlot, TextIsEscaped) {
  LinePlot plot{.title = "<script>alert(\"1\")</script> & \x01"};
  plot.series.push_back({.name = "a<b", .x = {1, 2}, .y = {1, 2}});
  const std::string svg = to_svg(plot);
  expect_well_formed(svg);
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, HasSubstr("a&lt;b"));
  EXPECT_THAT(svg, Not(HasSubstr("\x01")));
}

TEST(LinePlot, LabelsStandBesideTheirPointsAndNotOnOneAnother) {
  LinePlot plot{.x = {.min = 0, .max = 10}, .y = {.min = 0, .max = 10}};
  plot.series.push_back({.x = {5, 5, 10, 20},
                         .y = {5, 5.1, 5, 5},
                         .style = LineStyle::markers,
                         .labels = {"first", "second", "last", "outside"}});
  const std::string svg = to_svg(plot);
  const auto x_of = [&](const std::string& label) {
    const std::size_t end = svg.find(">" + label + "<");
    const std::size_t begin = svg.rfind("x=\"", end) + 3;
    return std::stod(svg.substr(begin, end - begin));
  };
  EXPECT_LT(x_of("second"), x_of("first"));  // to the left, as the right is taken
  EXPECT_LT(x_of("last") + text_width("last", 10), plot.width - 20);
}

TEST(LinePlot, LengthsThatDifferAreOurBug) {
  LinePlot plot;
  plot.series.push_back({.x = {1, 2}, .y = {1}});
  EXPECT_THROW(to_svg(plot), InternalError);
  plot.series = {{.x = {1, 2}, .y = {1, 2}, .low = {1, 2}}};
  EXPECT_THROW(to_svg(plot), InternalError);
}

TEST(LinePlot, AnyNumbersAndSizesAreDrawn) {
  const double extremes[] = {0,        -1,      1e-310, 1e300,
                             -1.7e308, 1.7e308, kNan,   std::numeric_limits<double>::infinity()};
  for (const double a : extremes) {
    for (const double b : extremes) {
      for (const Scale scale : {Scale::linear, Scale::logarithmic}) {
        LinePlot plot{.x = {.scale = scale}, .y = {.scale = scale}, .width = 40, .height = 30};
        plot.series.push_back(
            {.name = "s", .x = {a, b, 3}, .y = {b, a, 2}, .low = {a, a, a}, .high = {b, b, b}});
        expect_well_formed(to_svg(plot));
      }
    }
  }
}

DotPlot dots() {
  return {
      .title = "Differences",
      .x = {.label = "method - baseline", .unit = "bits/byte"},
      .rows =
          {{.name = "top-p", .value = -0.02, .low = -0.05, .high = 0.01, .single = {-0.03, -0.01}},
           {.name = "a < b", .value = 0.04}},
      .reference = 0.0};
}

TEST(DotPlot, DrawsValuesIntervalsMarksAndTheReference) {
  const std::string svg = to_svg(dots());
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("top-p"));
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr("method - baseline (bits/byte)"));
  EXPECT_EQ(count(svg, "stroke-dasharray=\"4 3\""), 1u);
  EXPECT_EQ(count(svg, "stroke=\"#666666\""), 2u);  // a mark for each single value
}

TEST(DotPlot, ShowsValuesWhenAsked) {
  DotPlot plot = dots();
  plot.rows[1].value = 0.0437;
  EXPECT_THAT(to_svg(plot), Not(HasSubstr(">0.0437<")));
  plot.show_values = true;
  EXPECT_THAT(to_svg(plot), HasSubstr(">0.0437<"));
}

TEST(DotPlot, ALogarithmicAxisLeavesRowsWithoutPlaceEmpty) {
  const std::string svg = to_svg(DotPlot{.x = {.scale = Scale::logarithmic},
                                         .rows = {{.name = "slow", .value = 150},
                                                  {.name = "fast", .value = 18500},
                                                  {.name = "none", .value = 0}},
                                         .show_values = true});
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr(">18500<"));
  EXPECT_THAT(svg, HasSubstr("none"));
}

TEST(DotPlot, TheAxisNeedNotShowZeroButShowsTheReference) {
  DotPlot plot{.rows = {{.name = "a", .value = 2.3}, {.name = "b", .value = 2.4}}};
  EXPECT_THAT(to_svg(plot), Not(HasSubstr(">0<")));
  plot.reference = 0;
  EXPECT_THAT(to_svg(plot), HasSubstr(">0<"));
}

TEST(DotPlot, GrowsWithItsRowsAndLeavesOutWhatIsNotFinite) {
  DotPlot plot{.rows = {{.name = "a", .value = 1}}};
  const std::string one = to_svg(plot);
  plot.rows.push_back({.name = "b", .value = kNan});
  EXPECT_NE(one.substr(0, 200), to_svg(plot).substr(0, 200));
  EXPECT_THAT(to_svg(plot), Not(HasSubstr("nan")));
  EXPECT_THAT(to_svg(DotPlot{}), HasSubstr("no data"));
}

BarChart bars() {
  BarChart chart{.title = "Speed",
                 .categories = {"scalar", "avx2"},
                 .y = {.label = "tokens/s"},
                 .show_values = true};
  chart.series = {{"prompt", {12, 140}, {11, 130}, {13, 150}}, {"decode", {5.1, 38}}};
  return chart;
}

TEST(BarChart, DrawsBarsErrorBarsAndWords) {
  const std::string svg = to_svg(bars());
  expect_well_formed(svg);
  // Two bars each and the sample in the legend.
  EXPECT_EQ(count(svg, "fill=\"" + hex(series_color(0)) + "\""), 3u);
  EXPECT_EQ(count(svg, "fill=\"" + hex(series_color(1)) + "\""), 3u);
  EXPECT_EQ(count(svg, "stroke=\"#222222\""), 2u * 3);
  for (const char* words : {">scalar<", ">avx2<", ">tokens/s<", ">prompt<", ">140<", ">5.10<"}) {
    EXPECT_THAT(svg, HasSubstr(words));
  }
}

TEST(BarChart, MissingAndNegativeValues) {
  BarChart chart{.categories = {"a", "b", "c"}};
  chart.series = {{"", {-1, kNan, 2}}};
  const std::string svg = to_svg(chart);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "fill=\"" + hex(series_color(0)) + "\""), 2u);
  EXPECT_THAT(svg, HasSubstr("−1"));
  chart.series = {{"", {kNan, kNan, kNan}}};
  EXPECT_THAT(to_svg(chart), HasSubstr("no data"));
  EXPECT_THAT(to_svg(BarChart{}), HasSubstr("no data"));
}

TEST(BarChart, TheAxisAlwaysShowsZero) {
  BarChart chart{.categories = {"a"}, .y = {.min = 50}};
  chart.series = {{"", {100}}};
  EXPECT_THAT(to_svg(chart), HasSubstr(">0<"));
}

TEST(BarChart, LongNamesAreSlantedAndCut) {
  BarChart chart{.width = 300};
  chart.categories = {std::string(100, 'x'), "expert choice", "hash routing", "uniform random"};
  chart.series = {{"", {1, 2, 3, 4}}};
  const std::string svg = to_svg(chart);
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("rotate(-35"));
  EXPECT_THAT(svg, HasSubstr("xxx…"));
}

TEST(BarChart, LengthsThatDifferAreOurBug) {
  BarChart chart{.categories = {"a", "b"}};
  chart.series = {{"", {1}}};
  EXPECT_THROW(to_svg(chart), InternalError);
}

TEST(HeatMap, DrawsEveryCellInItsColor) {
  HeatMap map{.title = "Load",
              .x_label = "expert",
              .y_label = "layer",
              .rows = 2,
              .columns = 3,
              .values = {0, 1, 2, 3, 4, kNan}};
  map.value = {.label = "share"};
  const std::string svg = to_svg(map);
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr(hex(map_color(0))));
  EXPECT_THAT(svg, HasSubstr(hex(map_color(1))));
  EXPECT_THAT(svg, HasSubstr(hex(map_color(0.75))));
  EXPECT_EQ(count(svg, "fill=\"#eeeeee\""), 1u);
  for (const char* words : {">expert<", ">layer<", ">share<", ">Load<"})
    EXPECT_THAT(svg, HasSubstr(words));
}

TEST(HeatMap, ShowsValuesWhereThereIsRoom) {
  HeatMap map{.rows = 1, .columns = 2, .values = {0.125, 8}, .show_values = true};
  EXPECT_THAT(to_svg(map), HasSubstr(">0.125<"));
  map.columns = 100;
  map.values.assign(100, 0.125);
  EXPECT_THAT(to_svg(map), Not(HasSubstr(">0.125<")));
}

TEST(HeatMap, ManyColumnsAreNamedInSteps) {
  HeatMap map{.rows = 1, .columns = 64};
  map.values.assign(64, 1);
  map.values[3] = 2;
  const std::string svg = to_svg(map);
  EXPECT_THAT(svg, HasSubstr(">60<"));
  EXPECT_THAT(svg, Not(HasSubstr(">61<")));
}

TEST(HeatMap, OneValueEverywhereAndNone) {
  HeatMap map{.rows = 1, .columns = 2, .values = {5, 5}};
  expect_well_formed(to_svg(map));
  map.values = {kNan, kNan};
  EXPECT_THAT(to_svg(map), HasSubstr("no data"));
  EXPECT_THAT(to_svg(HeatMap{}), HasSubstr("no data"));
  map.values = {1};
  EXPECT_THROW(to_svg(map), InternalError);
}

TEST(TextWidth, GrowsWithTextAndSize) {
  EXPECT_EQ(text_width("", 12), 0);
  EXPECT_GT(text_width("mm", 12), text_width("ii", 12));
  EXPECT_DOUBLE_EQ(text_width("abc", 24), 2 * text_width("abc", 12));
}

}  // namespace
}  // namespace switchyard::plot
