// SPDX-License-Identifier: GPL-3.0-or-later
/// Row-wise access to strided frames: kernels see contiguous rows, whatever the view's strides.
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "stillscope/core/error.hpp"
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

/// Mean of a frame's finite pixels, and how many are not finite.
struct FrameSummary {
  double mean = 0.0;  ///< 0 where no pixel is finite.
  std::size_t non_finite = 0;
};

/// Exact for integers; floats are added in their own precision along a row, in double across rows.
template <Pixel T>
[[nodiscard]] FrameSummary summarize(const FrameView<const T>& frame, std::vector<T>& scratch) {
  const auto area = static_cast<double>(frame.extent().area());
  ProductSum<T> total{};
  for (std::size_t y = 0; y < frame.height(); ++y) {
    total += pixel_kernels<T>().sum(contiguous_row(frame, y, scratch), frame.width());
  }
  if constexpr (std::is_integral_v<T>) {
    return {static_cast<double>(total) / area, 0};
  } else {
    // A finite sum has finite terms; only the others need the slow look.
    if (std::isfinite(total)) return {total / area, 0};
    FrameSummary summary;
    long double sum = 0.0L;
    for (std::size_t y = 0; y < frame.height(); ++y) {
      for (std::size_t x = 0; x < frame.width(); ++x) {
        if (std::isfinite(frame(y, x))) {
          sum += frame(y, x);
        } else {
          ++summary.non_finite;
        }
      }
    }
    const std::size_t finite = frame.extent().area() - summary.non_finite;
    if (finite > 0) summary.mean = static_cast<double>(sum / static_cast<long double>(finite));
    return summary;
  }
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

/// out = frame - mean, in C order. Returns the energy, the sum of the squares of `out`.
template <Pixel T>
double load_centred(const FrameView<const T>& frame, double mean, std::vector<T>& scratch,
                    float* out) {
  double energy = 0.0;
  for (std::size_t y = 0; y < frame.height(); ++y, out += frame.width()) {
    const T* row = contiguous_row(frame, y, scratch);
    energy += static_cast<double>(pixel_kernels<T>().centre(row, frame.width(), mean, out));
  }
  return energy;
}

}  // namespace stillscope
