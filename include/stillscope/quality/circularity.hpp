// SPDX-License-Identifier: GPL-3.0-or-later
/// Whether a frame has a single, round peak of self-similarity, as a good frame has.
#pragma once

#include <cstddef>

#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope {

/// Circularity 4 pi area / perimeter^2 of the region in which the frame, zero-padded by `max_sh`
/// [px], resembles itself (normalised squared difference below 1), in [0, 1.3] or so; 0 where that
/// region is not one piece or has no perimeter. `scale`: what its pixels stand for. minian's
/// `check_temp`.
template <Pixel T>
[[nodiscard]] double circularity(const FrameView<const T>& frame, std::size_t max_sh,
                                 const PixelScale& scale = {});

}  // namespace stillscope
