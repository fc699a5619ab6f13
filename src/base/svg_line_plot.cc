#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/plot_axis.h"
#include "base/plot_colors.h"
#include "base/plot_frame.h"
#include "base/svg_canvas.h"
#include "base/svg_plot.h"

namespace switchyard::plot {
namespace {

constexpr double kRightMargin = 20;
constexpr double kPixelsPerTickX = 85;
constexpr double kPixelsPerTickY = 48;
constexpr double kLabelSize = 10;
constexpr double kLabelGap = 6;  // from the middle of a marker

bool has_markers(const Series& series) { return series.style != LineStyle::line; }
bool has_line(const Series& series) { return series.style != LineStyle::markers; }

// Where the band is drawn, the ends of the band count for the range too.
Extent extent_of_y(const LinePlot& plot) {
  Extent extent(plot.y.scale);
  for (const Series& series : plot.series) {
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!has_place(plot.x.scale, series.x[i])) continue;
      extent.add(series.y[i]);
      if (series.low.empty()) continue;
      extent.add(series.low[i]);
      extent.add(series.high[i]);
    }
  }
  return extent;
}

Extent extent_of_x(const LinePlot& plot) {
  Extent extent(plot.x.scale);
  for (const Series& series : plot.series) {
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (has_place(plot.y.scale, series.y[i])) extent.add(series.x[i]);
    }
  }
  return extent;
}

// Of the points of one run that share a pixel column, the first, lowest, highest and last: the
// picture is the same and a long log does not make a large file.
std::vector<Point> thin_out(const std::vector<Point>& points) {
  std::vector<Point> kept;
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin + 1;
    while (end < points.size() && std::floor(points[end].x) == std::floor(points[begin].x)) ++end;
    if (end - begin <= 4) {
      kept.insert(kept.end(), points.begin() + static_cast<std::ptrdiff_t>(begin),
                  points.begin() + static_cast<std::ptrdiff_t>(end));
    } else {
      const auto by_height = [&](std::size_t a, std::size_t b) {
        return points[a].y < points[b].y;
      };
      std::size_t lowest = begin;
      std::size_t highest = begin;
      for (std::size_t i = begin; i < end; ++i) {
        if (by_height(i, lowest)) lowest = i;
        if (by_height(highest, i)) highest = i;
      }
      std::vector<std::size_t> chosen{begin, lowest, highest, end - 1};
      std::sort(chosen.begin(), chosen.end());
      chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
      for (const std::size_t i : chosen) kept.push_back(points[i]);
    }
    begin = end;
  }
  return kept;
}

class Drawing {
 public:
  Drawing(SvgCanvas& canvas, const FittedAxis& x, const FittedAxis& y)
      : canvas_(canvas), x_(x), y_(y) {}

