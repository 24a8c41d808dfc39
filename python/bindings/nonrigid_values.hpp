// SPDX-License-Identifier: GPL-3.0-or-later
/// Options and results of deformations, between Python and C++.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>

#include "stillscope/nonrigid/estimate_deformation.hpp"

namespace stillscope::python {

/// From None, or a dict that has all of them (`NonrigidSettings` of the stubs).
[[nodiscard]] NonrigidSettings nonrigid_settings(const pybind11::object& value);

/// A dict (`DeformationResult` of the stubs), or None.
[[nodiscard]] pybind11::object deformation_dict(const std::optional<Deformation>& deformation);

}  // namespace stillscope::python
