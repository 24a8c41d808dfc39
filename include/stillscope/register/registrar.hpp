// SPDX-License-Identifier: GPL-3.0-or-later
/// The interface that every registrar of a pair of frames has.
#pragma once

#include <cstddef>
#include <optional>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/register/frame_ref.hpp"

namespace stillscope {

/// What a registrar has done.
struct RegistrarCounts {
  std::size_t registrations = 0;
  std::size_t spectra = 0;      ///< Forward transforms of frames, the first of each.
  std::size_t windows = 0;      ///< Exact correlations at 3x3 displacements.
  std::size_t points = 0;       ///< Exact correlations at single displacements.
  std::size_t refinements = 0;  ///< Registrations that a finer grid was asked for.
  std::size_t fallbacks = 0;    ///< Registrations that a faster method handed to the full-size one.
  std::size_t extra_spectra = 0;  ///< Transforms that refinements and fallbacks needed.

  friend bool operator==(const RegistrarCounts&, const RegistrarCounts&) = default;
  RegistrarCounts& operator+=(const RegistrarCounts& other) {
    registrations += other.registrations;
    spectra += other.spectra;
    windows += other.windows;
    points += other.points;
    refinements += other.refinements;
    fallbacks += other.fallbacks;
    extra_spectra += other.extra_spectra;
    return *this;
  }
};

/// Registers pairs of frames of one size by their un-normalised circular cross-correlation. What it
/// computes of a frame (its spectrum) is kept under the frame's key until released. An object
/// serves one thread at a time; the executor that it is given may share its loops out, and changes
/// no bit of the answer.
template <Pixel T>
class Registrar {
 public:
  virtual ~Registrar() = default;

  /// Reads a frame of floats that may be registered, ahead of that, and returns the range of its
  /// pixels; none where one is not finite: then nothing is kept.
  virtual std::optional<PixelRange> prepare(const FrameRef<T>& frame) = 0;
  /// The shift [px] that brings `src` onto `dst`: minus the peak of Eq. (1). Both are finite.
  [[nodiscard]] virtual Shift shift_to_register(const FrameRef<T>& src, const FrameRef<T>& dst,
                                                const Executor& executor = SerialExecutor()) = 0;
  /// The frame with this key will not be used again.
  virtual void release(std::size_t key) = 0;
  /// Forgets all frames: keys start anew.
  virtual void clear() = 0;

  [[nodiscard]] const RegistrarCounts& counts() const { return counts_; }

 protected:
  RegistrarCounts counts_;
};

}  // namespace stillscope
