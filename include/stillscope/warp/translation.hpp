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

namespace stillscope {

/// Where a warp takes its samples: at the exact position (OpenCV 5 and the maths), or at the nearest
/// multiple of 1/32 px (`cv2.warpAffine` of OpenCV 4).
enum class SamplingGrid { exact, cv2 };

/// The two samples that a translation blends on one axis: output[i] =
/// (1 - weight) * input[i + offset] + weight * input[i + offset + 1]. Eq. (4).
struct AxisTaps {
  std::ptrdiff_t offset = 0;
  float weight = 0.0F;  ///< In [0, 1).
};

/// A translation prepared for frames of one size.
class Translation {
 public:
  /// `shift` [px] is taken in single precision, as OpenCV's matrix is in minian. A shift that is not
  /// finite or that leaves no sample inside the frame gives frames of nothing but fill.
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
      return;
    }
    if (weight == 0.0F) {
      blend_columns(row_as_float(frame, static_cast<std::size_t>(upper), upper_), width,
                    translation.columns(), fill, out);
      return;
    }
    const float* a = fill_row_or(frame, upper, has_upper, fill, upper_);
    const float* b = fill_row_or(frame, upper + 1, has_lower, fill, lower_);
    blended_.resize(width);
    for (std::size_t x = 0; x < width; ++x) blended_[x] = blend(a[x], b[x], weight);
    blend_columns(blended_.data(), width, translation.columns(), fill, out);
  }

 private:
  static bool is_inside(std::ptrdiff_t index, std::size_t n) {
    return index >= 0 && index < static_cast<std::ptrdiff_t>(n);
  }

  static float blend(float a, float b, float weight) { return (1.0F - weight) * a + weight * b; }

  const float* row_as_float(const FrameView<const T>& frame, std::size_t y,
                            std::vector<float>& scratch) {
    const T* row = contiguous_row(frame, y, gathered_);
    if constexpr (std::is_same_v<T, float>) {
      if (row != gathered_.data()) return row;
    }
    scratch.resize(frame.width());
    for (std::size_t x = 0; x < frame.width(); ++x) scratch[x] = static_cast<float>(row[x]);
    return scratch.data();
  }

  const float* fill_row_or(const FrameView<const T>& frame, std::ptrdiff_t y, bool inside,
                           float fill, std::vector<float>& scratch) {
    if (inside) return row_as_float(frame, static_cast<std::size_t>(y), scratch);
    scratch.assign(frame.width(), fill);
    return scratch.data();
  }

  /// out[x] from row[x + offset] and row[x + offset + 1].
  static void blend_columns(const float* row, std::size_t width, const AxisTaps& taps, float fill,
                            float* out) {
    const auto n = static_cast<std::ptrdiff_t>(width);
    const auto clamp = [&](std::ptrdiff_t x) { return std::clamp<std::ptrdiff_t>(x, 0, n); };
    if (taps.weight == 0.0F) {
      const std::ptrdiff_t begin = clamp(-taps.offset);
      const std::ptrdiff_t end = std::max(begin, clamp(n - taps.offset));
      std::fill(out, out + begin, fill);
      for (std::ptrdiff_t x = begin; x < end; ++x) out[x] = row[x + taps.offset];
      std::fill(out + end, out + n, fill);
      return;
    }
    const auto sample = [&](std::ptrdiff_t x) { return is_inside(x, width) ? row[x] : fill; };
    // Both samples are inside for x in [begin, end); at most one column on each side has only one.
    const std::ptrdiff_t begin = clamp(-taps.offset);
    const std::ptrdiff_t end = std::max(begin, clamp(n - 1 - taps.offset));
    const auto blend_edge = [&](std::ptrdiff_t x) {
      const bool outside = !is_inside(x + taps.offset, width) &&
                           !is_inside(x + taps.offset + 1, width);
      out[x] = outside ? fill
                       : blend(sample(x + taps.offset), sample(x + taps.offset + 1), taps.weight);
    };
    for (std::ptrdiff_t x = 0; x < begin; ++x) blend_edge(x);
    for (std::ptrdiff_t x = begin; x < end; ++x) {
      out[x] = blend(row[x + taps.offset], row[x + taps.offset + 1], taps.weight);
    }
    for (std::ptrdiff_t x = end; x < n; ++x) blend_edge(x);
  }

  std::vector<float> upper_;
  std::vector<float> lower_;
  std::vector<float> blended_;
  std::vector<T> gathered_;
};

}  // namespace stillscope
