// SPDX-License-Identifier: GPL-3.0-or-later
/// The motion that is left in a movie, by another method than that of the estimate.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/movie/movie_source.hpp"

namespace stillscope {

/// Options of `residual_motion`.
struct ResidualSettings {
  /// Side of the squares of pixels [px] whose means the flow is computed on; 0: the largest that
  /// leaves 112 of them on the shorter side, or 1.
  std::size_t binning = 0;
  /// What the frames are compared with: (height, width), not finite where it is not known. Without
  /// pixels: the mean of the movie's moved frames, where at least half of them lie.
  FrameView<const float> reference = {};

  /// The least side of what is compared [binned px].
  static constexpr std::size_t least_side = 16;

  /// Side of the squares for frames of this size.
  [[nodiscard]] std::size_t binning_of(Extent extent) const;
  /// Throws `std::invalid_argument` naming the first option that does not suit frames of this size.
  void validate(Extent extent) const;
};

/// Root mean square length of the optical flow [px of the movie] from the template to each frame,
/// which is first moved bilinearly by its shift; `shifts`: one a frame, or nothing for frames as
/// they are. Frame and template are binned, cropped to the rectangle on which both lie, and brought
/// to the same mean and standard deviation; pixels that are not finite do not count. For a frame
/// that is the template moved by d it is |d|. NaN where a frame has no shift or no contrast, or
/// shares less than `least_side` binned px on an axis with the template.
///
/// Reads the movie once, and once more before where there is no template; holds a few frames a
/// thread. The result depends neither on the executor nor on how the source keeps its frames.
/// Throws `std::invalid_argument` where the movie has no frame, `shifts` has another length, or an
/// option is out of range.
template <Pixel T>
[[nodiscard]] std::vector<double> residual_motion(MovieSource<T>& movie,
                                                  std::span<const Shift> shifts = {},
                                                  const ResidualSettings& settings = {},
                                                  const Executor& executor = *make_executor());
/// The same for a movie in memory.
template <Pixel T>
[[nodiscard]] std::vector<double> residual_motion(const MovieView<const T>& movie,
                                                  std::span<const Shift> shifts = {},
                                                  const ResidualSettings& settings = {},
                                                  const Executor& executor = *make_executor());

}  // namespace stillscope
