// SPDX-License-Identifier: GPL-3.0-or-later
#include <complex>

#include "array.hpp"
#include "bindings.hpp"
#include "stillscope/register/spectra.hpp"

namespace stillscope::python {
namespace {

using SpectrumArray = py::array_t<std::complex<double>, py::array::c_style>;

void check_spectrum(const SpectrumArray& spectrum, const char* name, Extent extent) {
  check_dims(spectrum, name, 2);
  const Extent expected{extent.height, extent.width / 2 + 1};
  if (frame_extent(spectrum) != expected) {
    throw_invalid(name, "a spectrum of " + to_string(expected), to_string(frame_extent(spectrum)));
  }
}

py::array_t<double> displacement_from_spectra_py(const SpectrumArray& src, const SpectrumArray& dst,
                                                 std::size_t height, std::size_t width) {
  const Extent extent{height, width};
  check_spectrum(src, "src_fft", extent);
  check_spectrum(dst, "dst_fft", extent);
  py::array_t<double> result(2);
  const Shift displacement = [&, a = src.data(), b = dst.data()] {
    const py::gil_scoped_release release;
    return displacement_from_spectra(a, b, extent);
  }();
  result.mutable_at(0) = displacement.height;
  result.mutable_at(1) = displacement.width;
  return result;
}

}  // namespace

void bind_register(py::module_& module) {
  module.def("displacement_from_spectra", &displacement_from_spectra_py, py::arg("src"),
             py::arg("dst"), py::arg("height"), py::arg("width"),
             "Displacement (height, width) [px] from two complex128 spectra as of np.fft.rfft2.");
}

}  // namespace stillscope::python
