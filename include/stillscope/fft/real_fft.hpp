// SPDX-License-Identifier: GPL-3.0-or-later
/// Two-dimensional real Fourier transforms. The only code that knows FFTW is src/fft/real_fft.cpp.
#pragma once

#include <complex>
#include <concepts>
#include <memory>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// How much time goes into finding fast transforms.
enum class FftPlanning {
  quick,    ///< None to speak of (FFTW_ESTIMATE).
  thorough  ///< Up to about a second for a size, once a process (FFTW_MEASURE).
};

/// Transforms of frames of one size, in the layout of `np.fft.rfft2`: a frame (height, width) in C
/// order and its spectrum (height, width / 2 + 1). Copies share one plan. Planning is done once per
/// size and process; executing is thread-safe and takes no lock.
template <std::floating_point Real>
requires(std::same_as<Real, float> || std::same_as<Real, double>) class RealFft {
 public:
  /// Throws `std::invalid_argument` where `extent` has no pixel.
  explicit RealFft(Extent extent, FftPlanning planning = FftPlanning::quick);

  [[nodiscard]] Extent extent() const { return extent_; }
  /// Number of complex values in a spectrum.
  [[nodiscard]] std::size_t spectrum_size() const {
    return extent_.height * (extent_.width / 2 + 1);
  }

  /// spectrum = rfft2(frame). Both buffers are aligned as `AlignedBuffer`s are; `frame` is kept.
  void forward(const Real* frame, std::complex<Real>* spectrum) const;
  /// frame = height * width * irfft2(spectrum), not normalised. `spectrum` is overwritten.
  void inverse(std::complex<Real>* spectrum, Real* frame) const;

 private:
  struct Plans;

  Extent extent_;
  std::shared_ptr<const Plans> plans_;
};

}  // namespace stillscope
