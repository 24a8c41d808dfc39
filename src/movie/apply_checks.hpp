// SPDX-License-Identifier: GPL-3.0-or-later
/// What all appliers refuse.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

#include "stillscope/core/error.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/movie/apply_motion.hpp"

namespace stillscope {

template <Pixel T>
void check_fill(double fill) {
  if constexpr (std::is_integral_v<T>) {
    const auto lowest = static_cast<double>(std::numeric_limits<T>::lowest());
    const auto highest = static_cast<double>(std::numeric_limits<T>::max());
    if (!(fill >= lowest && fill <= highest)) {
      throw_invalid("fill",
                    "a number from " + std::to_string(std::numeric_limits<T>::lowest()) + " to " +
                        std::to_string(std::numeric_limits<T>::max()) + " for this integer movie",
                    fill);
    }
  }
}

inline void check_binning(const PixelSize& binning) {
  for (const double side : {binning.height, binning.width}) {
    if (!(side > 0.0 && std::isfinite(side))) {
      throw_invalid("binning", "finite numbers above 0", side);
    }
  }
}

template <Pixel T>
void check_out(const MovieView<const T>& movie, const MovieView<T>& out) {
  if (out.size() != movie.size() || out.extent() != movie.extent()) {
    throw_invalid("out", std::to_string(movie.size()) + " frames of " + to_string(movie.extent()),
                  std::to_string(out.size()) + " frames of " + to_string(out.extent()));
  }
}

/// A movie of floats that is large beside the caches is stored past them: a third less time
/// (measured for 480x752 float32), and nobody loses what they held.
template <Pixel T>
RowStores row_stores(const MovieView<T>& out) {
  constexpr std::size_t cached = std::size_t{8} << 20;  // [bytes]
  const std::size_t bytes = out.size() * out.extent().area() * sizeof(T);
  return bytes > cached ? RowStores::streamed : RowStores::cached;
}

/// How values become pixels of type T.
template <Pixel T>
PixelRounding pixel_rounding(Rounding rounding) {
  if (std::is_floating_point_v<T>) return PixelRounding::none;
  return rounding == Rounding::nearest ? PixelRounding::nearest : PixelRounding::truncate;
}

}  // namespace stillscope
