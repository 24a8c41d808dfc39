// SPDX-License-Identifier: GPL-3.0-or-later
/// Bilinear translation with a constant border, a row at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Where a warp takes its samples: at the exact position (OpenCV 5 and the maths), or at the
/// nearest multiple of 1/32 px (`cv2.warpAffine` of OpenCV 4).
enum class SamplingGrid { exact, cv2 };

/// The two samples that a translation blends on one axis: with a = input[i + offset] and
/// b = input[i + offset + 1], output[i] = a + weight (b - a). Eq. (4).
struct AxisTaps {
  std::ptrdiff_t offset = 0;
  float weight = 0.0F;  ///< In [0, 1).
};

/// A translation prepared for frames of one size.
class Translation {
 public:
  /// `shift` [px] is taken in single precision, as OpenCV's matrix is in minian. A shift that is
  /// not finite or that leaves no sample inside the frame gives frames of nothing but fill.
  Translation(Shift shift, Extent extent, SamplingGrid grid = SamplingGrid::exact)
      : extent_(extent) {
    is_empty_ = !reaches(shift.height, extent.height) || !reaches(shift.width, extent.width);
    if (is_empty_) return;
    rows_ = taps(static_cast<float>(shift.height), grid);
    columns_ = taps(static_cast<float>(shift.width), grid);
  }

  [[nodiscard]] Extent extent() const { return extent_; }
  /// True where no output pixel has a sample inside the frame.
  [[nodiscard]] bool is_empty() const { return is_empty_; }
  [[nodiscard]] const AxisTaps& rows() const { return rows_; }
  [[nodiscard]] const AxisTaps& columns() const { return columns_; }

 private:
  static bool reaches(double shift, std::size_t n) {
    return std::isfinite(shift) && std::fabs(shift) <= static_cast<double>(n);
  }

  static AxisTaps taps(float shift, SamplingGrid grid) {
    if (grid == SamplingGrid::exact) {
      const double position = -static_cast<double>(shift);
      const double whole = std::floor(position);
      auto weight = static_cast<float>(position - whole);
      // A tiny negative position rounds to a weight of 1: that is the next sample alone.
      if (weight >= 1.0F) return {static_cast<std::ptrdiff_t>(whole) + 1, 0.0F};
      return {static_cast<std::ptrdiff_t>(whole), weight};
    }
    // OpenCV 4: the matrix in 1/1024 px, rounded half to even, then to the nearest 1/32 px.
    const auto fine = static_cast<std::int64_t>(std::nearbyint(-static_cast<double>(shift) * 1024));
    const std::int64_t coarse = (fine + 16) >> 5;
    return {static_cast<std::ptrdiff_t>(coarse >> 5), static_cast<float>(coarse & 31) / 32.0F};
  }

  Extent extent_;
  AxisTaps rows_;
  AxisTaps columns_;
  bool is_empty_ = false;
};

/// Warps rows of frames of one width; holds the scratch that this needs. One object a thread.
template <Pixel T>
class RowWarper {
 public:
  /// out = row `y` of `frame` moved by `translation`, in float32. Samples outside the frame are
  /// `fill`, with which edge samples blend; a sample of weight zero is not read.
  void operator()(const FrameView<const T>& frame, const Translation& translation, float fill,
                  std::size_t y, float* out) {
    const std::size_t width = frame.width();
    const std::ptrdiff_t upper = static_cast<std::ptrdiff_t>(y) + translation.rows().offset;
    const float weight = translation.rows().weight;
    const bool has_upper = is_inside(upper, frame.height());
    const bool has_lower = weight != 0.0F && is_inside(upper + 1, frame.height());
    if (translation.is_empty() || (!has_upper && !has_lower)) {
      std::fill_n(out, width, fill);
    } else if (weight == 0.0F) {
      const T* row = contiguous_row(frame, static_cast<std::size_t>(upper), gathered_[0]);
      warp_rows(row, row, width, 0.0F, translation.columns(), fill, out);
    } else if (has_upper && has_lower) {
      warp_rows(contiguous_row(frame, static_cast<std::size_t>(upper), gathered_[0]),
                contiguous_row(frame, static_cast<std::size_t>(upper + 1), gathered_[1]), width,
                weight, translation.columns(), fill, out);
    } else {
      // At the border rows one of the two is fill, which T need not hold: in single precision.
      const std::size_t inside = static_cast<std::size_t>(has_upper ? upper : upper + 1);
      border_.resize(2 * width);
      float* row = border_.data();
      pixel_kernels<T>().to_float(contiguous_row(frame, inside, gathered_[0]), width, row);
      std::fill_n(row + width, width, fill);
      const float* rows[2] = {has_upper ? row : row + width, has_upper ? row + width : row};
      warp_rows(rows[0], rows[1], width, weight, translation.columns(), fill, out);
    }
  }

 private:
  static bool is_inside(std::ptrdiff_t index, std::size_t n) {
    return index >= 0 && index < static_cast<std::ptrdiff_t>(n);
  }

  /// One output row from two input rows.
  template <Pixel U>
  static void warp_rows(const U* upper, const U* lower, std::size_t width, float weight,
                        const AxisTaps& columns, float fill, float* out) {
    const auto n = static_cast<std::ptrdiff_t>(width);
    const auto clamp = [&](std::ptrdiff_t x) { return std::clamp<std::ptrdiff_t>(x, 0, n); };
    const bool is_whole = columns.weight == 0.0F;
    // All samples are inside for x in [begin, end).
    const std::ptrdiff_t begin = clamp(-columns.offset);
    const std::ptrdiff_t end = std::max(begin, clamp(n - columns.offset - (is_whole ? 0 : 1)));
    if (begin < end) {
      const auto size = static_cast<std::size_t>(end - begin);
      const U* a = upper + begin + columns.offset;
      const U* b = lower + begin + columns.offset;
      const PixelKernels<U>& kernels = pixel_kernels<U>();
      if (is_whole && weight == 0.0F) {
        kernels.to_float(a, size, out + begin);
      } else if (is_whole) {
        kernels.blend_rows(a, b, size, weight, out + begin);
      } else {
        kernels.bilinear(a, b, size, weight, columns.weight, out + begin);
      }
    }
    // Beside them at most one column has a sample inside; the rest is fill.
    const auto sample = [&](std::ptrdiff_t x) {
      if (!is_inside(x, width)) return fill;
      return blend(static_cast<float>(upper[x]), static_cast<float>(lower[x]), weight);
    };
    const auto warp_edge = [&](std::ptrdiff_t x) {
      const std::ptrdiff_t left = x + columns.offset;
      const bool has_right = !is_whole && is_inside(left + 1, width);
      if (!is_inside(left, width) && !has_right) return fill;
      return blend(sample(left), sample(left + 1), columns.weight);
    };
    for (std::ptrdiff_t x = 0; x < begin; ++x) out[x] = warp_edge(x);
    for (std::ptrdiff_t x = end; x < n; ++x) out[x] = warp_edge(x);
  }

  static float blend(float a, float b, float weight) { return a + weight * (b - a); }

  std::vector<T> gathered_[2];
  std::vector<float> border_;
};

}  // namespace stillscope
