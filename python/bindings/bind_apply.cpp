// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/stl.h>

#include "apply_values.hpp"
#include "array.hpp"
#include "bindings.hpp"
#include "stillscope/movie/apply_motion.hpp"

namespace stillscope::python {
namespace {

void apply_motion_py(const py::array& movie, const py::array_t<double>& shifts,
                     const py::array& out, double fill, const std::string& grid,
                     const std::string& rounding, const std::string& interpolation,
                     const std::string& border, std::pair<double, double> binning,
                     std::optional<std::size_t> n_threads) {
  ApplySettings settings;
  settings.fill = fill;
  settings.grid = choose<SamplingGrid>({{"exact", SamplingGrid::exact}, {"cv2", SamplingGrid::cv2}},
                                       grid, "grid");
  settings.rounding = rounding_of(rounding);
  settings.interpolation = interpolation_of(interpolation);
  settings.border = choose<Border>({{"constant", Border::constant}, {"nearest", Border::nearest}},
                                   border, "border");
  settings.binning = {binning.first, binning.second};
  const ShiftList list = shift_list(shifts, "shifts");
  const auto executor = make_executor(n_threads);
  visit_pixel_type(movie, "movie", [&](auto type) {
    using T = typename decltype(type)::type;
    check_dtype<T>(out, "out");
    const auto source = movie_view<const T>(movie, "movie");
    const auto target = movie_view<T>(out, "out");
    const py::gil_scoped_release release;
    apply_motion(source, list, target, settings, *executor);
  });
}

}  // namespace

void bind_apply(py::module_& module) {
  module.def(
      "apply_motion", &apply_motion_py, py::arg("movie"), py::arg("shifts"), py::arg("out"),
      py::kw_only(), py::arg("fill"), py::arg("grid"), py::arg("rounding"),
      py::arg("interpolation") = "linear", py::arg("border") = "constant",
      py::arg("binning") = std::pair{1.0, 1.0}, py::arg("n_threads"),
      "Translates each frame of a movie (frame, height, width) by its shift [px] into `out`.");
}

}  // namespace stillscope::python
