// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "array.hpp"
#include "bindings.hpp"
#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/movie/estimate_motion.hpp"

namespace stillscope::python {
namespace {

/// The options of the tree from a dict that has all of them (`TreeSettings` of the stubs).
ChunkSettings chunk_settings(const py::dict& options) {
  const auto choice = [&](const char* name) { return options[name].cast<std::string>(); };
  ChunkSettings settings;
  settings.npart = options["npart"].cast<std::size_t>();
  settings.alt_error = options["alt_error"].cast<std::optional<double>>();
  settings.aggregation =
      choose<Aggregation>({{"mean", Aggregation::mean}, {"max", Aggregation::max}},
                          choice("aggregation"), "aggregation");
  settings.circ_thres = options["circ_thres"].cast<std::optional<double>>();
  settings.max_sh = options["max_sh"].cast<std::size_t>();
  settings.slot_last = choose<SlotLast>({{"second", SlotLast::second}, {"last", SlotLast::last}},
                                        choice("slot_last"), "slot_last");
  settings.registrar = choose<RegistrarKind>(
      {{"fft", RegistrarKind::fft}, {"coarse_to_fine", RegistrarKind::coarse_to_fine}},
      choice("registrar"), "registrar");
  settings.warped_values = choose<WarpedValues>({{"by_type", WarpedValues::by_type},
                                                 {"whole", WarpedValues::whole},
                                                 {"binary", WarpedValues::binary}},
                                                choice("warped_values"), "warped_values");
  settings.validate();
  return settings;
}

/// (slots, height, width), or (height, width) for a single slot; NaN where there is no template.
py::array_t<float> template_array(const TemplateStack& merged, std::size_t slots, Extent extent) {
  std::vector<py::ssize_t> shape;
  if (slots > 1) shape.push_back(static_cast<py::ssize_t>(slots));
  shape.push_back(static_cast<py::ssize_t>(extent.height));
  shape.push_back(static_cast<py::ssize_t>(extent.width));
  py::array_t<float> array(shape);
  float* out = array.mutable_data();
  const std::size_t size = slots * extent.area();
  if (merged.is_empty()) {
    std::fill_n(out, size, std::numeric_limits<float>::quiet_NaN());
  } else {
    std::copy_n(merged[first_slot].data(), size, out);
  }
  return array;
}

py::dict counts_dict(const TreeCounts& counts) {
  py::dict dict;
  dict["leaves"] = counts.leaves;
  dict["nodes"] = counts.nodes;
  dict["registrations"] = counts.registrations;
  dict["spared"] = counts.spared;
  dict["warps"] = counts.warps;
  dict["spectra"] = counts.spectra;
  dict["windows"] = counts.windows;
  dict["points"] = counts.points;
  dict["refinements"] = counts.refinements;
  dict["fallbacks"] = counts.fallbacks;
  dict["extra_spectra"] = counts.extra_spectra;
  dict["runs"] = counts.runs;
  return dict;
}

py::dict estimate_dict(const MotionEstimate& estimate, const ChunkSettings& settings,
                       Extent extent) {
  py::dict dict;
  dict["shifts"] = shift_array(estimate.shifts);
  dict["template"] = template_array(estimate.merged, settings.has_slots() ? 3 : 1, extent);
  dict["counts"] = counts_dict(estimate.counts);
  dict["planned"] = counts_dict(estimate.planned);
  py::list few_good;
  for (const GroupNotice& notice : estimate.few_good) {
    few_good.append(py::make_tuple(notice.first_item, notice.report.items, notice.report.good));
  }
  dict["few_good"] = few_good;
  dict["repaired"] = estimate.repaired;
  dict["dead"] = estimate.dead;
  return dict;
}

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

py::dict estimate_motion_py(const py::array& movie, std::size_t chunk, const py::dict& options,
                            std::optional<std::size_t> n_threads) {
  EstimateSettings settings;
  settings.tree = chunk_settings(options);
  settings.chunk = chunk;
  const auto executor = make_executor(n_threads);
  const auto estimate = visit_pixel_type(movie, "movie", [&](auto type) {
    const auto view = movie_view<const typename decltype(type)::type>(movie, "movie");
    const py::gil_scoped_release release;
    return estimate_motion(view, settings, *executor);
  });
  return estimate_dict(estimate, settings.tree, frame_extent(movie));
}

}  // namespace

void bind_estimate(py::module_& module) {
  module.def(
      "est_motion_chunk", &est_motion_chunk_py, py::arg("items"), py::arg("incoming"),
      py::arg("settings"), py::arg("n_threads"),
      "Template and shifts of a chunk (frame, height, width) or stack of templates (node, 3, "
      "height, width); shifts in px.");
  module.def("estimate_motion", &estimate_motion_py, py::arg("movie"), py::arg("chunk"),
             py::arg("settings"), py::arg("n_threads"),
             "Template and shifts of a movie (frame, height, width) in chunks; shifts in px.");
  module.def(
      "thread_count", [](std::optional<std::size_t> n_threads) { return thread_count(n_threads); },
      py::arg("n_threads") = py::none(),
      "The number of threads that a call with this `n_threads` uses.");
}

}  // namespace stillscope::python
