// SPDX-License-Identifier: GPL-3.0-or-later
#include "array.hpp"
#include "bindings.hpp"
#include "stillscope/quality/adaptive_mask.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/quality/match_template.hpp"

namespace stillscope::python {
namespace {

double circularity_py(const py::array& frame, std::size_t max_sh) {
  return visit_pixel_type(frame, "fm", [&](auto type) {
    const auto view = frame_view<const typename decltype(type)::type>(frame, "fm");
    const py::gil_scoped_release release;
    return circularity(view, max_sh);
  });
}

py::array_t<double> match_template_py(const py::array& src, const py::array& dst,
                                      std::size_t max_sh, bool local, bool subpixel) {
  check_dtype<float>(src, "src");
  check_dtype<float>(dst, "dst");
  const auto source = frame_view<const float>(src, "src");
  const auto destination = frame_view<const float>(dst, "dst");
  py::array_t<double> result(2);
  const Shift shift = [&] {
    const py::gil_scoped_release release;
    return match_template(source, destination, {max_sh, local, subpixel});
  }();
  result.mutable_at(0) = shift.height;
  result.mutable_at(1) = shift.width;
  return result;
}

py::array_t<bool> adaptive_mask_py(const py::array& frame, double threshold, int window) {
  check_dtype<std::uint8_t>(frame, "fm");
  const auto view = frame_view<const std::uint8_t>(frame, "fm");
  py::array_t<bool> mask({frame.shape(0), frame.shape(1)});
  static_assert(sizeof(bool) == 1);
  const FrameView<std::uint8_t> target(reinterpret_cast<std::uint8_t*>(mask.mutable_data()),
                                       view.extent());
  {
    const py::gil_scoped_release release;
    adaptive_mask(view, threshold, window, target);
  }
  return mask;
}

}  // namespace

void bind_quality(py::module_& module) {
  module.def("circularity", &circularity_py, py::arg("frame"), py::arg("max_sh"),
             "Circularity of a frame's self-similarity.");
  module.def("match_template", &match_template_py, py::arg("src"), py::arg("dst"), py::kw_only(),
             py::arg("max_sh"), py::arg("local"), py::arg("subpixel"),
             "Shift (height, width) [px] by normalised correlation of float32 frames.");
  module.def("adaptive_mask", &adaptive_mask_py, py::arg("frame"), py::arg("threshold"),
             py::arg("window"), "Pixels of a uint8 frame above their neighbourhood's mean.");
}

}  // namespace stillscope::python
