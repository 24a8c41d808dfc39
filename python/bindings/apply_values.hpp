// SPDX-License-Identifier: GPL-3.0-or-later
/// Options of applying shifts and fields, by their names in Python.
#pragma once

#include <string>

#include "array.hpp"
#include "stillscope/movie/apply_motion.hpp"

namespace stillscope::python {

[[nodiscard]] inline Rounding rounding_of(const std::string& name) {
  return choose<Rounding>({{"nearest", Rounding::nearest}, {"truncate", Rounding::truncate}}, name,
                          "rounding");
}

[[nodiscard]] inline Interpolation interpolation_of(const std::string& name) {
  return choose<Interpolation>({{"linear", Interpolation::linear}, {"cubic", Interpolation::cubic}},
                               name, "interpolation");
}

}  // namespace stillscope::python
