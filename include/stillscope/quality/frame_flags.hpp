// SPDX-License-Identifier: GPL-3.0-or-later
/// Frames that should not shape a template, and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stillscope/core/view.hpp"

namespace stillscope {

/// What can be said against a frame. Any number of them can be true at once.
enum FrameFlag : std::uint16_t {
  flag_non_finite = 1 << 0,      ///< Pixels that are no numbers: all, or more than usual.
  flag_black = 1 << 1,           ///< Much darker than the frames round it.
  flag_flash = 1 << 2,           ///< Much brighter than the frames round it.
  flag_torn = 1 << 3,            ///< A part of it lies elsewhere than the rest, or is no scene.
  flag_duplicate = 1 << 4,       ///< The same as the frame before, bit for bit.
  flag_low_confidence = 1 << 5,  ///< Other places of the template suit it nearly as well.
  flag_at_limit = 1 << 6,        ///< Its shift would be further than `max_shift`.
  flag_not_converged = 1 << 7,   ///< The fit to the template found no end.
  flag_given = 1 << 8,           ///< The caller said that it is bad.
  flag_field_not_converged = 1 << 9,  ///< The fit of its deformation found no end.
};

/// Names, in the order of the bits.
inline constexpr const char* frame_flag_names[] = {
    "non_finite",     "black",    "flash",         "torn",  "duplicate",
    "low_confidence", "at_limit", "not_converged", "given", "field_not_converged"};

/// What a look at a frame alone tells.
struct FrameStatistics {
  double mean = 0.0;  ///< Of the finite pixels.
  double lowest = 0.0;
  double highest = 0.0;
  std::size_t non_finite = 0;
  bool is_duplicate = false;  ///< The same as the frame before, bit for bit.
  bool has_finite = true;     ///< Any finite pixel.
};

/// Statistics of `frame` (any strides); `before`: the frame before it, if there is one.
template <Pixel T>
[[nodiscard]] FrameStatistics frame_statistics(const FrameView<const T>& frame,
                                               const FrameView<const T>* before);

/// Flags non-finite, black, flash and duplicate for consecutive frames of a movie. Brightness is
/// compared with the median of the frames round it: a movie may become brighter or darker, and may
/// flicker.
[[nodiscard]] std::vector<std::uint16_t> flag_frames(std::span<const FrameStatistics> frames);

/// What the fit of a frame tells of its strips: how far each lies off the frame's shift [px] on
/// the height and the width, its mean square residual, and its contrast beside the template's.
struct StripReport {
  static constexpr std::size_t strips = 8;
  float apart[2 * strips] = {};  ///< Height and width of each strip.
  float residual[strips] = {};
  float gain[strips] = {};  ///< Over the frame's.
  bool is_known = false;
};

/// Which of consecutive frames are torn: a strip lies elsewhere, fits much worse or shows less of
/// the template than the same strip in the frames round it. Frames whose `ignored` is not 0 are no
/// example.
[[nodiscard]] std::vector<bool> find_torn(std::span<const StripReport> frames,
                                          std::span<const std::uint16_t> ignored);

}  // namespace stillscope
