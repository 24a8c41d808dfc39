// SPDX-License-Identifier: GPL-3.0-or-later
/// The kernel of the estimate, instantiated for every pixel type.
#include "stillscope/chunk/est_motion_chunk.hpp"

#include <string>
#include <string_view>

#include "stillscope/core/error.hpp"
#include "stillscope/tree/reduction.hpp"

namespace stillscope {
namespace {

void check_input(std::string_view name, std::size_t items, Extent extent) {
  if (items == 0) throw_invalid(name, "at least one frame", "none");
  if (extent.area() == 0) throw_invalid(name, "frames with pixels", to_string(extent));
}

template <Pixel T, class Input>
MotionEstimate reduce(const Input& input, const ChunkSettings& settings, const Executor& executor,
                      std::span<const ShiftList> incoming) {
  settings.validate();
  if (!incoming.empty() && incoming.size() != input.size()) {
    throw_invalid("incoming", std::to_string(input.size()) + " lists of shifts, one an item",
                  incoming.size());
  }
  const TreePlan plan = plan_tree(input.size(), 0, settings.npart);
  return TreeReducer<T, Input>(input, plan, settings, incoming)(executor);
}

}  // namespace

template <Pixel T>
MotionEstimate est_motion_chunk(const MovieView<const T>& frames, const ChunkSettings& settings,
                                const Executor& executor, std::span<const ShiftList> incoming) {
  check_input("frames", frames.size(), frames.extent());
  return reduce<T>(frames, settings, executor, incoming);
}

template <Pixel T>
MotionEstimate est_motion_chunk(const StackView<const T>& templates, const ChunkSettings& settings,
                                const Executor& executor, std::span<const ShiftList> incoming) {
  check_input("templates", templates.size(), templates.extent());
  return reduce<T>(templates, settings, executor, incoming);
}

#define STILLSCOPE_INSTANTIATE(T)                                                           \
  template MotionEstimate est_motion_chunk(const MovieView<const T>&, const ChunkSettings&, \
                                           const Executor&, std::span<const ShiftList>);    \
  template MotionEstimate est_motion_chunk(const StackView<const T>&, const ChunkSettings&, \
                                           const Executor&, std::span<const ShiftList>);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
