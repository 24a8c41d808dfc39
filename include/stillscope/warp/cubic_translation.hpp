// SPDX-License-Identifier: GPL-3.0-or-later
/// Translation by cubic convolution: R. Keys, "Cubic convolution interpolation for digital image
/// processing", IEEE Trans. Acoustics, Speech and Signal Processing 29 (1981), a = -1/2.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// The shares of samples -1, 0, 1 and 2 at `t` in [0, 1) beyond sample 0. Their sum is 1.
[[nodiscard]] inline std::array<float, 4> keys_weights(double t) {
  const double before = t * (-0.5 + t * (1.0 - 0.5 * t));
  const double after = t * t * (-0.5 + 0.5 * t);
  const double here = 1.0 + t * t * (-2.5 + 1.5 * t);
  return {static_cast<float>(before), static_cast<float>(here),
          static_cast<float>(1.0 - before - here - after), static_cast<float>(after)};
}

/// Translates a frame row by row, from the top down, as RowWarper does, from four samples on each
/// axis. One object a thread.
template <Pixel T>
class CubicRowWarper {
 public:
  /// From here on, rows of `frame`. Samples outside it are `fill` or those at the edge, as `border`
  /// says; a sample of weight zero is not read.
  void begin(const FrameView<const T>& frame, const Translation& translation, float fill,
             Border border) {
    frame_ = frame;
    translation_ = translation;
    fill_ = fill;
    border_ = border;
    const std::size_t width = frame.width();
    stride_ = (width + 15) / 16 * 16;
    rows_.reserve(taps * stride_);
    moved_.reserve(width);
    samples_.reserve(width + taps);
    filling_.reserve(width);
    std::fill_n(filling_.data(), width, fill);
    held_.fill(none);
  }

  /// out = row `y` of the moved frame, its values brought to the type U.
  template <Pixel U>
  void operator()(std::size_t y, U* out, PixelRounding rounding = PixelRounding::none,
                  RowStores stores = RowStores::cached) {
    const std::size_t width = frame_.width();
    const float* row = filling_.data();
    if (!translation_.is_empty()) {
      const AxisTaps& axis = translation_.rows();
      const auto weights = keys_weights(static_cast<double>(axis.weight));
      Taps sum;
      for (std::size_t k = 0; k < taps; ++k) {
        if (weights[k] == 0.0F) continue;
        const auto at = static_cast<std::ptrdiff_t>(y + k) + axis.offset - 1;
        sum.add(blended(at), weights[k]);
      }
      float_kernels().weighted_sum(sum.rows(), width, moved_.data());
      row = moved_.data();
    }
    pixel_kernels<U>().blend_rows(row, nullptr, width, 0.0F, rounding, stores, out);
  }

 private:
  static constexpr std::size_t taps = 4;
  static constexpr std::ptrdiff_t none = std::numeric_limits<std::ptrdiff_t>::min();

  struct Taps {
    std::array<const float*, taps> from{};
    std::array<float, taps> weights{};
    std::size_t count = 0;

    void add(const float* row, float weight) {
      from[count] = row;
      weights[count++] = weight;
    }
    [[nodiscard]] WeightedRows rows() const {
      return {from.data(), weights.data(), count, 0.0F, 1.0F};
    }
  };

  /// Row `y` of the frame, blended along the columns.
  const float* blended(std::ptrdiff_t y) {
    const auto last = static_cast<std::ptrdiff_t>(frame_.height()) - 1;
    if (border_ == Border::nearest) y = std::clamp<std::ptrdiff_t>(y, 0, last);
    if (y < 0 || y > last) return filling_.data();
    const auto row = static_cast<std::size_t>(y);
    const std::size_t slot = row % taps;
    float* out = rows_.data() + slot * stride_;
    if (held_[slot] == y) return out;
    held_[slot] = y;
    blend_columns(contiguous_row(frame_, row, gathered_), out);
    return out;
  }

  void blend_columns(const T* row, float* out) {
    const AxisTaps& axis = translation_.columns();
    const auto n = static_cast<std::ptrdiff_t>(frame_.width());
    // Samples from one before the first output's to two beyond the last one's.
    const std::ptrdiff_t first = axis.offset - 1;
    const std::ptrdiff_t size = n + 3;
    const std::ptrdiff_t begin = std::clamp<std::ptrdiff_t>(-first, 0, size);
    const std::ptrdiff_t end = std::clamp<std::ptrdiff_t>(n - first, begin, size);
    float* samples = samples_.data();
    const bool repeats = border_ == Border::nearest;
    std::fill_n(samples, begin, repeats ? static_cast<float>(row[0]) : fill_);
    if (begin < end) {
      pixel_kernels<T>().to_float(row + first + begin, static_cast<std::size_t>(end - begin),
                                  samples + begin);
    }
    std::fill(samples + end, samples + size, repeats ? static_cast<float>(row[n - 1]) : fill_);
    const auto weights = keys_weights(static_cast<double>(axis.weight));
    Taps sum;
    for (std::size_t k = 0; k < taps; ++k) {
      if (weights[k] != 0.0F) sum.add(samples + k, weights[k]);
    }
    float_kernels().weighted_sum(sum.rows(), frame_.width(), out);
  }

  FrameView<const T> frame_;
  Translation translation_;
  float fill_ = 0.0F;
  Border border_ = Border::constant;
  AlignedBuffer<float> rows_;  // of four neighbours
  std::array<std::ptrdiff_t, taps> held_{};
  std::size_t stride_ = 0;
  AlignedBuffer<float> samples_;
  AlignedBuffer<float> moved_;
  AlignedBuffer<float> filling_;
  std::vector<T> gathered_;
};

}  // namespace stillscope
