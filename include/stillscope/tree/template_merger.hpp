// SPDX-License-Identifier: GPL-3.0-or-later
/// Warping and merging in one pass.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/tree/template_stack.hpp"
#include "stillscope/warp/translation.hpp"

namespace stillscope {

/// A plane, or the sum of three, to be warped into a template.
template <Pixel T>
struct MergeSource {
  std::array<FrameView<const T>, 3> planes;
  std::size_t count;  ///< 1 or 3.
  PixelScale scale;   ///< Of each plane.
  Translation translation;
  bool is_first;   ///< Fills the first slot.
  bool is_last;    ///< Fills the last slot.
  bool is_merged;  ///< Counts in the aggregate, as what fills no slot does.

  /// What its pixels' values have in common.
  [[nodiscard]] float offset() const {
    return static_cast<float>(static_cast<double>(count) * scale.offset);
  }
  [[nodiscard]] float step() const { return static_cast<float>(scale.step); }
  /// True where pixels are their values.
  [[nodiscard]] bool is_plain() const { return scale.offset == 0.0 && scale.step == 1.0; }
  /// The pixel that stands for the value 0.
  [[nodiscard]] float zero() const {
    return static_cast<float>(static_cast<double>(count) * -scale.offset / scale.step);
  }
};

/// How warped sources become a template.
struct MergeRule {
  Aggregation aggregation = Aggregation::mean;
  /// What warped pixels become first; `by_type`: nothing else.
  WarpedValues values = WarpedValues::by_type;
  /// The mean is the sum times this: 1 / planes.
  float factor = 1.0F;
};

/// Warps planes with fill 0 and merges them into a template, row by row: no warped plane is ever
/// stored but in a slot. Keeps its rows from call to call; one object a thread. The executor may
/// share the rows out.
template <Pixel T>
class TemplateMerger {
 public:
  /// Fills `merged`, a TemplateStack or a CodedTemplate.
  template <class Template>
  void operator()(const std::vector<MergeSource<T>>& sources, const MergeRule& rule,
                  const Template& merged, const Executor& executor = SerialExecutor()) {
    const std::size_t height = merged.extent().height;
    executor.for_each((height + rows_per_band - 1) / rows_per_band, [&](std::size_t band) {
      auto scratch = scratch_.take([] { return std::make_unique<Scratch>(); });
      const std::size_t begin = band * rows_per_band;
      merge_rows(sources, rule, merged, begin, std::min(begin + rows_per_band, height), *scratch);
      scratch_.give(std::move(scratch));
    });
  }

 private:
  static constexpr std::size_t rows_per_band = 64;

  struct Scratch {
    std::vector<RowWarper<T>> warpers;
    AlignedBuffer<float> rows;
    std::vector<BlendedRow> merged;  // what counts in the aggregate
  };

  /// Rows [begin, end) of the template.
  template <class Template>
  static void merge_rows(const std::vector<MergeSource<T>>& sources, const MergeRule& rule,
                         const Template& merged, std::size_t begin, std::size_t end,
                         Scratch& scratch) {
    const std::size_t width = merged.extent().width;
    const std::size_t stride = (width + 15) / 16 * 16;
    scratch.rows.reserve((sources.size() + 1) * stride);
    float* spare = scratch.rows.data() + sources.size() * stride;
    begin_sources(sources, scratch);
    const bool is_mean = rule.aggregation == Aggregation::mean;
    const bool is_whole = is_mean && rule.values == WarpedValues::whole;
    std::size_t last = 0;
    if (std::is_same_v<Template, CodedTemplate> && merged.slots() > 1) {
      last = last_of_three(sources, rule);
    }
    const bool fills_at_once = last > 0;
    float offset = 0.0F;
    for (const MergeSource<T>& source : sources) {
      if (source.is_merged) offset += offset_of(source, rule);
    }
    for (std::size_t y = begin; y < end; ++y) {
      scratch.merged.clear();
      for (std::size_t i = 0; i < sources.size(); ++i) {
        const MergeSource<T>& source = sources[i];
        const BlendedRow row = blended_row(source, rule, scratch.warpers[i], y, width,
                                           scratch.rows.data() + i * stride, spare);
        if (source.is_merged) scratch.merged.push_back(row);
        if (fills_at_once || merged.slots() == 1) continue;
        const MergedRows alone{&row, 1, is_whole, offset_of(source, rule)};
        if (source.is_first) merged.store(first_slot, y, alone);
        if (source.is_last) merged.store(last_slot, y, alone);
      }
      if (!is_mean) keep_highest(scratch.merged, width, spare);
      const MergedRows all{scratch.merged.data(), scratch.merged.size(), is_whole, offset,
                           is_mean ? rule.factor : 1.0F};
      if constexpr (std::is_same_v<Template, CodedTemplate>) {
        if (fills_at_once) {
          std::swap(scratch.merged[1], scratch.merged[last]);
          merged.store_slots(y, all);
          continue;
        }
      }
      merged.store(aggregate_slot, y, all);
    }
  }

