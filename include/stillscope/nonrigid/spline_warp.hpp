// SPDX-License-Identifier: GPL-3.0-or-later
/// A frame deformed by a field of displacements.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_field.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/warp/padded_frame.hpp"

namespace stillscope {

/// What lies outside a frame: a value, with which edge pixels blend; the nearest pixel of the
/// frame; or, as in ITK, the nearest pixel up to half a pixel outside and a value beyond.
enum class SampleBorder { constant, nearest, half_pixel };

/// Deforms frames of one size, one after the other; one object a thread.
class SplineWarper {
 public:
  /// `grid`, in px of the frames on which it was estimated; `side` [px]: of a pixel of these
  /// frames in those.
  SplineWarper(const ControlGrid& grid, Extent extent, double side_height = 1.0,
               double side_width = 1.0)
      : extent_(extent),
        field_(grid, {0.5 * (side_height - 1.0), side_height, extent.height},
               {0.5 * (side_width - 1.0), side_width, extent.width}) {
    samples_.reserve((extent.width + 7) / 8 * 8);
  }

  /// out = `frame` sampled where the field of `coefficients` says, values brought to U. Fill
  /// throughout where a coefficient is not finite.
  template <Pixel T, Pixel U>
  void operator()(const FrameView<const T>& frame, std::span<const double> coefficients,
                  const FrameView<U>& out, bool is_cubic, SampleBorder border, float fill,
                  PixelRounding rounding, RowStores stores = RowStores::cached) {
    const bool is_known = are_finite(coefficients);
    if (is_known) {
      padded_.load(frame, border == SampleBorder::constant ? Border::constant : Border::nearest,
                   fill);
      field_.begin(coefficients.data());
      is_finite_ = std::is_integral_v<T> && std::isfinite(fill);
    }
    if (!out.has_contiguous_rows()) stores = RowStores::cached;
    std::vector<U> gathered(out.has_contiguous_rows() ? 0 : extent_.width);
    for (std::size_t y = 0; y < extent_.height; ++y) {
      if (is_known) {
        sample(y, is_cubic, border, fill);
      } else {
        std::fill_n(samples_.data(), extent_.width, fill);
      }
      U* pixels = gathered.empty() ? out.row(y) : gathered.data();
      pixel_kernels<U>().blend_rows(samples_.data(), nullptr, extent_.width, 0.0F, rounding, stores,
                                    pixels);
      for (std::size_t x = 0; x < gathered.size(); ++x) out(y, x) = gathered[x];
    }
    float_kernels().finish_streams();
  }

  /// Every coefficient is a number of px that may mean something.
  static bool are_finite(std::span<const double> coefficients) {
    for (const double c : coefficients) {
      if (!(std::fabs(c) < 1e6)) return false;
    }
    return true;
  }

 private:
  void sample(std::size_t y, bool is_cubic, SampleBorder border, float fill) {
    field_(y);
    const float inside =
        border == SampleBorder::half_pixel ? 0.5F : std::numeric_limits<float>::max();
    const SampledRow row{padded_.view(), y,    field_.height(),  field_.width(),
                         inside,         fill, field_.is_calm(), is_finite_};
    const auto kernel = is_cubic ? float_kernels().sample_cubic : float_kernels().sample_linear;
    kernel(row, extent_.width, samples_.data());
  }

  Extent extent_;
  FieldRows field_;
  bool is_finite_ = false;
  PaddedFrame padded_;
  AlignedBuffer<float> samples_;
};

}  // namespace stillscope
