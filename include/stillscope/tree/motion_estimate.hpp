// SPDX-License-Identifier: GPL-3.0-or-later
/// The result of an estimate.
#pragma once

#include <cstddef>
#include <vector>

#include "stillscope/core/types.hpp"
#include "stillscope/tree/counts.hpp"
#include "stillscope/tree/group_item.hpp"
#include "stillscope/tree/template_stack.hpp"

namespace stillscope {

/// A group that a caller may want to warn about.
struct GroupNotice {
  std::size_t first_item = 0;  ///< Index of its first item in the input.
  GroupReport report;

  friend bool operator==(const GroupNotice&, const GroupNotice&) = default;
};

/// The motion of a movie, and the template that its frames were registered to.
struct MotionEstimate {
  /// One a frame [px]: the correction. NaN for a frame without any finite pixel.
  ShiftList shifts;
  /// Float32, with slots or without as the settings say; empty where no frame has a finite pixel.
  TemplateStack merged;
  TreeCounts counts;   ///< What was done.
  TreeCounts planned;  ///< What the plan says, were all frames good.
  /// Groups in which fewer than 90 % of the items passed `circ_thres`, in the order of the plan.
  std::vector<GroupNotice> few_good;
  std::size_t repaired = 0;  ///< Frames with non-finite pixels, replaced for the estimate.
  std::size_t dead = 0;      ///< Frames without any finite pixel.

  template <class Archive>
  void archive(Archive& io) {
    io(shifts, merged, counts, planned, few_good, repaired, dead);
  }
};

}  // namespace stillscope
