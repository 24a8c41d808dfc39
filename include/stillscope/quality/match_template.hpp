// SPDX-License-Identifier: GPL-3.0-or-later
/// Registration of two images by normalised correlation within a limit.
#pragma once

#include <cstddef>

#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope {

/// Which peak `match_template` takes.
struct MatchSettings {
  /// The largest shift looked for [px].
  std::size_t max_sh = 100;
  /// The local maximum (of 3x3) nearest to no shift, rather than the highest one.
  bool local = false;
  /// Refine each axis by the vertex of a quadratic through up to 5 samples on each side, by least
  /// squares.
  bool subpixel = false;
};

/// The shift [px] that brings `dst` onto `src` (the reverse of the registrars, as in minian), from
/// the correlation coefficient of `src` in `dst`, zero-padded by `max_sh` (OpenCV's
/// TM_CCOEFF_NORMED); no shift where it is the same everywhere. Throws `std::invalid_argument`
/// where `src` does not fit into the padded `dst`. minian's `match_temp`.
[[nodiscard]] Shift match_template(const FrameView<const float>& src,
                                   const FrameView<const float>& dst,
                                   const MatchSettings& settings);

}  // namespace stillscope
