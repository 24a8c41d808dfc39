// SPDX-License-Identifier: GPL-3.0-or-later
/// Row-wise access to strided frames: kernels see contiguous rows, whatever the view's strides.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <vector>

#include "stillscope/core/error.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Row `y` of `frame` as contiguous memory: in place where it can be, else gathered into `scratch`.
template <Pixel T>
[[nodiscard]] const T* contiguous_row(const FrameView<const T>& frame, std::size_t y,
                                      std::vector<T>& scratch) {
  if (frame.has_contiguous_rows()) return frame.row(y);
  scratch.resize(frame.width());
  for (std::size_t x = 0; x < frame.width(); ++x) scratch[x] = frame(y, x);
  return scratch.data();
}

/// What a look at a frame of floats tells.
struct FrameSummary {
  double mean = 0.0;  ///< Of the finite pixels; 0 where there is none.
  PixelRange range;   ///< Of the finite pixels; 0 to 0 where there is none.
  std::size_t non_finite = 0;
};

/// Rows are contiguous.
template <std::floating_point T>
[[nodiscard]] FrameSummary summarize(const FrameView<const T>& frame) {
  const auto area = static_cast<double>(frame.extent().area());
  double total = 0.0;
  T lowest = std::numeric_limits<T>::infinity();
  T highest = -lowest;
  for (std::size_t y = 0; y < frame.height(); ++y) {
    total += static_cast<double>(pixel_kernels<T>().sum(frame.row(y), frame.width()));
    pixel_kernels<T>().range(frame.row(y), frame.width(), &lowest, &highest);
  }
  // A finite sum has finite terms; only the others need the slow look.
  if (std::isfinite(total)) {
    return {total / area, {static_cast<double>(lowest), static_cast<double>(highest)}, 0};
  }
  FrameSummary summary;
  long double sum = 0.0L;
  std::size_t finite = 0;
  for (std::size_t y = 0; y < frame.height(); ++y) {
    for (std::size_t x = 0; x < frame.width(); ++x) {
      const T pixel = frame(y, x);
      if (!std::isfinite(pixel)) continue;
      sum += pixel;
      const auto value = static_cast<double>(pixel);
      if (finite++ == 0) summary.range = {value, value};
      summary.range.include(value);
    }
  }
  summary.non_finite = frame.extent().area() - finite;
  if (finite > 0) summary.mean = static_cast<double>(sum / static_cast<long double>(finite));
  return summary;
}

/// True where every pixel of `frame` is the same; leaves at the first that is not.
template <Pixel T>
[[nodiscard]] bool is_flat(const FrameView<const T>& frame) {
  for (std::size_t y = 0; y < frame.height(); ++y) {
    for (std::size_t x = 0; x < frame.width(); ++x) {
      if (frame(y, x) != frame(0, 0)) return false;
    }
  }
  return true;
}

/// Refuses a frame that is not flat where single precision does not hold its correlations.
inline void check_energy(double energy, Extent extent) {
  const auto area = static_cast<double>(extent.area());
  // The inverse transform multiplies the correlation, at most the energy, by the area.
  if (energy * area < 1e37 && energy / area > 1e-34) return;
  throw_invalid("frames", "a standard deviation whose square single precision holds (rescale them)",
                std::sqrt(energy / area));
}

/// Sum of squares about the mean, from that about another value and the sum less that value.
[[nodiscard]] inline double energy_about_mean(double energy, double sum, Extent extent) {
  return std::max(0.0, energy - sum * sum / static_cast<double>(extent.area()));
}

/// out = frame - offset, in C order. Returns the sum of the squares of `out`. Rows are contiguous.
template <Pixel T>
double load_centred(const FrameView<const T>& frame, double offset, float* out) {
  double energy = 0.0;
  for (std::size_t y = 0; y < frame.height(); ++y, out += frame.width()) {
    energy +=
        static_cast<double>(pixel_kernels<T>().centre(frame.row(y), frame.width(), offset, out));
  }
  return energy;
}

}  // namespace stillscope
