// SPDX-License-Identifier: GPL-3.0-or-later
/// A row of a frame beside its prediction. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pixel_lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

// As wide as registers are, at every level: lanes move within a register only.
#if defined(__AVX2__)
inline constexpr std::ptrdiff_t wide = broad;
#else
inline constexpr std::ptrdiff_t wide = 4;
#endif
using Wide = float __attribute__((vector_size(4 * wide)));
using WideInts = std::int32_t __attribute__((vector_size(4 * wide)));

#if !defined(__AVX2__)
/// `value` brought into [-limit, limit].
inline __attribute__((always_inline)) Wide limited(const Wide& value, float limit) {
#if defined(__SSE2__)
  const __m128 below = _mm_min_ps(reinterpret_cast<__m128>(value), _mm_set1_ps(limit));
  return reinterpret_cast<Wide>(_mm_max_ps(below, _mm_set1_ps(-limit)));
#else
  const Wide below = value < limit ? value : Wide{} + limit;
  return below > -limit ? below : Wide{} - limit;
#endif
}

inline __attribute__((always_inline)) void add_lanes(const Wide& lanes, double (&sums)[8]) {
  for (int k = 0; k < wide; ++k) sums[k] += static_cast<double>(lanes[k]);
}
#endif

/// Pixels less what is taken from each.
template <Pixel T>
inline __attribute__((always_inline)) Wide wide_centred(const T* from, double offset) {
  if constexpr (std::is_same_v<T, float>) return load<Wide>(from) - static_cast<float>(offset);
#if defined(__AVX512F__)
  const Floats halves[2] = {centred_lanes(from, offset), centred_lanes(from + 8, offset)};
  return __builtin_shufflevector(halves[0], halves[1], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
                                 14, 15);
#elif defined(__AVX2__)
  return centred_lanes(from, offset);
#else
  Wide result;
  for (int k = 0; k < wide; ++k) {
    result[k] = std::is_same_v<T, double>
                    ? static_cast<float>(static_cast<double>(from[k]) - offset)
                    : static_cast<float>(from[k]) - static_cast<float>(offset);
  }
  return result;
#endif
}

/// A vector of columns of the four rows' weighted sum.
inline __attribute__((always_inline)) Wide weighted_at(const float* const (&rows)[4],
                                                       const Wide (&weights)[4], std::ptrdiff_t x) {
  return (weights[0] * load<Wide>(rows[0] + x) + weights[1] * load<Wide>(rows[1] + x)) +
         (weights[2] * load<Wide>(rows[2] + x) + weights[3] * load<Wide>(rows[3] + x));
}

// Everything of the template is read once, from aligned addresses: what else a pixel needs of its
// neighbours' is taken from registers. A column's pixels are worked on in three steps, each in
// another round of the loop, since the steps of one round would wait for one another.
template <Pixel T, bool all>
void fit_row_of(const FittedRow<T>& in, std::size_t n, FittedSums* sums) {
  // Copies, which no store can be suspected of changing.
  const FittedRow<T> row = in;
  const float* const coefficients[4] = {in.coefficients[0], in.coefficients[1], in.coefficients[2],
                                        in.coefficients[3]};
  const Wide zeros{};
  const Wide down[4] = {zeros + in.down[0], zeros + in.down[1], zeros + in.down[2],
                        zeros + in.down[3]};
  // Predictions are wanted with the gain; what a frame has besides is taken from its pixels.
  const float along[4] = {in.gain * in.along[0], in.gain * in.along[1], in.gain * in.along[2],
                          in.gain * in.along[3]};
  const double offset = row.zero + static_cast<double>(row.offset);
  const auto first = static_cast<std::ptrdiff_t>(row.first);
  const auto end = first + static_cast<std::ptrdiff_t>(n);
  const std::ptrdiff_t readable = first - static_cast<std::ptrdiff_t>(row.lead);
  const std::ptrdiff_t readable_end = end + static_cast<std::ptrdiff_t>(row.trail);
  std::ptrdiff_t x = first / wide * wide;
  // The template's rows, blended, from the columns before x on.
  Wide before = weighted_at(coefficients, down, x - wide);
  Wide here = weighted_at(coefficients, down, x);
  Wide next = weighted_at(coefficients, down, x + wide);
  // Residuals of the columns before x, and of those before them.
  Wide last{};
  Wide second_last{};
  Wide r{};
  Wide rr{};
  Wide rp{};
  Wide p{};
  Wide pp{};
  Wide height{};
  Wide width{};
  const auto find_residuals = [&](const Wide& pixels, bool is_whole)
      __attribute__((always_inline)) {
    if (x % 16 == 0) {
      __builtin_prefetch(row.frame + (x - first) + row.ahead);
    }
    const Wide left = along[0] * joined<wide - 1>(before, here) + along[1] * here;
    const Wide right = along[2] * joined<1>(here, next) + along[3] * joined<2>(here, next);
    Wide predicted = left + right;
    Wide residual = limited(pixels - predicted, row.limit);
    if (!is_whole) {
      const WideInts columns = static_cast<std::int32_t>(x) + numbers_from_zero<WideInts>();
      const WideInts is_there = (columns >= static_cast<std::int32_t>(first)) &
                                (columns < static_cast<std::int32_t>(end));
      residual = is_there ? residual : zeros;
      predicted = is_there ? predicted : zeros;
    }
    r += residual;
    rr += residual * residual;
    if constexpr (all) {
      rp += residual * predicted;
      p += predicted;
      pp += predicted * predicted;
    }
    second_last = last;
    last = residual;
    before = here;
    here = next;
    next = weighted_at(coefficients, down, x + 2 * wide);
    x += wide;
  };
  const auto project = [&]() __attribute__((always_inline)) {
    const Wide blended = last + row.left_share * (joined<wide - 1>(second_last, last) - last);
    const Wide upper = load<Wide>(row.upper + x - wide);
    const Wide both = blended + row.upper_share * (upper - blended);
    store(blended, row.blended + x - wide);
    height += both * load<Wide>(row.gradient_height + x - wide);
    width += both * load<Wide>(row.gradient_width + x - wide);
  };
  // Where not all columns have a pixel.
  const auto find_part = [&] {
    const T* from = row.frame + (x - first);
    T some[wide] = {};
    if (x < readable || x + wide > readable_end) {
      for (std::ptrdiff_t k = x < first ? first - x : 0; k < wide && x + k < end; ++k) {
        some[k] = from[k];
      }
      from = some;
    }
    find_residuals(wide_centred(from, offset), false);
  };
  // From the vector that holds the first pixel's column to the one that holds the column behind the
  // last, which has that pixel's residual to the left.
  find_part();
  while (x + wide <= end) {
    project();
    find_residuals(wide_centred(row.frame + (x - first), offset), true);
  }
  project();
  if (x <= end) {
    find_part();
    project();
  }
  add_lanes(r, sums->r);
  add_lanes(rr, sums->rr);
  if constexpr (all) {
    const float scale = 1.0F / row.gain;
    add_lanes(scale * rp, sums->rp);
    add_lanes(scale * p, sums->p);
    add_lanes((scale * scale) * pp, sums->pp);
  }
  add_lanes(height, sums->height);
  add_lanes(width, sums->width);
}

template <Pixel T>
void fit_row(const FittedRow<T>& row, std::size_t n, bool all, FittedSums* sums) {
  if (all) return fit_row_of<T, true>(row, n, sums);
  fit_row_of<T, false>(row, n, sums);
}

}  // namespace
}  // namespace stillscope
