// SPDX-License-Identifier: GPL-3.0-or-later
/// Warping and merging in one pass.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "stillscope/core/settings.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/tree/template_stack.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// A plane to be warped into a template.
template <Pixel T>
struct MergeSource {
  FrameView<const T> plane;
  Translation translation;
  bool is_first;  ///< Fills the first slot, too.
  bool is_last;   ///< Fills the last slot, too.
};

/// Warps planes with fill 0 and merges them into a template, row by row: no warped plane is ever
/// stored but in a slot. Keeps its rows from call to call; one object a thread.
template <Pixel T>
class TemplateMerger {
 public:
  /// Fills `merged`, which has 3 slots or 1. `values`: what warped pixels become; `by_type`
  /// leaves them as they are.
  void operator()(const std::vector<MergeSource<T>>& sources, Aggregation aggregation,
                  WarpedValues values, TemplateStack& merged) {
    // Few values add up exactly enough in single precision; many (a large npart) in double.
    constexpr std::size_t few = 16;
    if (sources.size() <= few) {
      merge_rows(sources, aggregation, values, merged, sums_);
    } else {
      merge_rows(sources, aggregation, values, merged, long_sums_);
    }
  }

 private:
  template <class Sum>
  void merge_rows(const std::vector<MergeSource<T>>& sources, Aggregation aggregation,
                  WarpedValues values, TemplateStack& merged, std::vector<Sum>& sums) {
    const bool has_slots = merged.slots() > 1;
    const bool is_mean = aggregation == Aggregation::mean;
    const std::size_t width = merged.extent().width;
    const Sum scale = is_mean ? Sum{1} / static_cast<Sum>(sources.size()) : Sum{1};
    warped_.resize(width);
    float* warped = warped_.data();
    for (std::size_t y = 0; y < merged.extent().height; ++y) {
      sums.assign(width, is_mean ? Sum{0} : -std::numeric_limits<Sum>::infinity());
      for (const MergeSource<T>& source : sources) {
        warper_(source.plane, source.translation, 0.0F, y, warped);
        if (values == WarpedValues::whole) float_kernels().truncate(warped, width);
        if (values == WarpedValues::binary) {
          for (float& value : warped_) value = value == 0.0F ? 0.0F : 1.0F;
        }
        if (has_slots && source.is_first) std::copy_n(warped, width, merged[first_slot].row(y));
        if (has_slots && source.is_last) std::copy_n(warped, width, merged[last_slot].row(y));
        accumulate(warped, width, is_mean, sums.data());
      }
      float* out = merged[aggregate_slot].row(y);
      for (std::size_t x = 0; x < width; ++x) out[x] = static_cast<float>(sums[x] * scale);
    }
  }

  static void accumulate(const float* row, std::size_t width, bool is_mean, float* sums) {
    is_mean ? float_kernels().add(row, width, sums) : float_kernels().maximum(row, width, sums);
  }
  static void accumulate(const float* row, std::size_t width, bool is_mean, double* sums) {
    for (std::size_t x = 0; x < width; ++x) {
      const auto value = static_cast<double>(row[x]);
      sums[x] = is_mean ? sums[x] + value : std::max(sums[x], value);
    }
  }

  RowWarper<T> warper_;
  std::vector<float> warped_;
  std::vector<float> sums_;
  std::vector<double> long_sums_;
};

}  // namespace stillscope
