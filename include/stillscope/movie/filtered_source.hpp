// SPDX-License-Identifier: GPL-3.0-or-later
/// Movies as an estimate looks at them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/archive.hpp"
#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/filter/frame_filter.hpp"
#include "stillscope/movie/movie_source.hpp"
#include "stillscope/quality/frame_flags.hpp"
#include "stillscope/quality/frame_watch.hpp"

namespace stillscope {

/// A part of every frame of another movie, without a copy.
template <Pixel T>
class RegionSource final : public MovieSource<T> {
 public:
  /// `region` lies in the movie's frames and is not empty. The movie must outlive the source.
  RegionSource(MovieSource<T>& movie, const Area& region) : movie_(movie), region_(region) {}

  [[nodiscard]] std::size_t size() const override { return movie_.size(); }
  [[nodiscard]] Extent extent() const override { return {region_.height(), region_.width()}; }
  [[nodiscard]] MovieView<const T> read(std::size_t begin, std::size_t end) override {
    return movie_.read(begin, end)
        .region(static_cast<std::size_t>(region_.top), static_cast<std::size_t>(region_.left),
                extent());
  }

 private:
  MovieSource<T>& movie_;
  Area region_;
};

/// A movie that is filtered as it is read.
class FilteredMovie : public MovieSource<float> {
 public:
  /// Of the frames that have been read, as they were before the filter.
  [[nodiscard]] virtual std::span<const FrameStatistics> statistics() const = 0;
  /// From now on, `pattern` (height, width) is taken away from filtered frames; nothing where it is
  /// empty.
  void remove(std::span<const float> pattern) { pattern_.assign(pattern.begin(), pattern.end()); }

  virtual void archive(ArchiveWriter& io) = 0;
  virtual void archive(ArchiveReader& io) = 0;

 protected:
  std::vector<float> pattern_;  // empty where there is none
};

/// Another movie, filtered. Frames without any finite pixel are 0 throughout.
template <Pixel T>
class FilteredSource final : public FilteredMovie {
 public:
  /// The movie and the executor must outlive the source.
  FilteredSource(MovieSource<T>& movie, const FilterSettings& settings, const Executor& executor)
      : movie_(movie), settings_(settings), executor_(executor), watch_(movie.size()) {}

  [[nodiscard]] std::size_t size() const override { return movie_.size(); }
  [[nodiscard]] Extent extent() const override { return movie_.extent(); }
  [[nodiscard]] std::span<const FrameStatistics> statistics() const override {
    return watch_.statistics();
  }
  [[nodiscard]] MovieView<const float> read(std::size_t begin, std::size_t end) override {
    const MovieView<const T> view = movie_.read(begin, end);
    const std::size_t area = extent().area();
    block_.reserve((end - begin) * area);
    watch_.look(view, 0, view.size(), begin, executor_);
    executor_.for_each(end - begin, [&](std::size_t i) {
      auto filter = pool_.take([&] { return std::make_unique<FrameFilter>(extent(), settings_); });
      const FrameStatistics& frame = statistics()[begin + i];
      const bool has_pattern = frame.has_finite && !pattern_.empty();
      (*filter)(view[i], frame.mean, has_pattern ? pattern_.data() : nullptr,
                block_.data() + i * area);
      pool_.give(std::move(filter));
    });
    return {block_.data(), end - begin, extent()};
  }
  void archive(ArchiveWriter& io) override { io(pattern_, watch_); }
  void archive(ArchiveReader& io) override { io(pattern_, watch_); }

 private:
  MovieSource<T>& movie_;
  FilterSettings settings_;
  const Executor& executor_;
  FrameWatch<T> watch_;
  AlignedBuffer<float> block_;
  Pool<std::unique_ptr<FrameFilter>> pool_;
};

}  // namespace stillscope
