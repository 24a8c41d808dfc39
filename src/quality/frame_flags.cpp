// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/quality/frame_flags.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "stillscope/core/rows.hpp"

namespace stillscope {
namespace {

/// Frames on each side that a frame is compared with.
constexpr std::size_t neighbours = 30;
/// A normal distribution's standard deviation, in median absolute deviations.
constexpr double deviations = 1.4826;

/// The median; reorders `values`. NaN where there are none.
double median(std::vector<double>& values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Median of `value(i)` over up to `reach` frames on each side of `centre`, of those that
/// `counts(i)`; and their spread about it.
template <class Value, class Counts>
std::pair<double, double> median_round(std::size_t centre, std::size_t n, std::size_t reach,
                                       Value&& value, Counts&& counts,
                                       std::vector<double>& scratch) {
  const std::size_t begin = centre > reach ? centre - reach : 0;
  const std::size_t end = std::min(n, centre + reach + 1);
  scratch.clear();
  for (std::size_t i = begin; i < end; ++i) {
    if (counts(i)) scratch.push_back(value(i));
  }
  const double middle = median(scratch);
  for (double& v : scratch) v = std::fabs(v - middle);
  return {middle, deviations * median(scratch)};
}

template <Pixel T>
bool is_same(const FrameView<const T>& a, const FrameView<const T>& b) {
  for (std::size_t y = 0; y < a.height(); ++y) {
    if (a.has_contiguous_rows() && b.has_contiguous_rows()) {
      if (std::memcmp(a.row(y), b.row(y), a.width() * sizeof(T)) != 0) return false;
      continue;
    }
    for (std::size_t x = 0; x < a.width(); ++x) {
      const T left = a(y, x);
      const T right = b(y, x);
      if (std::memcmp(&left, &right, sizeof(T)) != 0) return false;
    }
  }
  return true;
}

}  // namespace

template <Pixel T>
FrameStatistics frame_statistics(const FrameView<const T>& frame,
                                 const FrameView<const T>* before) {
  FrameStatistics statistics;
  std::vector<T> gathered;
  const std::size_t width = frame.width();
  double total = 0.0;
  T lowest = frame(0, 0);
  if constexpr (std::is_floating_point_v<T>) lowest = std::numeric_limits<T>::infinity();
  T highest = std::is_floating_point_v<T> ? static_cast<T>(-lowest) : lowest;
  for (std::size_t y = 0; y < frame.height(); ++y) {
    const T* row = contiguous_row(frame, y, gathered);
    total += static_cast<double>(pixel_kernels<T>().sum(row, width));
    pixel_kernels<T>().range(row, width, &lowest, &highest);
  }
  statistics.mean = total / static_cast<double>(frame.extent().area());
  statistics.lowest = static_cast<double>(lowest);
  statistics.highest = static_cast<double>(highest);
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(total)) {
      double sum = 0.0;
      std::size_t finite = 0;
      for (std::size_t y = 0; y < frame.height(); ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          const auto pixel = static_cast<double>(frame(y, x));
          if (!std::isfinite(pixel)) continue;
          if (finite++ == 0) statistics.lowest = statistics.highest = pixel;
          statistics.lowest = std::min(statistics.lowest, pixel);
          statistics.highest = std::max(statistics.highest, pixel);
          sum += pixel;
        }
      }
      statistics.non_finite = frame.extent().area() - finite;
      statistics.has_finite = finite > 0;
      statistics.mean = finite > 0 ? sum / static_cast<double>(finite) : 0.0;
      if (finite == 0) statistics.lowest = statistics.highest = 0.0;
    }
  }
  statistics.is_duplicate = before != nullptr && is_same(frame, *before);
  return statistics;
}

#define STILLSCOPE_INSTANTIATE(T) \
  template FrameStatistics frame_statistics(const FrameView<const T>&, const FrameView<const T>*);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

