// SPDX-License-Identifier: GPL-3.0-or-later
/// The applier of deformations, instantiated for every pixel type.
#include "stillscope/movie/apply_deformation.hpp"

#include <cmath>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "apply_checks.hpp"
#include "stillscope/core/error.hpp"

namespace stillscope {

template <Pixel T>
void apply_deformation(const MovieView<const T>& movie, const ControlGrid& grid,
                       std::span<const double> coefficients, const MovieView<T>& out,
                       const DeformSettings& settings, const Executor& executor) {
  for (const GridAxis& axis : {grid.height, grid.width}) {
    if (!(axis.spacing > 0.0 && std::isfinite(axis.spacing) && std::isfinite(axis.origin))) {
      throw_invalid("grid", "a finite origin and a finite spacing above 0", axis.spacing);
    }
  }
  const std::size_t size = grid.coefficients();
  if (coefficients.size() != movie.size() * size) {
    throw_invalid("coefficients",
                  std::to_string(size) + " for each of " + std::to_string(movie.size()) + " frames",
                  coefficients.size());
  }
  check_out(movie, out);
  check_fill<T>(settings.fill);
  check_binning(settings.binning);
  const PixelRounding rounding = pixel_rounding<T>(settings.rounding);
  const RowStores stores = row_stores(out);
  Pool<std::unique_ptr<SplineWarper>> pool;
  executor.for_each(movie.size(), [&](std::size_t i) {
    auto warper = pool.take([&] {
      return std::make_unique<SplineWarper>(grid, movie.extent(), settings.binning.height,
                                            settings.binning.width);
    });
    (*warper)(movie[i], coefficients.subspan(i * size, size), out[i],
              settings.interpolation == Interpolation::cubic, settings.border,
              static_cast<float>(settings.fill), rounding, stores);
    pool.give(std::move(warper));
  });
}

#define STILLSCOPE_INSTANTIATE(T)                                                \
  template void apply_deformation(const MovieView<const T>&, const ControlGrid&, \
                                  std::span<const double>, const MovieView<T>&,  \
                                  const DeformSettings&, const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
