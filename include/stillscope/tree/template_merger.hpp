// SPDX-License-Identifier: GPL-3.0-or-later
/// Warping and merging in one pass.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
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

  /// Rows and their weights; room for two of each source.
  struct Weighted {
    std::vector<const float*> rows;
    std::vector<float> weights;
    std::size_t count = 0;
    float offset = 0.0F;

    void begin(std::size_t sources) {
      rows.resize(2 * sources);
      weights.resize(2 * sources);
    }
    void clear() {
      count = 0;
      offset = 0.0F;
    }
    void add(const float* row, float weight) {
      rows[count] = row;
      weights[count++] = weight;
    }
    void add(const Weighted& other) {
      for (std::size_t i = 0; i < other.count; ++i) add(other.rows[i], other.weights[i]);
      offset += other.offset;
    }
  };

  struct Scratch {
    std::vector<RowWarper<T>> warpers;
    std::vector<AlignedBuffer<T>> sums;  // of three planes
    AlignedBuffer<float> rows;
    Weighted merged;  // what counts in the aggregate
    Weighted alone;   // a single source
    std::vector<float> weights;
  };

  /// Rows [begin, end) of the template.
  template <class Template>
  static void merge_rows(const std::vector<MergeSource<T>>& sources, const MergeRule& rule,
                         const Template& merged, std::size_t begin, std::size_t end,
                         Scratch& scratch) {
    const std::size_t width = merged.extent().width;
    const std::size_t stride = (width + 15) / 16 * 16;
    scratch.rows.reserve((sources.size() + 1) * stride);
    scratch.merged.begin(sources.size());
    scratch.alone.begin(1);
    scratch.weights.resize(2 * sources.size());
    begin_sources(sources, begin, end, scratch);
    const auto store = [&](Slot slot, std::size_t y, const Weighted& sum, float factor) {
      merged.store(slot, y, {sum.rows.data(), sum.weights.data(), sum.count, sum.offset, factor},
                   scratch.weights.data());
    };
    for (std::size_t y = begin; y < end; ++y) {
      scratch.merged.clear();
      for (std::size_t i = 0; i < sources.size(); ++i) {
        const MergeSource<T>& source = sources[i];
        const bool fills_slot = merged.slots() > 1 && (source.is_first || source.is_last);
        float* row = scratch.rows.data() + i * stride;
        if (fills_slot) {
          scratch.alone.clear();
          add_row(source, rule, scratch.warpers[i], y, width, row, scratch.alone);
          if (source.is_first) store(first_slot, y, scratch.alone, 1.0F);
          if (source.is_last) store(last_slot, y, scratch.alone, 1.0F);
          if (source.is_merged) scratch.merged.add(scratch.alone);
        } else {
          add_row(source, rule, scratch.warpers[i], y, width, row, scratch.merged);
        }
      }
      if (rule.aggregation == Aggregation::max) {
        float* highest = scratch.rows.data() + sources.size() * stride;
        float_kernels().maximum(scratch.merged.rows.data(), scratch.merged.count, width, highest);
        scratch.merged.clear();
        scratch.merged.add(highest, 1.0F);
      }
      store(aggregate_slot, y, scratch.merged,
            rule.aggregation == Aggregation::max ? 1.0F : rule.factor);
    }
  }

  /// Makes the warpers ready for rows [begin, end) of the template.
  static void begin_sources(const std::vector<MergeSource<T>>& sources, std::size_t begin,
                            std::size_t end, Scratch& scratch) {
    if (scratch.warpers.size() < sources.size()) {
      scratch.warpers.resize(sources.size());
      scratch.sums.resize(sources.size());
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (sources[i].count == 1) {
        scratch.warpers[i].begin(sources[i].planes[0], sources[i].translation, sources[i].zero());
      } else {
        begin_sum(sources[i], begin, end, scratch.sums[i], scratch.warpers[i]);
      }
    }
  }

  /// Begins with the sum of a source's three planes, of as many rows as rows [begin, end) of the
  /// template need: added a plane's run of rows at a time, as memory likes it.
  static void begin_sum(const MergeSource<T>& source, std::size_t begin, std::size_t end,
                        AlignedBuffer<T>& sums, RowWarper<T>& warper) {
    const auto& [first, aggregate, last] = source.planes;
    const auto row_at = [&](std::size_t y) {
      const std::ptrdiff_t row = static_cast<std::ptrdiff_t>(y) + source.translation.rows().offset;
      return static_cast<std::size_t>(
          std::clamp<std::ptrdiff_t>(row, 0, static_cast<std::ptrdiff_t>(first.height())));
    };
    const std::size_t from = row_at(begin);
    const std::size_t to = row_at(end + 1);
    const std::size_t width = first.width();
    sums.reserve((to - from) * width);
    for (std::size_t y = from; y < to; ++y) {
      pixel_kernels<T>().add(first.row(y), aggregate.row(y), last.row(y), width,
                             sums.data() + (y - from) * width);
    }
    warper.begin({sums.data(), {to - from, width}}, source.translation.from_row(from),
                 source.zero());
  }

  /// Adds a row of a warped source to `sum`: as it is blended from rows of the frame where its mean
  /// is taken, else its values, made in `row`.
  static void add_row(const MergeSource<T>& source, const MergeRule& rule, RowWarper<T>& warper,
                      std::size_t y, std::size_t width, float* row, Weighted& sum) {
    const float step = source.step();
    if (rule.aggregation == Aggregation::mean && rule.values == WarpedValues::by_type) {
      const auto taps = warper.taps(y);
      sum.add(taps.upper, step * (1.0F - taps.weight));
      if (taps.lower != nullptr) sum.add(taps.lower, step * taps.weight);
      sum.offset += source.offset();
      return;
    }
    const bool is_whole = rule.values == WarpedValues::whole;
    if (source.is_plain()) {
      warper(y, row, is_whole ? PixelRounding::truncate : PixelRounding::none);
    } else {
      warper(y, row);
      float_kernels().weighted_sum({&row, &step, 1, source.offset(), 1.0F}, width, row);
      if (is_whole) float_kernels().truncate(row, width);
    }
    if (rule.values == WarpedValues::binary) {
      for (std::size_t x = 0; x < width; ++x) row[x] = row[x] == 0.0F ? 0.0F : 1.0F;
    }
    sum.add(row, 1.0F);
  }

  Pool<std::unique_ptr<Scratch>> scratch_;
};

}  // namespace stillscope
