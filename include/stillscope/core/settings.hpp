// SPDX-License-Identifier: GPL-3.0-or-later
/// The options of the estimate, with minian's defaults.
#pragma once

#include <cstddef>
#include <optional>

namespace stillscope {

/// How the warped items of a group become one template.
enum class Aggregation { mean, max };

/// Which good frame of a group fills the "last" slot of its template: the second one, as in minian
/// 2.0.2, or the last.
enum class SlotLast { second, last };

/// What the pixels of warped frames become before they are merged. minian gives warped frames their
/// type back: integers are truncated, and whatever is not 0 is true.
enum class WarpedValues {
  by_type,  ///< Whole numbers for integer pixel types, else as they are.
  whole,    ///< Whole numbers, toward zero: for integers held in a float type.
  binary,   ///< 0 or 1: for booleans held in an integer type.
};

/// The method that finds the peak of the cross-correlation.
enum class RegistrarKind {
  fft,             ///< Transforms at full size: the reference.
  coarse_to_fine,  ///< Small transforms nominate, exact sums at full size decide.
};

/// Options of `est_motion_chunk`.
struct ChunkSettings {
  /// Items registered together in one group of the tree; at least 2.
  std::size_t npart = 3;
  /// Disagreement [px] from which the registration through the touching slots is considered;
  /// none or 0: templates are single frames, without slots.
  std::optional<double> alt_error = 5.0;
  Aggregation aggregation = Aggregation::mean;
  /// Circularity above which a frame is good; none: all frames are.
  std::optional<double> circ_thres = std::nullopt;
  /// Zero border [px] for the circularity test.
  std::size_t max_sh = 100;
  SlotLast slot_last = SlotLast::second;
  WarpedValues warped_values = WarpedValues::by_type;
  RegistrarKind registrar = RegistrarKind::coarse_to_fine;

  /// True where templates carry the slots first / aggregate / last.
  [[nodiscard]] bool has_slots() const { return alt_error.has_value() && *alt_error != 0.0; }
  /// Throws `std::invalid_argument` naming the first option that is out of range.
  void validate() const;
};

}  // namespace stillscope
