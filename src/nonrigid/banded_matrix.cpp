// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/nonrigid/banded_matrix.hpp"

#include <cmath>
#include <utility>

namespace stillscope {
namespace {

double dot(const double* a, const double* b, std::size_t n) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
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
    double sum = 0.0;
    const double scaled = factor * x[i];
    for (std::size_t j = first; j < i; ++j) {
      sum += row[j - first] * x[j];
      out[j] += row[j - first] * scaled;
    }
    out[i] += factor * (sum + row[i - first] * x[i]);
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
    const double known = x[i];
    const double* row = factor_.at(i, first);
    for (std::size_t j = first; j < i; ++j) x[j] -= row[j - first] * known;
  }
}

}  // namespace stillscope
