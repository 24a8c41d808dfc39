// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/filter/filter_settings.hpp"

#include <string>

#include "stillscope/core/error.hpp"

namespace stillscope {

void FilterSettings::validate(Extent extent) const {
  const auto is_width = [](double sigma) { return sigma >= 0.0 && sigma <= widest_gaussian; };
  if (!is_width(smooth)) throw_invalid("smooth", "from 0 to 1000 px", smooth);
  if (!is_width(background)) throw_invalid("background", "from 0 to 1000 px", background);
  if (background > 0.0 && background <= smooth) {
    throw_invalid("background", "more than smooth, " + std::to_string(smooth) + " px", background);
  }
  if (region && (region->is_empty() || (*region & Area::of(extent)) != *region)) {
    throw_invalid("region", "a part with pixels of frames of " + to_string(extent),
                  "rows " + std::to_string(region->top) + " to " + std::to_string(region->bottom) +
                      ", columns " + std::to_string(region->left) + " to " +
                      std::to_string(region->right));
  }
}

}  // namespace stillscope
