// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "array.hpp"
#include "bindings.hpp"
#include "estimate_values.hpp"
#include "stillscope/chunk/est_motion_chunk.hpp"

namespace stillscope::python {
namespace {

py::dict est_motion_chunk_py(const py::array& items,
                             const std::optional<std::vector<py::array_t<double>>>& incoming,
                             const py::dict& options, std::optional<std::size_t> n_threads) {
  // All of Python is read before the GIL goes.
  const ChunkSettings settings = chunk_settings(options);
  const auto executor = make_executor(n_threads);
  std::vector<ShiftList> lists;
  if (incoming) {
    for (const auto& array : *incoming) lists.push_back(shift_list(array, "sh_org"));
    if (lists.size() != length(items, 0)) {
      throw_invalid("sh_org", std::to_string(items.shape(0)) + " arrays, one an item",
                    lists.size());
    }
  }
  const auto estimate = visit_pixel_type(items, "varr", [&](auto type) {
    using T = typename decltype(type)::type;
    if (items.ndim() == 4) {
      const auto stack = stack_view<const T>(items, "varr");
      const py::gil_scoped_release release;
      return est_motion_chunk(stack, settings, *executor, lists);
    }
    const auto movie = movie_view<const T>(items, "varr");
    const py::gil_scoped_release release;
    return est_motion_chunk(movie, settings, *executor, lists);
  });
  return estimate_dict(estimate, settings, frame_extent(items));
}

}  // namespace

void bind_estimate(py::module_& module) {
  module.def(
      "est_motion_chunk", &est_motion_chunk_py, py::arg("items"), py::arg("incoming"),
      py::arg("settings"), py::arg("n_threads"),
      "Template and shifts of a chunk (frame, height, width) or stack of templates (node, 3, "
      "height, width); shifts in px.");
  module.def(
      "thread_count", [](std::optional<std::size_t> n_threads) { return thread_count(n_threads); },
      py::arg("n_threads") = py::none(),
      "The number of threads that a call with this `n_threads` uses.");
}

}  // namespace stillscope::python
