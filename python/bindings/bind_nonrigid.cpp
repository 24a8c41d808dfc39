// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apply_values.hpp"
#include "array.hpp"
#include "bindings.hpp"
#include "nonrigid_values.hpp"
#include "stillscope/movie/apply_deformation.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_field.hpp"

namespace stillscope::python {
namespace {

using Pair = std::pair<double, double>;
using Coefficients = py::array_t<double, py::array::c_style>;

/// Of coefficients (frame, 2, gy, gx); origin and spacing are (height, width) [px].
ControlGrid grid_of(const Coefficients& coefficients, Pair origin, Pair spacing) {
  check_dims(coefficients, "coefficients", 4);
  if (coefficients.shape(1) != 2) {
    throw_invalid("coefficients", "shape (frame, 2, gy, gx)", coefficients.shape(1));
  }
  const auto axis = [&](py::ssize_t dim, double first, double step) {
    const std::size_t points = length(coefficients, dim);
    if (points <= GridAxis::order) {
      throw_invalid("coefficients", "at least 4 control points on each axis", points);
    }
    if (!std::isfinite(first)) throw_invalid("origin", "finite numbers", first);
    if (!(step > 0.0 && std::isfinite(step))) {
      throw_invalid("spacing", "finite numbers above 0", step);
    }
    return GridAxis{points - GridAxis::order, first, step};
  };
  return {axis(2, origin.first, spacing.first), axis(3, origin.second, spacing.second)};
}

std::span<const double> values_of(const Coefficients& coefficients) {
  return {coefficients.data(), static_cast<std::size_t>(coefficients.size())};
}

void apply_deformation_py(const py::array& movie, const Coefficients& coefficients, Pair origin,
                          Pair spacing, const py::array& out, double fill,
                          const std::string& rounding, const std::string& interpolation,
                          const std::string& border, Pair binning,
                          std::optional<std::size_t> n_threads) {
  DeformSettings settings;
  settings.fill = fill;
  settings.rounding = rounding_of(rounding);
  settings.interpolation = interpolation_of(interpolation);
  settings.border = choose<SampleBorder>({{"constant", SampleBorder::constant},
                                          {"nearest", SampleBorder::nearest},
                                          {"half_pixel", SampleBorder::half_pixel}},
                                         border, "border");
  settings.binning = {binning.first, binning.second};
  const ControlGrid grid = grid_of(coefficients, origin, spacing);
  const auto executor = make_executor(n_threads);
  visit_pixel_type(movie, "movie", [&](auto type) {
    using T = typename decltype(type)::type;
    check_dtype<T>(out, "out");
    const auto source = movie_view<const T>(movie, "movie");
    const auto target = movie_view<T>(out, "out");
    const py::gil_scoped_release release;
    apply_deformation(source, grid, values_of(coefficients), target, settings, *executor);
  });
}

/// (origin, spacing), each (height, width) [px].
std::pair<Pair, Pair> control_grid_py(std::size_t height, std::size_t width, std::size_t rows,
                                      std::size_t columns) {
  const ControlGrid grid = ControlGrid::over({height, width}, {rows, columns});
  return {{grid.height.origin, grid.width.origin}, {grid.height.spacing, grid.width.spacing}};
}

py::array_t<double> spline_field_py(const Coefficients& coefficients, Pair origin, Pair spacing,
                                    const py::array_t<double>& y, const py::array_t<double>& x) {
  const ControlGrid grid = grid_of(coefficients, origin, spacing);
  check_dims(y, "y", 1);
  check_dims(x, "x", 1);
  const auto rows = y.unchecked<1>();
  const auto columns = x.unchecked<1>();
  py::array_t<double> field({coefficients.shape(0), y.shape(0), x.shape(0), py::ssize_t{2}});
  auto out = field.mutable_unchecked<4>();
  const std::size_t size = grid.coefficients();
  const double* frames = coefficients.data();
  {
    const py::gil_scoped_release release;
    for (py::ssize_t i = 0; i < out.shape(0); ++i) {
      const double* frame = frames + static_cast<std::size_t>(i) * size;
      for (py::ssize_t j = 0; j < out.shape(1); ++j) {
        for (py::ssize_t k = 0; k < out.shape(2); ++k) {
          const Displacement at = field_at(grid, frame, rows(j), columns(k));
          out(i, j, k, 0) = at.height;
          out(i, j, k, 1) = at.width;
        }
      }
    }
  }
  return field;
}

}  // namespace

py::object deformation_dict(const std::optional<Deformation>& deformation) {
  if (!deformation) return py::none();
  const ControlGrid& grid = deformation->grid;
  const auto rows = static_cast<py::ssize_t>(grid.height.points());
  const auto columns = static_cast<py::ssize_t>(grid.width.points());
  const auto frames = static_cast<py::ssize_t>(deformation->frames.size());
  py::array_t<double> coefficients({frames, py::ssize_t{2}, rows, columns});
  std::copy(deformation->coefficients.begin(), deformation->coefficients.end(),
            coefficients.mutable_data());
  py::array_t<double> errors({rows - 2, columns - 2});
  if (deformation->errors.empty()) {
    std::fill_n(errors.mutable_data(), errors.size(), 0.0);
  } else {
    std::copy(deformation->errors.begin(), deformation->errors.end(), errors.mutable_data());
  }
  py::dict dict;
  dict["coefficients"] = coefficients;
  dict["origin"] = py::make_tuple(grid.height.origin, grid.width.origin);
  dict["spacing"] = py::make_tuple(grid.height.spacing, grid.width.spacing);
  dict["uncertainty"] = errors;
  dict["size"] = deformation->size;
  dict["is_rigid"] = deformation->is_rigid;
  const auto add = [&]<class Value>(const char* name, Value FrameDeformation::*member) {
    py::array_t<Value> array(frames);
    std::transform(deformation->frames.begin(), deformation->frames.end(), array.mutable_data(),
                   [&](const FrameDeformation& frame) { return frame.*member; });
    dict[name] = array;
  };
  add("frame_size", &FrameDeformation::size);
  add("similarity", &FrameDeformation::similarity);
  add("from_patches", &FrameDeformation::has_patches);
  add("interpolated", &FrameDeformation::is_interpolated);
  return std::move(dict);
}

NonrigidSettings nonrigid_settings(const py::object& value) {
  NonrigidSettings settings;
  if (value.is_none()) return settings;
  const auto options = value.cast<py::dict>();
  settings.method = choose<NonrigidMethod>(
      {{"spline", NonrigidMethod::spline}, {"patches", NonrigidMethod::patches}},
      options["method"].cast<std::string>(), "nonrigid");
  settings.spacing = options["spacing"].cast<double>();
  settings.expected = options["expected"].cast<std::optional<double>>();
  using Cells = std::pair<std::size_t, std::size_t>;
  if (const auto cells = options["cells"].cast<std::optional<Cells>>()) {
    settings.cells = Extent{cells->first, cells->second};
  }
  return settings;
}

void bind_nonrigid(py::module_& module) {
  module.def(
      "apply_deformation", &apply_deformation_py, py::arg("movie"), py::arg("coefficients"),
      py::arg("origin"), py::arg("spacing"), py::arg("out"), py::kw_only(), py::arg("fill"),
      py::arg("rounding"), py::arg("interpolation") = "linear", py::arg("border") = "constant",
      py::arg("binning") = std::pair{1.0, 1.0}, py::arg("n_threads"),
      "Samples each frame of a movie where its B-spline coefficients (frame, 2, gy, gx) say.");
  module.def("control_grid", &control_grid_py, py::arg("height"), py::arg("width"), py::arg("rows"),
             py::arg("columns"),
             "Origin and spacing [px] of the control points of a mesh of cells over a frame.");
  module.def("spline_field", &spline_field_py, py::arg("coefficients"), py::arg("origin"),
             py::arg("spacing"), py::arg("y"), py::arg("x"),
             "Displacements [px] of where frames are sampled, (frame, y, x, 2).");
}

}  // namespace stillscope::python
