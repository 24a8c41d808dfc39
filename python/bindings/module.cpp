// SPDX-License-Identifier: GPL-3.0-or-later
#include "bindings.hpp"
#include "stillscope/version.hpp"

PYBIND11_MODULE(_core, module) {
  using namespace stillscope::python;
  module.doc() = "The native kernels of stillscope; use the functions of the package instead.";
  module.attr("__version__") = STILLSCOPE_VERSION;
  bind_estimate(module);
  bind_movie(module);
  bind_nonrigid(module);
  bind_apply(module);
  bind_quality(module);
  bind_register(module);
}
