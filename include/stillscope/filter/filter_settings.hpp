// SPDX-License-Identifier: GPL-3.0-or-later
/// What of a movie an estimate looks at.
#pragma once

#include <optional>

#include "stillscope/core/types.hpp"
#include "stillscope/refine/area.hpp"

namespace stillscope {

/// Widest Gaussian of any option [px]: beyond any scene; a wider one would only take longer.
inline constexpr double widest_gaussian = 1000.0;

/// Options of the filter that frames pass before an estimate looks at them. What is corrected is
/// the movie as it is.
struct FilterSettings {
  /// Standard deviation [px] of the Gaussian that takes away noise; 0: none.
  double smooth = 0.0;
  /// Standard deviation [px] of the Gaussian whose blur is taken away, with the glow and vignettes
  /// in it; 0: none.
  double background = 0.0;
  /// Whether what stays on the sensor (dust, stripes, the rest of a vignette) is told apart from
  /// the scene that moves, and taken away.
  bool fixed_pattern = false;
  /// The part of the frames that is looked at; all where there is none.
  std::optional<Area> region = std::nullopt;

  /// Whether frames are changed at all.
  [[nodiscard]] bool is_active() const { return smooth > 0.0 || background > 0.0 || fixed_pattern; }
  /// Throws `std::invalid_argument` naming the first option that is out of range.
  void validate(Extent extent) const;
};

}  // namespace stillscope
