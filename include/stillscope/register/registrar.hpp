// SPDX-License-Identifier: GPL-3.0-or-later
/// The interface that every registrar of a pair of frames has.
#pragma once

#include <cstddef>

#include "stillscope/core/types.hpp"
#include "stillscope/register/exact_correlation.hpp"

namespace stillscope {

/// What a registrar has done.
struct RegistrarCounts {
  std::size_t registrations = 0;
  std::size_t spectra = 0;       ///< Forward transforms of frames.
  std::size_t windows = 0;       ///< Exact correlations at 3x3 displacements.
  std::size_t full_spectra = 0;  ///< Of those that only fallbacks needed, beside `spectra`.
  std::size_t fallbacks = 0;  ///< Registrations that a faster method handed to the full-size one.
};

/// Registers pairs of frames of one size by their un-normalised circular cross-correlation. What it
/// computes of a frame (its spectrum) is kept under the frame's key until released. An object
/// serves one thread at a time.
template <Pixel T>
class Registrar {
 public:
  virtual ~Registrar() = default;

  /// The shift [px] that brings `src` onto `dst`: minus the peak of Eq. (1). Both are finite.
  [[nodiscard]] virtual Shift shift_to_register(const FrameRef<T>& src, const FrameRef<T>& dst) = 0;
  /// The frame with this key will not be used again.
  virtual void release(std::size_t key) = 0;
  /// Forgets all frames: keys start anew.
  virtual void clear() = 0;

  [[nodiscard]] const RegistrarCounts& counts() const { return counts_; }

 protected:
  RegistrarCounts counts_;
};

}  // namespace stillscope
