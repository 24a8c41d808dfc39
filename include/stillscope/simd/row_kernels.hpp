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
#include "stillscope/simd/merged_rows.hpp"
#include "stillscope/simd/sampled_rows.hpp"

namespace stillscope {

/// A band of rows of two frames whose exact correlation is wanted.
template <Pixel T>
struct CorrelationBand {
  const T* const* dst;  ///< `rows` rows.
  const T* const* src;  ///< rows + 2 rows: src[r] to src[r + 2] are summed against dst[r].
  std::size_t rows;
  std::size_t width;
  std::size_t first;  ///< Column of src, below `width`, that lies left of dst's column 0.
  /// What is taken from each pixel of a frame. Whole for 16-bit integers, where it leaves no more
  /// than 16 bits; not used for bytes.
  double dst_offset;
  double src_offset;
  /// 16-bit integers and bytes: how many sums of two products of pixels less their offsets surely
  /// fit 32 bits.
  std::size_t safe_products;
  /// Pixels from a row to one that will be read soon, to be fetched from memory meanwhile.
  std::ptrdiff_t dst_ahead;
  std::ptrdiff_t src_ahead;
};

/// Rows that are pooled into one.
template <Pixel T>
struct PoolRows {
  const T* const* rows;
  const float* weights;  ///< Share of each row.
  std::size_t count;
  std::size_t counted;  ///< The first so many rows are left out of the energy.
  /// Pixels from a row to one that will be read soon, to be fetched from memory meanwhile.
  std::ptrdiff_t ahead;
};

/// What is found out about the pixels of a frame, less its offset, while they are pooled.
struct PoolTally {
  double energy;
  float lowest;
  float highest;
};

/// The cells that the pixels of an axis are pooled into.
struct PoolAxis {
  std::size_t cells;
  const std::int32_t* first;  ///< First pixel of each cell.
  std::size_t stride;         ///< Weights a cell; a multiple of 8.
  const float* weights;       ///< weights[cell * stride + k]: share of pixel first[cell] + k.
};

/// A row of a frame beside what a template, interpolated between its pixels, predicts of it. What
/// is of the template is counted by its columns X; its rows are aligned to 64 bytes and can be read
/// from `fit_padding` columns before those that pixels belong to, to three times that behind them.
template <Pixel T>
struct FittedRow {
  const T* frame;     ///< Finite.
  std::size_t first;  ///< Pixel x belongs to column X = first + x.
  std::size_t lead;   ///< So many pixels can be read before the first one, whatever they are, ...
  std::size_t trail;  ///< ... and behind the last one.
  /// The prediction at X is the sum of down[j] along[k] coefficients[j][X + k - 1].
  const float* const* coefficients;  ///< 4 rows.
  const float* down;                 ///< 4 weights.
  const float* along;                ///< 4 weights.
  double zero;                       ///< Taken from each pixel before anything else.
  /// The residual is pixel - zero - (gain prediction + offset), or as near to that as `limit` lets
  /// it be to 0.
  float gain;
  float offset;
  float limit;
  /// At X, the residual there is blended with that to the left, of which this is the share; and
  /// that with `upper`, of which `upper_share` is, before it is multiplied by the gradients.
  float left_share;
  float upper_share;
  const float* upper;  ///< What `blended` was in the row before, or zeros.
  float* blended;      ///< The blended residuals; aligned and padded as the template's rows are.
  const float* gradient_height;
  const float* gradient_width;
  /// Elements from a row to one that will be read soon, to be fetched from memory meanwhile.
  std::ptrdiff_t ahead;
};
inline constexpr std::size_t fit_padding = 16;

/// Sums over pixels, of residuals r, predictions p and blended residuals times gradients: each is
/// the sum of its eight.
struct FittedSums {
  double r[8];
  double rr[8];
  double rp[8];
  double p[8];
  double pp[8];
  double height[8];
  double width[8];
};

/// A row of a frame whose blended pixels, pixels[x] + weight (pixels[x + 1] - pixels[x]), are
/// shared out to two rows of a sum.
template <Pixel T>
struct SpreadRow {
  const T* pixels;  ///< One more than are blended, where `weight` is not 0.
  float weight;
  float on_upper;
  float on_lower;
  /// Pixels from a row to one that will be read soon, to be fetched from memory meanwhile.
  std::ptrdiff_t ahead;
};

/// How values in float32 become pixels.
enum class PixelRounding {
  none,      ///< As they are, within the type's precision.
  nearest,   ///< The nearest integer, half to even, within the type's range.
  truncate,  ///< Toward zero, within the type's range.
};

/// How a row is stored: through the caches, or past them, which leaves these to others and does not
/// first read what is overwritten. `FloatKernels::finish_streams` ends the latter. Integers always
/// go through the caches: they are too few bytes for that to pay.
enum class RowStores { cached, streamed };

/// Kernels on rows of `n` pixels of type T.
template <Pixel T>
struct PixelKernels {
  /// Sum of a row: exact for integers, in T for floats.
  ProductSum<T> (*sum)(const T* row, std::size_t n);
  /// Widens [lowest, highest] to hold the row's pixels.
  void (*range)(const T* row, std::size_t n, T* lowest, T* highest);
  /// out = row - offset; returns the sum of the squares of `out`.
  float (*centre)(const T* row, std::size_t n, double offset, float* out);
  /// out = weighted sum of (row - offset); of the rows not counted before, adds the sum of the
  /// squares of row - offset to `energy` and, where T is a float type, widens [lowest, highest] to
  /// hold row - offset.
  void (*pool_rows)(const PoolRows<T>& rows, std::size_t n, double offset, float* out,
                    PoolTally* tally);
  /// sums[3 i + j] += sum over the band of dst(y, x) src(y + i - 1, x + j - 1) at a displacement,
  /// less offsets; columns are circular.
  void (*correlate_window)(const CorrelationBand<T>& band, ProductSum<T> sums[9]);
  /// The middle of the nine alone.
  void (*correlate_point)(const CorrelationBand<T>& band, ProductSum<T>* sum);
  /// out = row.
  void (*to_float)(const T* row, std::size_t n, float* out);
  /// out[x] = row[x] + weight (row[x + 1] - row[x]), from n + 1 pixels.
  void (*blend_columns)(const T* row, std::size_t n, float weight, float* out);
  /// out = (a + b) + c, in T.
  void (*add)(const T* a, const T* b, const T* c, std::size_t n, T* out);
  /// out = upper + weight (lower - upper); upper alone where `lower` is null.
  void (*blend_rows)(const float* upper, const float* lower, std::size_t n, float weight,
                     PixelRounding rounding, RowStores stores, T* out);
  /// Adds what `n` pixels say to `sums`; where not `all`, but for what is of predictions alone.
  void (*fit_row)(const FittedRow<T>& row, std::size_t n, bool all, FittedSums* sums);
  /// out[x] = the mean of pixels 2x and 2x + 1 of both rows, less `offset`; n means.
  void (*halve)(const T* upper, const T* lower, std::size_t n, double offset, float* out);
  /// upper += on_upper blended, and unless it is null lower += on_lower blended.
  void (*spread)(const SpreadRow<T>& row, std::size_t n, float* upper, float* lower);
};

/// Kernels on rows of float32.
struct FloatKernels {
  /// out = the weighted sum, in float32, sixteen rows at a time.
  void (*weighted_sum)(const WeightedRows& rows, std::size_t n, float* out);
  /// out = the merged rows, none of which it is; `merge_coded`: to the nearest integer.
  void (*merge)(const MergedRows& rows, std::size_t n, float* out);
  void (*merge_coded)(const MergedRows& rows, std::size_t n, std::int16_t* out);
  /// The same of three rows without an offset into out[1]; into out[0] the first of them alone and
  /// into out[2] the second, each with `slot_factor` instead.
  void (*merge_slots)(const MergedRows& rows, float slot_factor, std::size_t n,
                      std::int16_t* const* out);
  /// sums += row.
  void (*accumulate)(const float* row, std::size_t n, double* sums);
  /// out = the highest of `count` rows.
  void (*maximum)(const float* const* rows, std::size_t count, std::size_t n, float* out);
  /// row = row, toward zero.
  void (*truncate)(float* row, std::size_t n);
  /// The highest value of a row.
  float (*highest)(const float* row, std::size_t n);
  /// out = the cells of a row, which is readable and finite `axis.stride` pixels beyond its end.
  void (*pool_columns)(const float* row, const PoolAxis& axis, float* out);
  /// c = gain a conj(b), n complex numbers as (real, imaginary) pairs; `gain` may be null.
  void (*multiply_conjugate)(const float* a, const float* b, const float* gain, std::size_t n,
                             float* c);
  /// Sum of weights |a|^2 over n complex numbers.
  float (*weighted_power)(const float* a, const float* weights, std::size_t n);
  /// Values of all runs, from run.first on, and up to 15 behind each run.
  void (*cubics)(const CubicRuns& runs, float* height, float* width);
  /// out = n values, and up to seven more, between the pixels of a frame: from two of them on each
  /// axis, or from four (cubic convolution). Those of weight zero do not count, whatever they are.
  void (*sample_linear)(const SampledRow& row, std::size_t n, float* out);
  void (*sample_cubic)(const SampledRow& row, std::size_t n, float* out);
  /// Adds the residuals of the columns [begin, end) of a row times gradients (and detail) to
  /// `columns`, and what is there to `totals`.
  void (*deformed_residuals)(const DeformedRow& row, std::size_t begin, std::size_t end,
                             const DeformedSums& columns, DeformedTotals* totals);
  /// Sums and counts += what is a number in each of `count` rows.
  void (*accumulate_numbers)(const float* const* rows, std::size_t count, std::size_t n,
                             double* sums, float* counts);
  /// Rows that this thread has streamed are stored before whatever it stores from here on.
  void (*finish_streams)();
  /// The sum of a[i] b[i].
  float (*dot)(const float* a, const float* b, std::size_t n);
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
