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

  /// Looks at frames from `begin` on, which follow on the last ones; those of a later reading are
  /// known.
  void look(const MovieView<const T>& frames, std::size_t begin, const Executor& executor) {
    const std::size_t end = begin + frames.size();
    if (end <= seen_) return;
    executor.for_each(frames.size(), [&](std::size_t i) {
      FrameView<const T> before;
      if (i > 0) before = frames[i - 1];
      if (i == 0 && begin > 0) before = FrameView<const T>(last_.data(), frames.extent());
      statistics_[begin + i] = frame_statistics<T>(frames[i], begin + i > 0 ? &before : nullptr);
    });
    keep(frames[frames.size() - 1]);
    seen_ = end;
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
