// SPDX-License-Identifier: GPL-3.0-or-later
/// What the parts of the extension module register.
#pragma once

#include <pybind11/pybind11.h>

namespace stillscope::python {

void bind_estimate(pybind11::module_& module);
void bind_movie(pybind11::module_& module);
void bind_nonrigid(pybind11::module_& module);
void bind_apply(pybind11::module_& module);
void bind_quality(pybind11::module_& module);
void bind_register(pybind11::module_& module);

}  // namespace stillscope::python