  /// Of three frames, the first of which fills the first slot, as most templates have: which of the
  /// others fills the last one. 0: the sources are not such.
  static std::size_t last_of_three(const std::vector<MergeSource<T>>& sources,
                                   const MergeRule& rule) {
    if (sources.size() != 3) return 0;
    for (const MergeSource<T>& source : sources) {
      const bool is_first = &source == &sources.front();
      if (!source.is_merged || !source.is_plain() || !stays_blended(source, rule) ||
          source.is_first != is_first) {
        return 0;
      }
    }
    if (sources[0].is_last || sources[1].is_last == sources[2].is_last) return 0;
    return sources[1].is_last ? 1 : 2;
  }

  /// The highest values become the only row.
  static void keep_highest(std::vector<BlendedRow>& rows, std::size_t width, float* highest) {
    std::vector<const float*> values;
    for (const BlendedRow& row : rows) values.push_back(row.upper);
    float_kernels().maximum(values.data(), values.size(), width, highest);
    rows.assign(1, {highest, highest, 0.0F, 1.0F});
  }

  /// Makes the warpers ready.
  static void begin_sources(const std::vector<MergeSource<T>>& sources, Scratch& scratch) {
    if (scratch.warpers.size() < sources.size()) scratch.warpers.resize(sources.size());
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (sources[i].count == 1) {
        scratch.warpers[i].begin(sources[i].planes[0], sources[i].translation, sources[i].zero());
      } else {
        scratch.warpers[i].begin(sources[i].planes, sources[i].translation, sources[i].zero());
      }
    }
  }

  /// True where rows count as they are blended from rows of the frame; else their values are made
  /// first.
  static bool stays_blended(const MergeSource<T>& source, const MergeRule& rule) {
    if (rule.aggregation != Aggregation::mean) return false;
    return rule.values == WarpedValues::by_type ||
           (rule.values == WarpedValues::whole && source.is_plain());
  }
  /// What values have beside those of their blended rows.
  static float offset_of(const MergeSource<T>& source, const MergeRule& rule) {
    return stays_blended(source, rule) ? source.offset() : 0.0F;
  }

  /// A row of a warped source. Values that have to be made are made in `row`, by way of `spare`.
  static BlendedRow blended_row(const MergeSource<T>& source, const MergeRule& rule,
                                RowWarper<T>& warper, std::size_t y, std::size_t width, float* row,
                                float* spare) {
    if (stays_blended(source, rule)) {
      const auto taps = warper.taps(y);
      const float* lower = taps.lower == nullptr ? taps.upper : taps.lower;
      return {taps.upper, lower, taps.weight, source.step()};
    }
    const bool is_whole = rule.values == WarpedValues::whole;
    if (source.is_plain()) {
      warper(y, row, is_whole ? PixelRounding::truncate : PixelRounding::none);
    } else {
      warper(y, spare);
      const BlendedRow unscaled{spare, spare, 0.0F, source.step()};
      float_kernels().merge({&unscaled, 1, false, source.offset()}, width, row);
      if (is_whole) float_kernels().truncate(row, width);
    }
    if (rule.values == WarpedValues::binary) {
      for (std::size_t x = 0; x < width; ++x) row[x] = row[x] == 0.0F ? 0.0F : 1.0F;
    }
    return {row, row, 0.0F, 1.0F};
  }

  Pool<std::unique_ptr<Scratch>> scratch_;
};

}  // namespace stillscope
