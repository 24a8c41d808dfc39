// SPDX-License-Identifier: GPL-3.0-or-later
/// Options and results of estimates, between Python and C++.
#pragma once

#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "array.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/tree/motion_estimate.hpp"

namespace stillscope::python {

/// The options of the tree from a dict that has all of them (`TreeSettings` of the stubs).
inline ChunkSettings chunk_settings(const py::dict& options) {
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
inline py::array_t<float> template_array(const TemplateStack& merged, std::size_t slots,
                                         Extent extent) {
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

inline py::dict counts_dict(const TreeCounts& counts) {
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

/// What all results of an estimate have.
inline py::dict estimate_dict(const MotionEstimate& estimate, const ChunkSettings& settings,
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

}  // namespace stillscope::python
