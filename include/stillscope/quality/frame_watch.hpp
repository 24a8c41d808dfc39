// SPDX-License-Identifier: GPL-3.0-or-later
/// Statistics of a movie's frames as they are read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/quality/frame_flags.hpp"

namespace stillscope {

/// Looks at the frames of a movie, which come in runs from the front to the end.
template <Pixel T>
class FrameWatch {
 public:
  explicit FrameWatch(std::size_t frames) : statistics_(frames) {}

  /// Of the frames that have been looked at.
  [[nodiscard]] std::span<const FrameStatistics> statistics() const { return statistics_; }

  /// Looks at frames [first, last) of a run whose first frame is the movie's `begin`; they follow
  /// on the last ones. Those of a later reading are known.
  void look(const MovieView<const T>& run, std::size_t first, std::size_t last, std::size_t begin,
            const Executor& executor) {
    if (begin + last <= seen_) return;
    executor.for_each(last - first, [&](std::size_t i) {
      const std::size_t frame = first + i;
      FrameView<const T> before;
      if (frame > 0) before = run[frame - 1];
      if (frame == 0 && begin > 0) before = FrameView<const T>(last_.data(), run.extent());
      statistics_[begin + frame] =
          frame_statistics<T>(run[frame], begin + frame > 0 ? &before : nullptr);
    });
    seen_ = begin + last;
    // What follows may be another run.
    if (last == run.size()) keep(run[last - 1]);
  }

  template <class Archive>
  void archive(Archive& io) {
    io(statistics_, seen_, last_);
  }

 private:
  void keep(const FrameView<const T>& frame) {
    last_.reserve(frame.extent().area());
    for (std::size_t y = 0; y < frame.height(); ++y) {
      T* row = last_.data() + y * frame.width();
      if (frame.has_contiguous_rows()) {
        std::copy_n(frame.row(y), frame.width(), row);
      } else {
        for (std::size_t x = 0; x < frame.width(); ++x) row[x] = frame(y, x);
      }
    }
  }

  std::vector<FrameStatistics> statistics_;
  std::size_t seen_ = 0;
  AlignedBuffer<T> last_;  // of the frames that have been looked at
};

}  // namespace stillscope
