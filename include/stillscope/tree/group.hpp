// SPDX-License-Identifier: GPL-3.0-or-later
/// One node of the tree: a few items registered to one another and merged into a template.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/register/make_registrar.hpp"
#include "stillscope/tree/frame_copies.hpp"
#include "stillscope/tree/group_item.hpp"
#include "stillscope/tree/template_merger.hpp"
#include "stillscope/tree/template_stack.hpp"

namespace stillscope {

/// Registers and merges groups of frames of one size. Keeps its memory from group to group; one
/// object a thread.
template <Pixel T>
class Group {
 public:
  /// For groups of a movie of about `frames` frames.
  Group(Extent extent, const ChunkSettings& settings, std::size_t frames)
      : settings_(settings),
        extent_(extent),
        registrar_(make_registrar<T>(settings, extent, frames)) {}

  /// Registers the items. `executor` may share loops out, here and in `merge`.
  GroupMotions estimate(std::vector<GroupItem<T>> items, const Executor& executor) {
    items_ = std::move(items);
    executor_ = &executor;
    registrar_->clear();
    copies_.clear();
    frames_.assign(3 * items_.size(), std::nullopt);
    GroupMotions motions;
    motions.report.items = items_.size();
    make_contiguous();
    survey(motions.report);
    find_good(motions.report);
    motions.shifts = centred_shifts();
    return motions;
  }

  /// True where items are left that can be merged.
  [[nodiscard]] bool has_good() const { return !good_.empty(); }
  /// Between which values the pixels of the template will lie; the fill of 0 is one.
  [[nodiscard]] PixelRange template_range() const {
    PixelRange range;
    for (const std::size_t i : good_) range.include(*items_[i].range);
    return range;
  }
  /// Warps the good items by these shifts into `merged`, a TemplateStack or a CodedTemplate.
  /// `values`: what warped pixels become.
  template <class Template>
  void merge(const ShiftList& shifts, WarpedValues values, const Template& merged) {
    const std::size_t planes = list_sources(shifts, values);
    warps_ += sources_.size();
    merger_(sources_, {settings_.aggregation, values, 1.0F / static_cast<float>(planes)}, merged,
            *executor_);
  }

  [[nodiscard]] const RegistrarCounts& registrar_counts() const { return registrar_->counts(); }
  /// Frames warped so far.
  [[nodiscard]] std::size_t warps() const { return warps_; }
  /// Registrations through touching slots that could not have changed the answer, and were not
  /// made.
  [[nodiscard]] std::size_t spared() const { return spared_; }

 private:
  static constexpr Shift unknown{std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::quiet_NaN()};

  [[nodiscard]] bool has_planes(const GroupItem<T>& item) const { return item.slots == 3; }

  /// Calls `visit(slot, plane)` for the planes of an item, the aggregate first.
  template <class Visit>
  void for_each_plane(std::size_t i, Visit&& visit) {
    for (const Slot slot : {aggregate_slot, first_slot, last_slot}) {
      if (slot == aggregate_slot || has_planes(items_[i])) visit(slot, items_[i].planes[slot]);
    }
  }

