// SPDX-License-Identifier: GPL-3.0-or-later
/// What kernels sum over residuals, and what that says of a frame's brightness.
#pragma once

#include <algorithm>
#include <cmath>

namespace stillscope {

/// Sums over pixels, of residuals r and predictions p.
struct ResidualSums {
  double r = 0.0;
  double rr = 0.0;
  double rp = 0.0;
  double p = 0.0;
  double pp = 0.0;
};

/// Of the eight parts that kernels sum in.
[[nodiscard]] inline double total(const double (&parts)[8]) {
  return ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
         ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

/// Brings the gain and the offset of a fit to where residuals of so many pixels are least squares,
/// and says what is left: `fit.sigma`, `fit.similarity`. False where there is no such gain.
template <class Fit>
[[nodiscard]] bool update_brightness(const ResidualSums& sums, double pixels, bool has_gain,
                                     Fit& fit) {
  const double spread = sums.pp - sums.p * sums.p / pixels;
  const double covariance = sums.rp - sums.r * sums.p / pixels;
  if (!(pixels > 0.0 && spread > 0.0)) return false;
  double rest = sums.rr - sums.r * sums.r / pixels;
  if (has_gain) {
    rest -= covariance * covariance / spread;
    fit.gain += covariance / spread;
    fit.offset += (sums.r - covariance / spread * sums.p) / pixels;
  } else {
    fit.offset += sums.r / pixels;
  }
  fit.sigma = std::sqrt(std::max(rest, 0.0) / pixels);
  if (!(fit.gain > 0.02 && fit.gain < 50.0)) return false;
  const double explained = fit.gain * fit.gain * spread / pixels;
  fit.similarity = std::sqrt(explained / (explained + fit.sigma * fit.sigma));
  return true;
}

}  // namespace stillscope
