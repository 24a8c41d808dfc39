// SPDX-License-Identifier: GPL-3.0-or-later
/// Where every part of one image lies in another.
#pragma once

#include <cstddef>

#include "stillscope/core/view.hpp"

namespace stillscope {

/// Options of `optical_flow`.
struct FlowSettings {
  /// The flow is that of a window of this side round each pixel [px], odd.
  std::size_t window = 61;
  std::size_t iterations = 3;  ///< At each scale, at least 1.
  /// Both images are first halved this often, less often where a side would fall below 32 px: a
  /// flow of several px at the smallest scale is out of reach.
  std::size_t halvings = 2;
};

/// Dense optical flow by Farneback's method (OpenCV's `calcOpticalFlowFarneback`): what lies at
/// (y, x) of `reference` lies at (y + rows(y, x), x + columns(y, x)) of `frame` [px]. Both images
/// are finite, alike in brightness, and of a standard deviation of some tens: what is below 1 is
/// taken for flat. Throws `std::invalid_argument` where sizes differ, or an option is out of range.
void optical_flow(const FrameView<const float>& reference, const FrameView<const float>& frame,
                  const FrameView<float>& rows, const FrameView<float>& columns,
                  const FlowSettings& settings = {});

}  // namespace stillscope
