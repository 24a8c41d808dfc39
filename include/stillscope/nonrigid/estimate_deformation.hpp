// SPDX-License-Identifier: GPL-3.0-or-later
/// The deformation of every frame of a movie whose rigid motion is known.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/movie/movie_source.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/deformation_fit.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/refine/refine_pass.hpp"

namespace stillscope {

/// How motion that differs across the frame is found: not at all; by Gauss-Newton on control
/// points, from patches where it must be; from patches alone.
enum class NonrigidMethod { none, spline, patches };

/// Options of the deformation.
struct NonrigidSettings {
  NonrigidMethod method = NonrigidMethod::none;
  /// Between control points [px], as near as whole cells of the mesh allow.
  double spacing = 75.0;
  /// Cells of the mesh instead, where they are given.
  std::optional<Extent> cells = std::nullopt;
  /// Root mean square of the deviation from the rigid shift that is expected [px]: the unit of the
  /// smoothness prior. Nothing: learned from the movie.
  std::optional<double> expected = std::nullopt;
  /// Readings of the movie; the last looks at all pixels, those before it at pooled ones.
  std::size_t passes = 2;

  /// Throws `std::invalid_argument` naming the first option that is out of range.
  void validate(Extent extent) const;
  [[nodiscard]] ControlGrid grid(Extent extent) const;
};

/// What is known of a frame's deformation.
struct FrameDeformation {
  double size = 0.0;         ///< Root mean square of the field less its mean over the frame [px].
  double similarity = 0.0;   ///< Correlation with the template, deformed.
  bool has_patches = false;  ///< Its start was found by patches.
  bool has_field = false;    ///< It has a field of its own ...
  Shift shift;               ///< ... which deviates from this shift [px].
  bool is_interpolated = false;  ///< Its deviation is that of its neighbours.
};

/// The deformations of a movie.
struct Deformation {
  ControlGrid grid;
  /// grid.coefficients() a frame: displacements of where frames are sampled [px], minus the frames'
  /// shifts and their deviations from these. The mean deviation over good frames is 0.
  std::vector<double> coefficients;
  std::vector<FrameDeformation> frames;
  /// Standard error of a usual frame's field at the corners of the mesh (rows, columns) [px].
  std::vector<double> errors;
  /// Root mean square of the deviations on which two halves of the pixels agree [px].
  double size = 0.0;
  /// The movie deforms by no more than can be told: fields are the rigid shifts, but for frames
  /// that clearly deform.
  bool is_rigid = true;
  std::size_t passes = 0;
  /// Mean of the good frames, deformed (height, width); empty where the movie is rigid.
  AlignedBuffer<float> mean;

  template <class Archive>
  void archive(Archive& io) {
    io(grid, coefficients, frames, errors, size, is_rigid, passes, mean);
  }
};

/// Finds the deviations of frames from their shifts, which `states` have; may flag states and
/// better their shifts. `mean`: of the frames at their shifts; not finite where it is not known;
/// `area`: where it is believed. `weights`: how much each pixel counts, or nothing. Coefficients
/// are deviations alone until `add_shifts`. The result does not depend on the executor.
template <Pixel T>
[[nodiscard]] Deformation estimate_deformation(MovieSource<T>& movie, std::span<FrameState> states,
                                               FrameView<const float> mean, const Area& area,
                                               std::span<const float> weights,
                                               const NonrigidSettings& settings,
                                               const FitSettings& fit, double highpass,
                                               double lowpass, const Executor& executor);

/// Makes deviations fields, now that all shifts are final: takes these away from the coefficients.
/// Frames that have a field of their own get its shift.
void add_shifts(Deformation& deformation, std::span<Shift> shifts);

}  // namespace stillscope
