// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/core/settings.hpp"

#include <cmath>

#include "stillscope/core/error.hpp"

namespace stillscope {

void ChunkSettings::validate() const {
  if (npart < 2) throw_invalid("npart", "at least 2", npart);
  if (alt_error && !(*alt_error >= 0.0)) {
    throw_invalid("alt_error", "none or a number of pixels not below 0", *alt_error);
  }
  if (circ_thres && std::isnan(*circ_thres)) {
    throw_invalid("circ_thres", "none or a number", *circ_thres);
  }
}

}  // namespace stillscope