  void band(const Series& series, std::size_t index) {
    if (series.low.empty()) return;
    std::vector<Point> upper;
    std::vector<Point> lower;
    const auto flush = [&] {
      if (upper.size() >= 2) {
        std::vector<Point> outline = thin_out(upper);
        const std::vector<Point> back = thin_out(lower);
        outline.insert(outline.end(), back.rbegin(), back.rend());
        canvas_.polygon(outline, hex(series_color(index)), 0.18);
      }
      upper.clear();
      lower.clear();
    };
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!has_place(x_.scale(), series.x[i]) || !has_place(y_.scale(), series.low[i]) ||
          !has_place(y_.scale(), series.high[i])) {
        flush();
        continue;
      }
      upper.push_back({x_.at(series.x[i]), y_.at(series.high[i])});
      lower.push_back({x_.at(series.x[i]), y_.at(series.low[i])});
    }
    flush();
  }

  void line(const Series& series, std::size_t index) {
    const std::string color = hex(series_color(index));
    // A line that goes up and down in every pixel column would be a block of colour.
    const double columns = std::fabs(x_.at(x_.high()) - x_.at(x_.low()));
    const double width = static_cast<double>(series.x.size()) > 2 * columns ? 1 : 2;
    std::vector<Point> run;
    const auto flush = [&] {
      if (run.size() >= 2) {
        canvas_.polyline(thin_out(run),
                         {.color = color, .width = width, .dash = series_dash(index)});
      } else if (run.size() == 1 && !has_markers(series)) {
        canvas_.marker(run.front(), index, color);  // a point between two gaps is seen, too
      }
      run.clear();
    };
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (can_show(series, i)) {
        run.push_back(at(series, i));
      } else {
        flush();
      }
    }
    flush();
  }

  void markers(const Series& series, std::size_t index) {
    const std::string color = hex(series_color(index));
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (can_show(series, i)) canvas_.marker(at(series, i), index, color);
    }
  }

  // Beside the point where there is room: to the right, else to the left, above or below, and to
  // the right over another label if all places are taken.
  void labels(const Series& series) {
    for (std::size_t i = 0; i < series.labels.size(); ++i) {
      if (!can_show(series, i)) continue;
      const Point p = at(series, i);
      const double width = text_width(series.labels[i], kLabelSize);
      const Box places[] = {{p.x + kLabelGap, p.y - kLabelSize / 2, width},
                            {p.x - kLabelGap - width, p.y - kLabelSize / 2, width},
                            {p.x - width / 2, p.y - kLabelGap - kLabelSize, width},
                            {p.x - width / 2, p.y + kLabelGap, width}};
      const Box* place = std::find_if(std::begin(places), std::end(places),
                                      [&](const Box& box) { return is_free(box); });
      const Box& box = place == std::end(places) ? places[0] : *place;
      taken_.push_back(box);
      canvas_.text({box.left, box.top + 0.85 * kLabelSize}, series.labels[i], {.size = kLabelSize});
    }
  }
  // Where a point is drawn no label should be.
  void keep_free(const Series& series) {
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!can_show(series, i)) continue;
      const Point p = at(series, i);
      taken_.push_back({p.x - 4, p.y - kLabelSize / 2, 8});
    }
  }

 private:
  struct Box {
    double left, top, width;
  };
  bool is_free(const Box& box) const {
    if (box.left < x_.at(x_.low()) || box.left + box.width > x_.at(x_.high())) return false;
    return std::none_of(taken_.begin(), taken_.end(), [&](const Box& other) {
      return std::fabs(box.top - other.top) < kLabelSize && box.left < other.left + other.width &&
             other.left < box.left + box.width;
    });
  }
  bool can_show(const Series& series, std::size_t i) const {
    return has_place(x_.scale(), series.x[i]) && has_place(y_.scale(), series.y[i]);
  }
  Point at(const Series& series, std::size_t i) const {
    return {x_.at(series.x[i]), y_.at(series.y[i])};
  }

  SvgCanvas& canvas_;
  const FittedAxis& x_;
  const FittedAxis& y_;
  std::vector<Box> taken_;
};

}  // namespace

std::string to_svg(const LinePlot& plot) {
  std::vector<LegendEntry> legend;
  bool markers = false;
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    SWITCHYARD_CHECK(series.x.size() == series.y.size());
    SWITCHYARD_CHECK(series.low.size() == series.high.size());
    SWITCHYARD_CHECK(series.low.empty() || series.low.size() == series.x.size());
    SWITCHYARD_CHECK(series.labels.empty() || series.labels.size() == series.x.size());
    legend.push_back({series.name, i, has_line(series), has_markers(series)});
    markers = markers || has_markers(series);
  }

  SvgCanvas canvas(plot.width, plot.height, plot.title);
  Area area;
  area.top = draw_heading(canvas, plot.width, plot.title, plot.subtitle, legend) + 4;
  area.bottom = std::max(plot.height - kHorizontalAxisRoom, area.top + 20);
  area.right = plot.width - kRightMargin;
  const Extent data_x = extent_of_x(plot);
  const Extent data_y = extent_of_y(plot);
  FittedAxis y(plot.y, data_y, Fit::nice, static_cast<int>(area.height() / kPixelsPerTickY));
  area.left = vertical_axis_room(y, axis_title(plot.y));
  // Markers at the ends must not sit on the axis.
  FittedAxis x(plot.x, data_x, markers ? Fit::nice : Fit::tight,
               static_cast<int>(area.width() / kPixelsPerTickX));
  x.place(area.left, area.right);
  y.place(area.bottom, area.top);
  draw_horizontal_axis(canvas, area, x, axis_title(plot.x));
  draw_vertical_axis(canvas, area, y, axis_title(plot.y));
  if (data_x.empty() || data_y.empty()) {
    draw_no_data(canvas, area);
    return canvas.finish();
  }

  // A little larger than the area: a line along its edge keeps its width.
  canvas.begin_clip({area.left - 4, area.top - 4}, area.width() + 8, area.height() + 8);
  Drawing drawing(canvas, x, y);
  for (std::size_t i = 0; i < plot.series.size(); ++i) drawing.band(plot.series[i], i);
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    if (has_line(plot.series[i])) drawing.line(plot.series[i], i);
    if (has_markers(plot.series[i])) drawing.markers(plot.series[i], i);
  }
  for (const Series& series : plot.series) drawing.keep_free(series);
  for (const Series& series : plot.series) drawing.labels(series);
  canvas.end_clip();
  return canvas.finish();
}

}  // namespace switchyard::plot
