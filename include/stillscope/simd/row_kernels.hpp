// SPDX-License-Identifier: GPL-3.0-or-later
/// The inner loops, on contiguous rows, compiled once for each instruction set and chosen at run
/// time.
///
/// Nothing but declarations: this header is included by code that is compiled for newer processors,
/// where an inline function could replace the portable one of the same name at link time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stillscope/core/pixel.hpp"

namespace stillscope {

/// Pixels as the exact correlation multiplies them: bytes in 16 bits, for which every vector unit
/// has a multiply-add; 16-bit integers in 32; floats less their mean in float32.
template <Pixel T>
using CorrelationValue =
    std::conditional_t<std::is_floating_point_v<T>, float,
                       std::conditional_t<sizeof(T) == 1, std::int16_t, std::int32_t>>;

/// Kernels on rows of `n` pixels of type T.
template <Pixel T>
struct PixelKernels {
  /// Sum of a row: exact for integers, in T for floats.
  ProductSum<T> (*sum)(const T* row, std::size_t n);
  /// out = row - mean; returns the sum of the squares of `out`.
  float (*centre)(const T* row, std::size_t n, double mean, float* out);
  /// sums += weight (row - mean); returns the sum of the squares of row - mean.
  float (*pool_row)(const T* row, std::size_t n, double mean, float weight, float* sums);
  /// out = row as the correlation takes it: floats less `mean`, integers as they are.
  void (*to_correlation_values)(const T* row, std::size_t n, double mean, CorrelationValue<T>* out);
  /// sums[3 i + j] += sum over x of dst[x] src[i][x + j]; each src row has n + 2 values.
  void (*correlate)(const CorrelationValue<T>* dst, const CorrelationValue<T>* const src[3],
                    std::size_t n, ProductSum<T> sums[9]);
  /// out = row.
  void (*to_float)(const T* row, std::size_t n, float* out);
  /// out = upper + weight (lower - upper), for a translation by whole columns.
  void (*blend_rows)(const T* upper, const T* lower, std::size_t n, float weight, float* out);
  /// Eq. (4), from n + 1 pixels of each row.
  void (*bilinear)(const T* upper, const T* lower, std::size_t n, float row_weight,
                   float column_weight, float* out);
  /// out = row, toward zero or to the nearest integer, within the type's range.
  void (*from_float)(const float* row, std::size_t n, bool truncate, T* out);
};

/// Kernels on rows of float32.
struct FloatKernels {
  /// sum += row.
  void (*add)(const float* row, std::size_t n, float* sum);
  /// highest = max(highest, row).
  void (*maximum)(const float* row, std::size_t n, float* highest);
  /// row = row, toward zero.
  void (*truncate)(float* row, std::size_t n);
  /// The highest value of a row.
  float (*highest)(const float* row, std::size_t n);
  /// out[i] = sum over k < taps of weights[k n + i] row[first[i] + k].
  void (*gather)(const float* row, const std::int32_t* first, const float* weights,
                 std::size_t taps, std::size_t n, float* out);
  /// c = a * conj(b), n complex numbers as (real, imaginary) pairs.
  void (*multiply_conjugate)(const float* a, const float* b, std::size_t n, float* c);
};

/// The kernels for this processor, or those that the environment's STILLSCOPE_ISA names (baseline,
/// v3 or v4 on x86-64; baseline elsewhere), read once. Throws `std::invalid_argument` where that is
/// none of them or the processor lacks it.
template <Pixel T>
[[nodiscard]] const PixelKernels<T>& pixel_kernels();
template <>
const PixelKernels<std::uint8_t>& pixel_kernels();
template <>
const PixelKernels<std::uint16_t>& pixel_kernels();
template <>
const PixelKernels<std::int16_t>& pixel_kernels();
template <>
const PixelKernels<float>& pixel_kernels();
template <>
const PixelKernels<double>& pixel_kernels();
[[nodiscard]] const FloatKernels& float_kernels();
/// The name of the level in use.
[[nodiscard]] const char* instruction_set();

}  // namespace stillscope
