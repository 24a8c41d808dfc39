// SPDX-License-Identifier: GPL-3.0-or-later
/// A scene that moves over a pattern that does not, told apart by their means.
#pragma once

#include <algorithm>
#include <array>
#include <complex>
#include <cstddef>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/fft/real_fft.hpp"

namespace stillscope {

class PatternSplit;

/// Means over a part of the frames, (height, width), C order, finite.
struct MeanPair {
  const float* plain;         ///< Of frames as they are.
  const float* registered;    ///< After bilinear translation by shifts.
  const PatternSplit* split;  ///< For these shifts.
};

/// What a scene that moves explains besides what stays put.
struct MovingScene {
  /// The power that it explains, over the power of the plain mean. Waves by which scene and pattern
  /// are hardly told apart, as all are where shifts are small, count little in `wary`.
  double wary;
  double fair;
  double likeness;  ///< Correlation of what both parts of the frames show of it.
};

/// From two parts of the frames: what they do not share, noise and activity, does not count.
[[nodiscard]] MovingScene moving_scene(const std::array<MeanPair, 2>& parts);

/// Splits means into scene and pattern for one set of shifts. Where frames are scene(x + shift) +
/// pattern(x), their plain mean and the mean of the registered frames are two equations for each
/// wavelength, Eq. (10). They tell less the longer the wave is beside the motion: what they do not
/// tell counts as scene.
class PatternSplit {
 public:
  /// `shifts`: of the frames that have a share in the means; at least one, all finite.
  PatternSplit(Extent extent, std::span<const Shift> shifts, const Executor& executor);

  /// `plain`: the mean of frames as they are. `registered`: their mean after bilinear translation.
  /// Both (height, width), C order, finite. `scene` and `pattern` may be these buffers.
  void operator()(const float* plain, const float* registered, float* scene, float* pattern) const;

  friend MovingScene moving_scene(const std::array<MeanPair, 2>& parts);

 private:
  using Complex = std::complex<float>;
  /// What is not told where this is not exceeded by 1 less the share that stays put.
  static constexpr float least_motion = 0.05F;

  [[nodiscard]] AlignedBuffer<Complex> spectrum(const float* plane) const;
  /// The same of a plane that fades out at its edges, beyond which frames moved.
  [[nodiscard]] AlignedBuffer<Complex> windowed_spectrum(const float* plane) const;
  /// The scene in the plain mean over the scene in the registered mean.
  [[nodiscard]] Complex still_share(std::size_t i) const {
    // Shifts of half a pixel leave nothing of the finest waves.
    constexpr float least = 0.01F;
    return unmoved_[i] * std::conj(attenuation_[i]) / std::max(std::norm(attenuation_[i]), least);
  }
  /// How much of a wave tells pattern from scene, from 0 to about 1.
  [[nodiscard]] Complex told(std::size_t i) const { return 1.0F - still_share(i) * moved_[i]; }

  RealFft<float> fft_;
  std::vector<Complex> unmoved_;      // of the scene, in the plain mean
  std::vector<Complex> moved_;        // of the pattern, in the registered mean
  std::vector<Complex> attenuation_;  // of the scene, in the registered mean
};

}  // namespace stillscope