  /// Kernels want contiguous rows: planes that have none are copied.
  void make_contiguous() {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].is_empty) continue;
      for_each_plane(i, [&](Slot, FrameView<const T>& plane) {
        if (!plane.has_contiguous_rows()) plane = copies_.contiguous(plane);
      });
    }
  }

  /// Learns the ranges of items that are not templates; mends these.
  void survey(GroupReport& report) {
    for (std::size_t i = 0; i < items_.size(); ++i) {
      GroupItem<T>& item = items_[i];
      if (item.is_empty || item.range) continue;
      bool is_mended = false;
      for_each_plane(i, [&](Slot slot, FrameView<const T>& plane) {
        const PixelRange range = mended(i, slot, plane, is_mended);
        if (!item.range) item.range = range;
        item.range->include(range);
      });
      if (item.is_empty) {
        ++report.dead;
      } else if (is_mended) {
        ++report.repaired;
      }
    }
  }

  /// The range of a plane, whose non-finite pixels become the mean of the finite ones, in a copy.
  PixelRange mended(std::size_t i, Slot slot, FrameView<const T>& plane, bool& is_mended) {
    if constexpr (std::is_integral_v<T>) {
      return frame(i, slot).range;
    } else {
      if (slot == aggregate_slot) {
        if (const auto range = registrar_->prepare(frame(i, slot))) return *range;
      }
      const FrameSummary summary = summarize(plane);
      if (summary.non_finite > 0) {
        is_mended = true;
        if (slot == aggregate_slot) items_[i].is_empty = summary.non_finite == extent_.area();
        plane = copies_.finite(plane, static_cast<T>(summary.mean));
        frames_[key_of(i, slot)].reset();
      }
      return summary.range;
    }
  }

  /// Fills `good_`, the indices of the items that may be templates.
  void find_good(GroupReport& report) {
    live_.clear();
    good_.clear();
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const GroupItem<T>& item = items_[i];
      if (item.is_empty) continue;
      live_.push_back(i);
      // An item by itself is its own template, good or not.
      if (!settings_.circ_thres || has_planes(item) || items_.size() == 1 ||
          circularity(item.planes[aggregate_slot], settings_.max_sh, item.scale) >
              *settings_.circ_thres) {
        good_.push_back(i);
      }
    }
    report.good = good_.size();
    if (good_.empty()) good_ = live_;
  }

  /// The good item nearest to n / 2, the first of two.
  [[nodiscard]] std::size_t middle() const {
    const double centre = 0.5 * static_cast<double>(items_.size());
    return *std::min_element(good_.begin(), good_.end(), [&](std::size_t a, std::size_t b) {
      return std::fabs(static_cast<double>(a) - centre) <
             std::fabs(static_cast<double>(b) - centre);
    });
  }

  ShiftList centred_shifts() {
    ShiftList motions(items_.size(), unknown);
    if (good_.empty()) return motions;
    const std::size_t mid = middle();
    motions[mid] = {};
    register_outwards(mid, +1, motions);
    register_outwards(mid, -1, motions);
    registrar_->clear();
    Shift sum;
    for (const std::size_t i : live_) sum += motions[i];
    const auto n = static_cast<double>(live_.size());
    for (const std::size_t i : live_) {
      motions[i].height -= sum.height / n;
      motions[i].width -= sum.width / n;
    }
    return motions;
  }

  /// From the middle outwards: each item to the nearest good one further in, whose motion it adds
  /// to its own. Bad items pass nothing on.
  void register_outwards(std::size_t mid, int step, ShiftList& motions) {
    std::size_t reference = mid;
    for (std::size_t i = mid + static_cast<std::size_t>(step); i < items_.size();
         i += static_cast<std::size_t>(step)) {  // below 0 wraps beyond the end
      if (items_[i].is_empty) continue;
      motions[i] = motions[reference] + shift_between(i, reference, step);
      if (std::binary_search(good_.begin(), good_.end(), i)) {
        if (reference != mid) release(reference);
        reference = i;
      } else {
        release(i);
      }
    }
    if (reference != mid) release(reference);
  }

  /// Aggregate to aggregate; where templates touch and the two answers disagree, the smaller. Eq.
  /// (6).
  Shift shift_between(std::size_t item, std::size_t reference, int step) {
    const Shift shift = registrar_->shift_to_register(frame(item, aggregate_slot),
                                                      frame(reference, aggregate_slot), *executor_);
    if (!settings_.has_slots() || !has_planes(items_[item])) return shift;
    const double alt_error = *settings_.alt_error;
    // The touching answer counts only where it is the smaller and further than alt_error away on an
    // axis; on axis a that is at most |a| + (|a| + |b|) away. Closer than that, it need not be
    // asked.
    const double height = std::fabs(shift.height);
    const double width = std::fabs(shift.width);
    if (height + width + std::max(height, width) <= alt_error) {
      ++spared_;
      return shift;
    }
    // The item lies after its reference (step > 0), or before it.
    const Slot own = step > 0 ? first_slot : last_slot;
    const Slot other = step > 0 ? last_slot : first_slot;
    const Shift touching =
        registrar_->shift_to_register(frame(item, own), frame(reference, other), *executor_);
    registrar_->release(key_of(item, own));
    registrar_->release(key_of(reference, other));
    const Shift difference = shift - touching;
    const bool disagree =
        std::fabs(difference.height) > alt_error || std::fabs(difference.width) > alt_error;
    const auto size = [](const Shift& s) { return std::fabs(s.height) + std::fabs(s.width); };
    return disagree && size(shift) > size(touching) ? touching : shift;
  }

  static std::size_t key_of(std::size_t item, Slot slot) { return 3 * item + slot; }

  /// A plane as the registrar takes it.
  const FrameRef<T>& frame(std::size_t item, Slot slot) {
    std::optional<FrameRef<T>>& entry = frames_[key_of(item, slot)];
    if (!entry) {
      entry = make_frame_ref(items_[item].planes[slot], key_of(item, slot), items_[item].pixels);
    }
    return *entry;
  }

  void release(std::size_t item) { registrar_->release(key_of(item, aggregate_slot)); }

  /// Fills `sources_` with what becomes of the good items; how many planes count in the aggregate.
  std::size_t list_sources(const ShiftList& shifts, WarpedValues values) {
    // Where warping commutes with adding, the mean over items and slots is that of the warped sums
    // of each item's slots.
    const bool is_linear =
        settings_.aggregation == Aggregation::mean && values == WarpedValues::by_type;
    std::size_t planes = 0;
    sources_.clear();
    for (const std::size_t i : good_) {
      const GroupItem<T>& item = items_[i];
      const Translation translation(shifts[i], extent_);
      const auto add = [&](std::initializer_list<Slot> slots, bool is_first, bool is_last,
                           bool is_merged) {
        MergeSource<T> source{{},       slots.size(), item.scale, translation,
                              is_first, is_last,      is_merged};
        std::transform(slots.begin(), slots.end(), source.planes.begin(),
                       [&](Slot slot) { return item.planes[slot]; });
        sources_.push_back(source);
      };
      const bool is_first = i == good_.front();
      const bool is_last = i == good_.back();
      planes += item.slots;
      if (!has_planes(item)) {
        add({aggregate_slot}, is_first, i == last_frame(), true);
      } else if (is_linear) {
        add({first_slot, aggregate_slot, last_slot}, false, false, true);
        if (settings_.has_slots() && is_first) add({first_slot}, true, false, false);
        if (settings_.has_slots() && is_last) add({last_slot}, false, true, false);
      } else {
        add({first_slot}, is_first, false, true);
        add({aggregate_slot}, false, false, true);
        add({last_slot}, false, is_last, true);
      }
    }
    return planes;
  }

  /// The good frame that fills the last slot.
  [[nodiscard]] std::size_t last_frame() const {
    if (settings_.slot_last == SlotLast::last) return good_.back();
    return good_[std::min<std::size_t>(1, good_.size() - 1)];
  }

  ChunkSettings settings_;
  Extent extent_;
  const Executor* executor_ = nullptr;
  std::unique_ptr<Registrar<T>> registrar_;
  TemplateMerger<T> merger_;
  FrameCopies<T> copies_;
  std::vector<GroupItem<T>> items_;
  std::vector<std::optional<FrameRef<T>>> frames_;  // by key
  std::vector<std::size_t> live_;
  std::vector<std::size_t> good_;
  std::vector<MergeSource<T>> sources_;
  std::size_t warps_ = 0;
  std::size_t spared_ = 0;
};

}  // namespace stillscope
