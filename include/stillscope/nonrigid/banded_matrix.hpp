// SPDX-License-Identifier: GPL-3.0-or-later
/// Symmetric matrices whose entries lie near the diagonal, as those of splines do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace stillscope {

/// The lower half of a symmetric n x n matrix with entries (i, j), i - j <= band.
class BandedMatrix {
 public:
  BandedMatrix() = default;
  BandedMatrix(std::size_t n, std::size_t band)
      : n_(n), band_(std::min(band, n == 0 ? 0 : n - 1)), values_(n * (band_ + 1)) {}

  [[nodiscard]] std::size_t size() const { return n_; }
  [[nodiscard]] std::size_t band() const { return band_; }
  /// Entry (i, j), j <= i <= j + band.
  [[nodiscard]] double& operator()(std::size_t i, std::size_t j) {
    return values_[i * (band_ + 1) + band_ + j - i];
  }
  [[nodiscard]] double operator()(std::size_t i, std::size_t j) const {
    return values_[i * (band_ + 1) + band_ + j - i];
  }
  /// Where entry (i, j) is, with those of the row up to (i, i) after it.
  [[nodiscard]] const double* at(std::size_t i, std::size_t j) const {
    return values_.data() + (i * (band_ + 1) + band_ + j - i);
  }
  [[nodiscard]] double trace() const;

  /// This += factor other, of the same size and band.
  void add(double factor, const BandedMatrix& other);
  /// out += factor A x.
  void multiply(double factor, std::span<const double> x, std::span<double> out) const;

 private:
  std::size_t n_ = 0;
  std::size_t band_ = 0;
  std::vector<double> values_;
};

/// L L^t = A, which is positive definite: A. Cholesky's.
class BandedCholesky {
 public:
  BandedCholesky() = default;
  /// Pivots that are not positive, within rounding, are taken for infinite: their unknowns are 0.
  explicit BandedCholesky(BandedMatrix matrix);

  /// x = A^-1 x.
  void solve(std::span<double> x) const;
  /// x = L^-1 x.
  void solve_lower(std::span<double> x) const;

 private:
  BandedMatrix factor_;
  std::vector<double> inverse_;  // of the diagonal
};

}  // namespace stillscope
