// SPDX-License-Identifier: GPL-3.0-or-later
/// The estimate and the applier, instantiated for every pixel type.
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/tree/reduction.hpp"

namespace stillscope {
namespace {

void check_input(std::string_view name, std::size_t items, Extent extent) {
  if (items == 0) throw_invalid(name, "at least one frame", "none");
  if (extent.area() == 0) throw_invalid(name, "frames with pixels", to_string(extent));
}

template <Pixel T, class Input>
MotionEstimate reduce(const Input& input, std::size_t chunk, const ChunkSettings& settings,
                      const Executor& executor, std::span<const ShiftList> incoming) {
  settings.validate();
  if (!incoming.empty() && incoming.size() != input.size()) {
    throw_invalid("incoming", std::to_string(input.size()) + " lists of shifts, one an item",
                  incoming.size());
  }
  const TreePlan plan = plan_tree(input.size(), chunk, settings.npart);
  return TreeReducer<T, Input>(input, plan, settings, incoming)(executor);
}

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

/// Warps frames one after the other; one object a thread.
template <Pixel T>
class FrameWarper {
 public:
  void operator()(const FrameView<const T>& frame, const Shift& shift, const FrameView<T>& out,
                  const ApplySettings& settings) {
    warper_.begin(frame, Translation(shift, frame.extent(), settings.grid),
                  static_cast<float>(settings.fill));
    const PixelRounding rounding = std::is_floating_point_v<T> ? PixelRounding::none
                                   : settings.rounding == Rounding::nearest
                                       ? PixelRounding::nearest
                                       : PixelRounding::truncate;
    const bool in_place = out.has_contiguous_rows();
    if (!in_place) pixels_.resize(frame.width());
    for (std::size_t y = 0; y < frame.height(); ++y) {
      warper_(y, in_place ? out.row(y) : pixels_.data(), rounding);
      if (in_place) continue;
      for (std::size_t x = 0; x < frame.width(); ++x) out(y, x) = pixels_[x];
    }
  }

 private:
  RowWarper<T> warper_;
  std::vector<T> pixels_;
};

}  // namespace

template <Pixel T>
MotionEstimate est_motion_chunk(const MovieView<const T>& frames, const ChunkSettings& settings,
                                const Executor& executor, std::span<const ShiftList> incoming) {
  check_input("frames", frames.size(), frames.extent());
  return reduce<T>(frames, 0, settings, executor, incoming);
}

template <Pixel T>
MotionEstimate est_motion_chunk(const StackView<const T>& templates, const ChunkSettings& settings,
                                const Executor& executor, std::span<const ShiftList> incoming) {
  check_input("templates", templates.size(), templates.extent());
  return reduce<T>(templates, 0, settings, executor, incoming);
}

template <Pixel T>
MotionEstimate estimate_motion(const MovieView<const T>& movie, const EstimateSettings& settings,
                               const Executor& executor) {
  check_input("movie", movie.size(), movie.extent());
  return reduce<T>(movie, settings.chunk, settings.tree, executor, {});
}

template <Pixel T>
void apply_motion(const MovieView<const T>& movie, std::span<const Shift> shifts,
                  const MovieView<T>& out, const ApplySettings& settings,
                  const Executor& executor) {
  if (shifts.size() != movie.size()) {
    throw_invalid("shifts", std::to_string(movie.size()) + " shifts, one a frame", shifts.size());
  }
  if (out.size() != movie.size() || out.extent() != movie.extent()) {
    throw_invalid("out", std::to_string(movie.size()) + " frames of " + to_string(movie.extent()),
                  std::to_string(out.size()) + " frames of " + to_string(out.extent()));
  }
  check_fill<T>(settings.fill);
  Pool<std::unique_ptr<FrameWarper<T>>> pool;
  executor.for_each(movie.size(), [&](std::size_t i) {
    auto warper = pool.take([] { return std::make_unique<FrameWarper<T>>(); });
    (*warper)(movie[i], shifts[i], out[i], settings);
    pool.give(std::move(warper));
  });
}

#define STILLSCOPE_INSTANTIATE(T)                                                             \
  template MotionEstimate est_motion_chunk(const MovieView<const T>&, const ChunkSettings&,   \
                                           const Executor&, std::span<const ShiftList>);      \
  template MotionEstimate est_motion_chunk(const StackView<const T>&, const ChunkSettings&,   \
                                           const Executor&, std::span<const ShiftList>);      \
  template MotionEstimate estimate_motion(const MovieView<const T>&, const EstimateSettings&, \
                                          const Executor&);                                   \
  template void apply_motion(const MovieView<const T>&, std::span<const Shift>,               \
                             const MovieView<T>&, const ApplySettings&, const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
