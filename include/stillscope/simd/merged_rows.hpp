// SPDX-License-Identifier: GPL-3.0-or-later
/// Rows that kernels make one of.
#pragma once

#include <cstddef>

namespace stillscope {

/// The rows whose weighted sum is wanted: factor (offset + sum of weights[i] rows[i]).
struct WeightedRows {
  const float* const* rows;
  const float* weights;
  std::size_t count;
  float offset;
  float factor;
};

/// A row of a moved frame: upper + weight (lower - upper), in units of `unit`.
struct BlendedRow {
  const float* upper;
  const float* lower;  ///< `upper` where `weight` is 0.
  float weight;
  float unit;
};

/// Rows that are merged into one: factor (offset + sum of unit value) + zero.
struct MergedRows {
  const BlendedRow* rows;
  std::size_t count;  ///< At least 1.
  bool is_whole;      ///< Values are cut off toward zero before they count.
  float offset = 0.0F;
  float factor = 1.0F;
  float zero = 0.0F;
};

}  // namespace stillscope
