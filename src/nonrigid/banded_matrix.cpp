// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/nonrigid/banded_matrix.hpp"

#include <Eigen/Core>
#include <cmath>
#include <utility>

namespace stillscope {
namespace {

Eigen::Map<const Eigen::VectorXd> vector(const double* values, std::size_t n) {
  return {values, static_cast<Eigen::Index>(n)};
}
Eigen::Map<Eigen::VectorXd> vector(double* values, std::size_t n) {
  return {values, static_cast<Eigen::Index>(n)};
}

double dot(const double* a, const double* b, std::size_t n) {
  return vector(a, n).dot(vector(b, n));
}

}  // namespace

double BandedMatrix::trace() const {
  double sum = 0.0;
  for (std::size_t i = 0; i < n_; ++i) sum += (*this)(i, i);
  return sum;
}

void BandedMatrix::add(double factor, const BandedMatrix& other) {
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i] += factor * other.values_[i];
}

void BandedMatrix::multiply(double factor, std::span<const double> x, std::span<double> out) const {
  for (std::size_t i = 0; i < n_; ++i) {
    const std::size_t first = i > band_ ? i - band_ : 0;
    const double* row = &values_[i * (band_ + 1) + band_ + first - i];
    vector(&out[first], i - first) += factor * x[i] * vector(row, i - first);
    out[i] += factor * dot(row, &x[first], i - first + 1);
  }
}

BandedCholesky::BandedCholesky(BandedMatrix matrix)
    : factor_(std::move(matrix)), inverse_(factor_.size()) {
  const std::size_t n = factor_.size();
  const std::size_t band = factor_.band();
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t first = i > band ? i - band : 0;
    const double given = factor_(i, i);
    for (std::size_t j = first; j <= i; ++j) {
      const std::size_t from = std::max(first, j > band ? j - band : 0);
      const double rest = factor_(i, j) - dot(factor_.at(i, from), factor_.at(j, from), j - from);
      if (j < i) {
        factor_(i, j) = rest * inverse_[j];
      } else {
        const bool is_positive = rest > 1e-14 * given;
        factor_(i, i) = is_positive ? std::sqrt(rest) : 0.0;
        inverse_[i] = is_positive ? 1.0 / factor_(i, i) : 0.0;
      }
    }
  }
}

void BandedCholesky::solve_lower(std::span<double> x) const {
  const std::size_t band = factor_.band();
  // What is 0 in front stays so.
  std::size_t begin = 0;
  while (begin < factor_.size() && x[begin] == 0.0) ++begin;
  for (std::size_t i = begin; i < factor_.size(); ++i) {
    const std::size_t first = i > band ? i - band : 0;
    x[i] = (x[i] - dot(factor_.at(i, first), &x[first], i - first)) * inverse_[i];
  }
}

void BandedCholesky::solve(std::span<double> x) const {
  solve_lower(x);
  const std::size_t band = factor_.band();
  for (std::size_t i = factor_.size(); i-- > 0;) {
    const std::size_t first = i > band ? i - band : 0;
    x[i] *= inverse_[i];
    vector(&x[first], i - first) -= x[i] * vector(factor_.at(i, first), i - first);
  }
}

}  // namespace stillscope
