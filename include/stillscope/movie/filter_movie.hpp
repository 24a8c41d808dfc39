// SPDX-License-Identifier: GPL-3.0-or-later
/// A movie as an estimate looks at it.
#pragma once

#include <memory>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/filter/frame_filter.hpp"
#include "stillscope/quality/frame_flags.hpp"

namespace stillscope {

/// out = the region of `movie`, filtered (frame, height, width), C order; `pattern` (height,
/// width), C order, is taken away at last, or null. What is not finite counts as the frame's finite
/// mean; a frame without any finite pixel is 0 throughout. The options are valid.
template <Pixel T>
void filter_movie(const MovieView<const T>& movie, const FilterSettings& settings,
                  const float* pattern, float* out, const Executor& executor = *make_executor()) {
  const Area region = settings.region.value_or(Area::of(movie.extent()));
  const Extent part{region.height(), region.width()};
  const MovieView<const T> view = movie.region(static_cast<std::size_t>(region.top),
                                               static_cast<std::size_t>(region.left), part);
  Pool<std::unique_ptr<FrameFilter>> pool;
  executor.for_each(view.size(), [&](std::size_t i) {
    const FrameStatistics frame = frame_statistics<T>(view[i], nullptr);
    auto filter = pool.take([&] { return std::make_unique<FrameFilter>(part, settings); });
    (*filter)(view[i], frame.mean, frame.has_finite ? pattern : nullptr, out + i * part.area());
    pool.give(std::move(filter));
  });
}

}  // namespace stillscope
