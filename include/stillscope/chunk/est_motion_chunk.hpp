// SPDX-License-Identifier: GPL-3.0-or-later
/// The kernel of the estimate: one chunk of frames, or one stack of templates, to its template and
/// shifts. docs/algorithm.md describes the method.
#pragma once

#include <span>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/tree/motion_estimate.hpp"

namespace stillscope {

/// Estimates the motion of a chunk of frames (frame, height, width).
///
/// `incoming`: for each frame the shifts [px] that its motion is added to (any number, all
/// returned, flat); empty: one shift of zero a frame. Throws `std::invalid_argument` where the
/// chunk has no frame or no pixel, where `incoming` is not empty and not one list a frame, or where
/// an option of `settings` is out of range. The result does not depend on the executor.
template <Pixel T>
[[nodiscard]] MotionEstimate est_motion_chunk(const MovieView<const T>& frames,
                                              const ChunkSettings& settings = {},
                                              const Executor& executor = SerialExecutor(),
                                              std::span<const ShiftList> incoming = {});

/// The same for a stack of templates (node, slot, height, width), whose slots 1 are registered.
template <Pixel T>
[[nodiscard]] MotionEstimate est_motion_chunk(const StackView<const T>& templates,
                                              const ChunkSettings& settings = {},
                                              const Executor& executor = SerialExecutor(),
                                              std::span<const ShiftList> incoming = {});

}  // namespace stillscope
