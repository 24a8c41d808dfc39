// SPDX-License-Identifier: GPL-3.0-or-later
/// Registration from spectra that a caller already has.
#pragma once

#include <complex>

#include "stillscope/core/buffer.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/peak.hpp"

namespace stillscope {

/// Displacement [px] of the source's content relative to the destination, from their spectra in the
/// layout of `np.fft.rfft2` (extent.height x (extent.width / 2 + 1), C order), in double precision:
/// the first maximum of Eq. (1), refined. minian's `_xcorr_subpixel`.
[[nodiscard]] inline Shift displacement_from_spectra(const std::complex<double>* src,
                                                     const std::complex<double>* dst,
                                                     Extent extent) {
  const RealFft<double> fft(extent);
  AlignedBuffer<std::complex<double>> product(fft.spectrum_size());
  AlignedBuffer<double> correlation(extent.area());
  cross_power(src, dst, product.size(), product.data());
  fft.inverse(product.data(), correlation.data());
  return displacement_of_correlation(correlation.data(), extent);
}

}  // namespace stillscope
