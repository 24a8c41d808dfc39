// SPDX-License-Identifier: GPL-3.0-or-later
/// Row-wise access to strided frames: kernels see contiguous rows, whatever the view's strides.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "stillscope/core/view.hpp"

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

/// Sums are exact for integers; floats are added in double.
template <Pixel T>
[[nodiscard]] FrameSummary summarize(const FrameView<const T>& frame, std::vector<T>& scratch) {
  const auto area = static_cast<double>(frame.extent().area());
  ProductSum<T> total{};
  for (std::size_t y = 0; y < frame.height(); ++y) {
    const T* row = contiguous_row(frame, y, scratch);
    ProductSum<T> sum{};
#pragma omp simd reduction(+ : sum)
    for (std::size_t x = 0; x < frame.width(); ++x) sum += static_cast<ProductSum<T>>(row[x]);
    total += sum;
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

/// out = frame - mean, in C order. Returns the energy, the sum of the squares of `out`.
template <Pixel T>
double load_centred(const FrameView<const T>& frame, double mean, std::vector<T>& scratch,
                    float* out) {
  using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto offset = static_cast<Working>(mean);
  double energy = 0.0;
  for (std::size_t y = 0; y < frame.height(); ++y, out += frame.width()) {
    const T* row = contiguous_row(frame, y, scratch);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::size_t x = 0; x < frame.width(); ++x) {
      out[x] = static_cast<float>(static_cast<Working>(row[x]) - offset);
      sum += out[x] * out[x];
    }
    energy += static_cast<double>(sum);
  }
  return energy;
}

}  // namespace stillscope
