// SPDX-License-Identifier: GPL-3.0-or-later
/// Merges the results of consecutive chunks as they come.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/core/buffer.hpp"

namespace stillscope {

/// The upper part of `plan_tree`'s tree: consecutive groups of `npart` results become one, as soon
/// as they are there, so that at most npart - 1 templates a level wait, however long the movie is.
class ChunkMerger {
 public:
  /// `settings`: of templates, which have a float type.
  ChunkMerger(const ChunkSettings& settings, Extent extent, const Executor& executor)
      : settings_(settings), extent_(extent), executor_(executor) {}

  /// Takes the next chunk's result, whose first frame is `first_frame`.
  void add(MotionEstimate chunk, std::size_t first_frame) {
    for (GroupNotice& notice : chunk.few_good) {
      notice.first_item += first_frame;
      few_good_.push_back(notice);
    }
    repaired_ += chunk.repaired;
    dead_ += chunk.dead;
    counts_.add(chunk.counts, false);
    planned_.add(chunk.planned, false);
    place(0, std::move(chunk));
  }

  /// The result of all chunks, of which there was at least one.
  MotionEstimate finish() {
    std::size_t level = 0;
    for (; placed_[level] > 1; ++level) {
      if (!waiting_[level].empty()) merge(level);
    }
    MotionEstimate all = std::move(waiting_[level].front());
    all.counts = std::move(counts_);
    all.planned = std::move(planned_);
    all.few_good = std::move(few_good_);
    all.repaired = repaired_;
    all.dead = dead_;
    return all;
  }

  template <class Archive>
  void archive(Archive& io) {
    io(waiting_, placed_, counts_, planned_, few_good_, repaired_, dead_);
  }

 private:
  void place(std::size_t level, MotionEstimate result) {
    if (waiting_.size() <= level) {
      waiting_.resize(level + 1);
      placed_.resize(level + 1);
    }
    waiting_[level].push_back(std::move(result));
    ++placed_[level];
    if (waiting_[level].size() == settings_.npart) merge(level);
  }

  void merge(std::size_t level) {
    const std::vector<MotionEstimate> parts = std::exchange(waiting_[level], {});
    const std::size_t slots = settings_.has_slots() ? 3 : 1;
    const std::size_t size = slots * extent_.area();
    AlignedBuffer<float> stack(parts.size() * size);
    std::vector<ShiftList> shifts;
    executor_.for_each(parts.size(), [&](std::size_t i) {
      float* to = stack.data() + i * size;
      if (parts[i].merged.is_empty()) {
        std::fill_n(to, size, std::numeric_limits<float>::quiet_NaN());
      } else {
        std::copy_n(parts[i].merged[first_slot].data(), size, to);
      }
    });
    for (const MotionEstimate& part : parts) shifts.push_back(part.shifts);
    MotionEstimate merged =
        slots == 3
            ? est_motion_chunk<float>(StackView<const float>(stack.data(), parts.size(), extent_),
                                      settings_, executor_, shifts)
            : est_motion_chunk<float>(MovieView<const float>(stack.data(), parts.size(), extent_),
                                      settings_, executor_, shifts);
    counts_.add(merged.counts, true);
    planned_.add(merged.planned, true);
    place(level + 1, std::move(merged));
  }

  ChunkSettings settings_;
  Extent extent_;
  const Executor& executor_;
  std::vector<std::vector<MotionEstimate>> waiting_;  // by level
  std::vector<std::size_t> placed_;                   // results that reached a level
  TreeCounts counts_;
  TreeCounts planned_;
  std::vector<GroupNotice> few_good_;
  std::size_t repaired_ = 0;
  std::size_t dead_ = 0;
};

}  // namespace stillscope
