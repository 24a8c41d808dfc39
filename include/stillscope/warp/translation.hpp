// SPDX-License-Identifier: GPL-3.0-or-later
/// Bilinear translation with a constant border, a row at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Where a warp takes its samples: at the exact position (OpenCV 5 and the maths), or at the
/// nearest multiple of 1/32 px (`cv2.warpAffine` of OpenCV 4).
enum class SamplingGrid { exact, cv2 };

/// What lies outside a frame: a value, or the nearest pixel of the frame.
enum class Border { constant, nearest };

/// The two samples that a translation blends on one axis: with a = input[i + offset] and
/// b = input[i + offset + 1], output[i] = a + weight (b - a). Eq. (4).
struct AxisTaps {
  std::ptrdiff_t offset = 0;
  float weight = 0.0F;  ///< In [0, 1).
};

/// A translation prepared for frames of one size.
class Translation {
 public:
  Translation() = default;
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

/// Translates a frame row by row, from the top down: each row of the frame is blended along the
/// columns once, and two of these make a row of the result. Holds the scratch that this needs; one
/// object a thread.
template <Pixel T>
class RowWarper {
 public:
  /// From here on, rows of `frame`. Samples outside it are `fill`, with which edge samples blend,
  /// or those at the edge, as `border` says; a sample of weight zero is not read.
  void begin(const FrameView<const T>& frame, const Translation& translation, float fill,
             Border border = Border::constant) {
    frame_ = frame;
    added_ = {};
    translation_ = translation;
    fill_ = fill;
    border_ = border;
    const std::size_t width = frame.width();
    filling_.reserve(width);
    std::fill_n(filling_.data(), width, fill);
    stride_ = (width + 15) / 16 * 16;
    blended_.reserve(2 * stride_);
    next_ = none;
  }
  /// The same of the sum of three planes with contiguous rows, which T holds.
  void begin(const std::array<FrameView<const T>, 3>& planes, const Translation& translation,
             float fill) {
    begin(planes[0], translation, fill);
    added_ = {planes[1], planes[2]};
    gathered_.resize(frame_.width());
  }

  /// What a row of the moved frame is blended from: upper + weight (lower - upper), or `upper`
  /// alone where there is no `lower`.
  struct Taps {
    const float* upper;
    const float* lower;
    float weight;
  };
  /// Row `y` of the moved frame; holds until rows further down are asked for.
  Taps taps(std::size_t y) {
    const std::size_t height = frame_.height();
    const std::ptrdiff_t upper = static_cast<std::ptrdiff_t>(y) + translation_.rows().offset;
    const float weight = translation_.rows().weight;
    if (border_ == Border::nearest && !translation_.is_empty()) {
      const auto last = static_cast<std::ptrdiff_t>(height) - 1;
      const std::ptrdiff_t first = std::clamp<std::ptrdiff_t>(upper, 0, last);
      const std::ptrdiff_t second = std::clamp<std::ptrdiff_t>(upper + 1, 0, last);
      const bool is_one = weight == 0.0F || first == second;
      const float* row = blended(first);
      return {row, is_one ? nullptr : blended(second), is_one ? 0.0F : weight};
    }
    const bool has_lower = weight != 0.0F && is_inside(upper + 1, height);
    if (translation_.is_empty() || (!is_inside(upper, height) && !has_lower)) {
      return {filling_.data(), nullptr, 0.0F};
    }
    return {blended(upper), weight == 0.0F ? nullptr : blended(upper + 1), weight};
  }

  /// out = row `y` of the moved frame, its values brought to the type U.
  template <Pixel U>
  void operator()(std::size_t y, U* out, PixelRounding rounding = PixelRounding::none,
                  RowStores stores = RowStores::cached) {
    const Taps row = taps(y);
    pixel_kernels<U>().blend_rows(row.upper, row.lower, frame_.width(), row.weight, rounding,
                                  stores, out);
  }

 private:
  static constexpr std::ptrdiff_t none = std::numeric_limits<std::ptrdiff_t>::min();

  static bool is_inside(std::ptrdiff_t index, std::size_t n) {
    return index >= 0 && index < static_cast<std::ptrdiff_t>(n);
  }

  /// Row `y` of the frame, blended along the columns; fill outside the frame.
  const float* blended(std::ptrdiff_t y) {
    if (!is_inside(y, frame_.height())) return filling_.data();
    const auto row = static_cast<std::size_t>(y);
    float* out = blended_.data() + row % 2 * stride_;
    if (y >= next_) {
      blend_columns(pixels(row), out);
      next_ = y + 1;
    }
    return out;
  }

  /// A row of the frame, or of the sum.
  const T* pixels(std::size_t y) {
    if (added_[0].data() == nullptr) return contiguous_row(frame_, y, gathered_);
    pixel_kernels<T>().add(frame_.row(y), added_[0].row(y), added_[1].row(y), frame_.width(),
                           gathered_.data());
    return gathered_.data();
  }

  void blend_columns(const T* row, float* out) const {
    const AxisTaps& columns = translation_.columns();
    const auto n = static_cast<std::ptrdiff_t>(frame_.width());
    const auto clamp = [&](std::ptrdiff_t x) { return std::clamp<std::ptrdiff_t>(x, 0, n); };
    const bool is_whole = columns.weight == 0.0F;
    // All samples are inside for x in [begin, end).
    const std::ptrdiff_t begin = clamp(-columns.offset);
    const std::ptrdiff_t end = std::max(begin, clamp(n - columns.offset - (is_whole ? 0 : 1)));
    if (begin < end) {
      const T* from = row + begin + columns.offset;
      const auto size = static_cast<std::size_t>(end - begin);
      if (is_whole) {
        pixel_kernels<T>().to_float(from, size, out + begin);
      } else {
        pixel_kernels<T>().blend_columns(from, size, columns.weight, out + begin);
      }
    }
    // Beside them at most one column has a sample inside; the rest is fill.
    const auto sample = [&](std::ptrdiff_t x) {
      if (border_ == Border::nearest) x = std::clamp<std::ptrdiff_t>(x, 0, n - 1);
      return is_inside(x, frame_.width()) ? static_cast<float>(row[x]) : fill_;
    };
    const auto edge = [&](std::ptrdiff_t x) {
      const std::ptrdiff_t left = x + columns.offset;
      const bool has_right = !is_whole && is_inside(left + 1, frame_.width());
      if (border_ == Border::nearest && is_whole) return sample(left);
      if (border_ == Border::constant && !is_inside(left, frame_.width()) && !has_right) {
        return fill_;
      }
      return sample(left) + columns.weight * (sample(left + 1) - sample(left));
    };
    for (std::ptrdiff_t x = 0; x < begin; ++x) out[x] = edge(x);
    for (std::ptrdiff_t x = end; x < n; ++x) out[x] = edge(x);
  }

  FrameView<const T> frame_;
  std::array<FrameView<const T>, 2> added_{};  // to the frame, where it is a sum
  Translation translation_;
  float fill_ = 0.0F;
  Border border_ = Border::constant;
  AlignedBuffer<float> blended_;  // of an even and of an odd row: neighbours
  std::size_t stride_ = 0;
  std::ptrdiff_t next_ = none;  // the first row that has not been blended
  AlignedBuffer<float> filling_;
  std::vector<T> gathered_;
};

}  // namespace stillscope
