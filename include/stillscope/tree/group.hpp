// SPDX-License-Identifier: GPL-3.0-or-later
/// One node of the tree: a few items registered to one another and merged into a template.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/register/make_registrar.hpp"
#include "stillscope/tree/template_merger.hpp"
#include "stillscope/tree/template_stack.hpp"

namespace stillscope {

/// An item of a group: a frame, or a template's slots first / aggregate / last.
template <Pixel T>
struct GroupItem {
  std::array<FrameView<const T>, 3> planes;
  std::size_t slots = 1;  ///< 1: `planes[aggregate_slot]` alone is used.
  bool is_empty = false;  ///< No finite pixel: no motion, no share in the template.
};

/// What was found about the items of a group.
struct GroupReport {
  std::size_t items = 0;
  std::size_t good = 0;      ///< Items that passed `circ_thres`; all where it is not set.
  std::size_t repaired = 0;  ///< Items with some non-finite pixels, replaced for the estimate.
  std::size_t dead = 0;      ///< Items without any finite pixel.

  friend bool operator==(const GroupReport&, const GroupReport&) = default;
};

/// What a group makes of its items.
struct GroupResult {
  TemplateStack merged;
  ShiftList motions;  ///< One an item, centred; NaN for items without a finite pixel.
  GroupReport report;
};

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

  /// `are_finite`: the items are known to be, as templates are. `values`:
  /// what warped pixels become. `take_buffer(size)` gives the template's memory.
  template <class TakeBuffer>
  GroupResult operator()(std::vector<GroupItem<T>> items, bool are_finite, WarpedValues values,
                         TakeBuffer&& take_buffer) {
    items_ = std::move(items);
    registrar_->clear();
    means_.assign(3 * items_.size(), std::nullopt);
    GroupResult result;
    result.report.items = items_.size();
    if constexpr (std::is_floating_point_v<T>) {
      if (!are_finite) replace_non_finite(result.report);
    }
    find_good(result.report);
    result.motions = centred_motions();
    if (!good_.empty()) {
      const std::size_t slots = settings_.has_slots() ? 3 : 1;
      result.merged = TemplateStack(take_buffer(slots * extent_.area()), slots, extent_);
      const auto sources = merge_sources(result.motions);
      merger_(sources, settings_.aggregation, values, result.merged);
      warps_ += sources.size();
    }
    return result;
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

  /// Non-finite pixels become the mean of the plane's finite ones, in a copy.
  void replace_non_finite(GroupReport& report) {
    repaired_.clear();
    for (GroupItem<T>& item : items_) {
      if (item.is_empty) continue;
      bool is_repaired = false;
      for (std::size_t slot = 0; slot < 3; ++slot) {
        if (!has_planes(item) && slot != aggregate_slot) continue;
        FrameView<const T>& plane = item.planes[slot];
        const FrameSummary summary = summarize(plane, gathered_);
        means_[key_of(static_cast<std::size_t>(&item - items_.data()), static_cast<Slot>(slot))] =
            summary.mean;
        if (summary.non_finite == 0) continue;
        if (slot == aggregate_slot && summary.non_finite == extent_.area()) item.is_empty = true;
        is_repaired = true;
        AlignedBuffer<T>& copy = repaired_.emplace_back(extent_.area());
        const FrameView<T> target(copy.data(), extent_);
        for (std::size_t y = 0; y < extent_.height; ++y) {
          for (std::size_t x = 0; x < extent_.width; ++x) {
            const T value = plane(y, x);
            target(y, x) = std::isfinite(value) ? value : static_cast<T>(summary.mean);
          }
        }
        plane = target;
      }
      if (item.is_empty) {
        ++report.dead;
      } else if (is_repaired) {
        ++report.repaired;
      }
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
          circularity(item.planes[aggregate_slot], settings_.max_sh) > *settings_.circ_thres) {
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

  ShiftList centred_motions() {
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
    const Shift shift = registrar_->shift_to_register(frame_ref(item, aggregate_slot),
                                                      frame_ref(reference, aggregate_slot));
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
        registrar_->shift_to_register(frame_ref(item, own), frame_ref(reference, other));
    registrar_->release(key_of(item, own));
    registrar_->release(key_of(reference, other));
    const Shift difference = shift - touching;
    const bool disagree =
        std::fabs(difference.height) > alt_error || std::fabs(difference.width) > alt_error;
    const auto size = [](const Shift& s) { return std::fabs(s.height) + std::fabs(s.width); };
    return disagree && size(shift) > size(touching) ? touching : shift;
  }

  static std::size_t key_of(std::size_t item, Slot slot) { return 3 * item + slot; }

  /// A plane with its mean, which is computed once.
  FrameRef<T> frame_ref(std::size_t item, Slot slot) {
    const FrameView<const T>& plane = items_[item].planes[slot];
    std::optional<double>& mean = means_[key_of(item, slot)];
    if (!mean) mean = summarize(plane, gathered_).mean;
    return {plane, *mean, key_of(item, slot)};
  }

  void release(std::size_t item) { registrar_->release(key_of(item, aggregate_slot)); }

  /// What becomes of the good items in the template.
  [[nodiscard]] std::vector<MergeSource<T>> merge_sources(const ShiftList& motions) const {
    std::vector<MergeSource<T>> sources;
    const std::size_t first = good_.front();
    for (const std::size_t i : good_) {
      const Translation translation(motions[i], extent_);
      const auto& planes = items_[i].planes;
      if (!has_planes(items_[i])) {
        sources.push_back({planes[aggregate_slot], translation, i == first, i == last_frame()});
        continue;
      }
      sources.push_back({planes[first_slot], translation, i == first, false});
      sources.push_back({planes[aggregate_slot], translation, false, false});
      sources.push_back({planes[last_slot], translation, false, i == good_.back()});
    }
    return sources;
  }

  /// The good frame that fills the last slot.
  [[nodiscard]] std::size_t last_frame() const {
    if (settings_.slot_last == SlotLast::last) return good_.back();
    return good_[std::min<std::size_t>(1, good_.size() - 1)];
  }

  ChunkSettings settings_;
  Extent extent_;
  std::unique_ptr<Registrar<T>> registrar_;
  TemplateMerger<T> merger_;
  std::vector<GroupItem<T>> items_;
  std::vector<AlignedBuffer<T>> repaired_;
  std::vector<std::optional<double>> means_;  // by key
  std::vector<std::size_t> live_;
  std::vector<std::size_t> good_;
  std::vector<T> gathered_;
  std::size_t warps_ = 0;
  std::size_t spared_ = 0;
};

}  // namespace stillscope
