// SPDX-License-Identifier: GPL-3.0-or-later
/// The applier, instantiated for every pixel type.
#include "stillscope/movie/apply_motion.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apply_checks.hpp"
#include "stillscope/core/error.hpp"
#include "stillscope/warp/cubic_translation.hpp"

namespace stillscope {
namespace {

/// Warps frames one after the other; one object a thread.
template <Pixel T>
class FrameWarper {
 public:
  void operator()(const FrameView<const T>& frame, const Shift& shift, const FrameView<T>& out,
                  const ApplySettings& settings, RowStores stores) {
    const Translation translation(shift, frame.extent(), settings.grid);
    const auto fill = static_cast<float>(settings.fill);
    if (settings.interpolation == Interpolation::cubic) {
      cubic_.begin(frame, translation, fill, settings.border);
      write(cubic_, frame.extent(), out, settings, stores);
    } else {
      linear_.begin(frame, translation, fill, settings.border);
      write(linear_, frame.extent(), out, settings, stores);
    }
  }

 private:
  template <class Warper>
  void write(Warper& warper, Extent extent, const FrameView<T>& out, const ApplySettings& settings,
             RowStores stores) {
    const PixelRounding rounding = pixel_rounding<T>(settings.rounding);
    const bool in_place = out.has_contiguous_rows();
    if (!in_place) {
      pixels_.resize(extent.width);
      stores = RowStores::cached;
    }
    for (std::size_t y = 0; y < extent.height; ++y) {
      warper(y, in_place ? out.row(y) : pixels_.data(), rounding, stores);
      if (in_place) continue;
      for (std::size_t x = 0; x < extent.width; ++x) out(y, x) = pixels_[x];
    }
    float_kernels().finish_streams();
  }

  RowWarper<T> linear_;
  CubicRowWarper<T> cubic_;
  std::vector<T> pixels_;
};

}  // namespace

template <Pixel T>
void apply_motion(const MovieView<const T>& movie, std::span<const Shift> shifts,
                  const MovieView<T>& out, const ApplySettings& settings,
                  const Executor& executor) {
  if (shifts.size() != movie.size()) {
    throw_invalid("shifts", std::to_string(movie.size()) + " shifts, one a frame", shifts.size());
  }
  check_out(movie, out);
  check_fill<T>(settings.fill);
  check_binning(settings.binning);
  const RowStores stores = row_stores(out);
  Pool<std::unique_ptr<FrameWarper<T>>> pool;
  executor.for_each(movie.size(), [&](std::size_t i) {
    auto warper = pool.take([] { return std::make_unique<FrameWarper<T>>(); });
    const Shift shift{shifts[i].height / settings.binning.height,
                      shifts[i].width / settings.binning.width};
    (*warper)(movie[i], shift, out[i], settings, stores);
    pool.give(std::move(warper));
  });
}

#define STILLSCOPE_INSTANTIATE(T)                                               \
  template void apply_motion(const MovieView<const T>&, std::span<const Shift>, \
                             const MovieView<T>&, const ApplySettings&, const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