std::vector<std::uint16_t> flag_frames(std::span<const FrameStatistics> frames) {
  constexpr double spread_limit = 6.0;
  constexpr double flash_share = 0.15;  // of the brightness above the darkest pixels
  constexpr double black_share = 0.3;
  const std::size_t n = frames.size();
  std::vector<std::uint16_t> flags(n, 0);
  std::vector<double> scratch;
  for (std::size_t i = 0; i < n; ++i) {
    const auto broken =
        median_round(
            i, n, neighbours,
            [&](std::size_t k) { return static_cast<double>(frames[k].non_finite); },
            [](std::size_t) { return true; }, scratch)
            .first;
    const auto is_broken = [&](std::size_t k) {
      return !frames[k].has_finite || static_cast<double>(frames[k].non_finite) > 2.0 * broken;
    };
    const auto counts = [&](std::size_t k) { return k == i || !is_broken(k); };
    const auto [mean, spread] = median_round(
        i, n, neighbours, [&](std::size_t k) { return frames[k].mean; }, counts, scratch);
    const double lowest =
        median_round(
            i, n, neighbours, [&](std::size_t k) { return frames[k].lowest; }, counts, scratch)
            .first;
    const double brightness = mean - lowest;
    const double off = frames[i].mean - mean;
    if (off > std::max(spread_limit * spread, flash_share * brightness)) flags[i] |= flag_flash;
    if (off < -std::max(spread_limit * spread, black_share * brightness)) flags[i] |= flag_black;
    if (is_broken(i)) flags[i] |= flag_non_finite;
    if (frames[i].is_duplicate) flags[i] |= flag_duplicate;
  }
  return flags;
}

std::vector<bool> find_torn(std::span<const StripReport> frames,
                            std::span<const std::uint16_t> ignored) {
  constexpr std::size_t near = 3;        // frames on each side whose strips lie alike
  constexpr double spread_limit = 8.0;   // [standard deviations]
  constexpr double least_apart = 0.4;    // [px]
  constexpr double least_fading = 0.25;  // of a gain
  constexpr double least_growth = 2.0;   // of a residual, beside those of the frame's other strips
  constexpr std::size_t strips = StripReport::strips;
  const std::size_t n = frames.size();
  std::vector<bool> torn(n, false);
  const auto counts = [&](std::size_t i) { return frames[i].is_known && ignored[i] == 0; };
  std::vector<double> scratch;
  std::vector<double> off(n);
  // `size(off, value)`: how far off a value is that differs by so much from those round it; 0 where
  // that is too little anyway.
  const auto look = [&](auto&& value, auto&& size) {
    for (std::size_t i = 0; i < n; ++i) {
      off[i] = frames[i].is_known
                   ? value(i) - median_round(i, n, near, value, counts, scratch).first
                   : 0.0;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double far = frames[i].is_known ? size(off[i], value(i)) : 0.0;
      if (far <= 0.0) continue;
      const double spread =
          median_round(
              i, n, neighbours, [&](std::size_t k) { return off[k]; }, counts, scratch)
              .second;
      if (far > spread_limit * spread) torn[i] = true;
    }
  };
  for (std::size_t k = 0; k < 2 * strips; ++k) {
    look([&](std::size_t i) { return static_cast<double>(frames[i].apart[k]); },
         [&](double off_by, double) {
           return std::fabs(off_by) > least_apart ? std::fabs(off_by) : 0.0;
         });
  }
  for (std::size_t k = 0; k < strips; ++k) {
    look([&](std::size_t i) { return static_cast<double>(frames[i].gain[k]); },
         [&](double off_by, double) { return -off_by > least_fading ? -off_by : 0.0; });
  }
  // A frame that is blurred or bright fits worse everywhere: a torn one, in a part.
  std::vector<double> typical(n, 1.0);
  for (std::size_t i = 0; i < n; ++i) {
    scratch.assign(std::begin(frames[i].residual), std::end(frames[i].residual));
    const double middle = median(scratch);
    if (middle > 0.0) typical[i] = middle;
  }
  for (std::size_t k = 0; k < strips; ++k) {
    look([&](std::size_t i) { return static_cast<double>(frames[i].residual[k]) / typical[i]; },
         [&](double off_by, double value) {
           return value > least_growth * (value - off_by) ? off_by : 0.0;
         });
  }
  return torn;
}

}  // namespace stillscope
