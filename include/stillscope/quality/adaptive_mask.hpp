// SPDX-License-Identifier: GPL-3.0-or-later
/// The pixels that stand out from their neighbourhood.
#pragma once

#include <cstdint>

#include "stillscope/core/view.hpp"

namespace stillscope {

/// mask = 1 where a pixel is above the mean of the `window` x `window` pixels round it plus
/// `threshold`, else 0 (OpenCV's adaptive mean threshold). Throws `std::invalid_argument` where
/// `window` is not odd and above 1, or where the sizes differ. minian's `get_mask`.
void adaptive_mask(const FrameView<const std::uint8_t>& frame, double threshold, int window,
                   const FrameView<std::uint8_t>& mask);

}  // namespace stillscope
