// SPDX-License-Identifier: GPL-3.0-or-later
/// Rows that are sampled between the pixels of a frame, and what kernels say of them. Nothing but
/// declarations, as in row_kernels.hpp.
#pragma once

#include <cstddef>

namespace stillscope {

/// A frame in float32 that is sampled between its pixels. It is padded by at least `sample_padding`
/// px on every side with what lies outside it.
struct SampledFrame {
  const float* pixels;  ///< Pixel (0, 0).
  std::ptrdiff_t stride;
  std::size_t height;
  std::size_t width;
};
inline constexpr std::size_t sample_padding = 16;
inline constexpr double calm_length = 12.0;
inline constexpr double calm_spread = 0.9;

/// How a row of positions is sampled. Buffers hold whole multiples of 8 values.
struct SampledRow {
  SampledFrame frame;
  /// Output x is sampled at row y + rows[x], column x + columns[x]; all finite.
  std::size_t y;
  const float* rows;
  const float* columns;
  /// Positions further outside than `inside` [px] on an axis give `outside`.
  float inside;
  float outside;
  /// No displacement is longer than `calm_length` [px] on an axis, and none of eight neighbours
  /// differs by more than `calm_spread` [px] from another: there is less to be careful of.
  bool is_calm;
  /// So is where all pixels, and what the frame is padded with, are finite.
  bool is_finite;
};

/// A row of a frame, sampled where a template's pixels lie in it, beside the template. Buffers hold
/// whole multiples of 16 values.
struct DeformedRow {
  const float* sampled;     ///< NaN where there is nothing.
  const float* prediction;  ///< The template.
  const float* gradient_height;
  const float* gradient_width;
  const float* detail;  ///< Of the template, or null.
  /// The residual is sampled - (gain prediction + offset), or as near to that as `limit` lets it be
  /// to 0; 0 where there is nothing.
  float gain;
  float offset;
  float limit;
};

/// Running sums, column by column, of residuals times what they are projected on.
struct DeformedSums {
  float* gradient_height;
  float* gradient_width;
  float* detail;  ///< Or null.
};

/// Sums over pixels, of residuals r, predictions p and how many there are: each is the sum of its
/// eight.
struct DeformedTotals {
  double r[8];
  double rr[8];
  double rp[8];
  double p[8];
  double pp[8];
  double count[8];
};

/// Neighbouring positions in one cell, the first at `start`.
struct CubicRun {
  std::size_t first;
  std::size_t count;
  std::size_t cell;
  float start;
};

/// A row of a field that is two cubic polynomials in each cell: its displacement along the height
/// is the sum over j of height[j stride + cell] t^j, so along the width.
struct CubicRuns {
  const CubicRun* runs;
  std::size_t count;
  float step;  ///< From a position to the next.
  const float* height;
  const float* width;
  std::size_t stride;
};

}  // namespace stillscope
