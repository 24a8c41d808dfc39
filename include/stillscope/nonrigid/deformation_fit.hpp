// SPDX-License-Identifier: GPL-3.0-or-later
/// What a fit of a frame's deformation is asked, and what it answers.
#pragma once

#include <cstddef>
#include <vector>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// How frames are fitted to a template by a field.
struct DeformationFitSettings {
  /// Whether each frame has a brightness (gain and offset) of its own.
  bool has_brightness = true;
  /// Residuals count no more than this many standard deviations; 0: as they are.
  double robust = 3.0;
  /// Steps at most.
  std::size_t most_steps = 6;
  /// What is left after such a step [px, root mean square over the frame] is a fraction of it.
  double tolerance = 0.08;
  /// Whether frames start so near that their first step may be the last.
  bool starts_near = false;
};

/// A frame's field, and how well it fits. The field is minus `shift` and a deviation from it.
struct DeformationFit {
  Shift shift;                    ///< The rigid correction from which it departs [px].
  std::vector<double> deviation;  ///< Unknowns (`DeformationLattice`) [px]; empty: none.
  double gain = 1.0;              ///< The frame is gain * template + offset.
  double offset = 0.0;            ///< Beyond the template's level.
  double sigma = 0.0;             ///< Of a pooled pixel's residual; 0: not known yet.
  double similarity = 0.0;        ///< Correlation of the deformed frame and the template, robust.
  /// Mean square of the deviation [px^2], less its mean over the frame, on which two halves of the
  /// pixels agree. Below 0 by chance where there is none.
  double agreed_square = 0.0;
  /// Square of what they agree is missing, where that is most [px^2]: the frame deforms more, or in
  /// a smaller part of it, than is expected.
  double held_back_square = 0.0;
  std::size_t lost_cells = 0;  ///< Cells of the mesh whose pixels show nothing of the template.
  std::size_t steps = 0;
  bool has_converged = false;
  bool has_patches = false;  ///< Its start was found by patches.
};

}  // namespace stillscope
