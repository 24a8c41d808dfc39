// SPDX-License-Identifier: GPL-3.0-or-later
/// The motion of a movie in memory.
#pragma once

#include <cstddef>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/tree/motion_estimate.hpp"

namespace stillscope {

/// Options of `estimate_motion`.
struct EstimateSettings {
  /// Here the last frame of a group stands for its end; minian 2.0.2 takes the second.
  ChunkSettings tree = {.slot_last = SlotLast::last};
  /// Frames a chunk; 0: the whole movie is one. As in minian, shifts depend on it.
  std::size_t chunk = 0;
};

/// Estimates the motion of every frame of `movie` (frame, height, width). Throws
/// `std::invalid_argument` where the movie has no frame or no pixel, or where an option is out of
/// range. The result does not depend on the executor.
template <Pixel T>
[[nodiscard]] MotionEstimate estimate_motion(const MovieView<const T>& movie,
                                             const EstimateSettings& settings = {},
                                             const Executor& executor = *make_executor());

}  // namespace stillscope
