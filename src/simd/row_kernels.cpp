// SPDX-License-Identifier: GPL-3.0-or-later
/// Compiled once for each level, as STILLSCOPE_KERNELS. No inline function of the standard library
/// is used here: compiled for a newer processor, it could be linked into code that runs on an older
/// one.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "correlate.hpp"
#include "deformed.hpp"
#include "fit_row.hpp"
#include "levels.hpp"
#include "merge.hpp"
#include "pool.hpp"
#include "sample.hpp"
#include "spread.hpp"
#include "streams.hpp"

namespace stillscope {
namespace {

template <Pixel T>
ProductSum<T> sum(const T* row, std::size_t n) {
  // Bytes fit 32 bits up to 2^24 columns.
  using Sum = std::conditional_t<std::is_floating_point_v<T>, T,
                                 std::conditional_t<sizeof(T) == 1, std::uint32_t, std::int64_t>>;
  Sum total{};
#pragma omp simd reduction(+ : total)
  for (std::size_t x = 0; x < n; ++x) total += static_cast<Sum>(row[x]);
  return static_cast<ProductSum<T>>(total);
}

template <Pixel T>
void range(const T* row, std::size_t n, T* lowest, T* highest) {
  T low = *lowest;
  T high = *highest;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (std::size_t x = 0; x < n; ++x) {
    low = row[x] < low ? row[x] : low;
    high = row[x] > high ? row[x] : high;
  }
  *lowest = low;
  *highest = high;
}

template <Pixel T>
float centre(const T* row, std::size_t n, double offset, float* out) {
  using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto zero = static_cast<Working>(offset);
  float energy = 0.0F;
#pragma omp simd reduction(+ : energy)
  for (std::size_t x = 0; x < n; ++x) {
    const auto value = static_cast<float>(static_cast<Working>(row[x]) - zero);
    out[x] = value;
    energy += value * value;
  }
  return energy;
}

template <Pixel T>
void halve(const T* upper, const T* lower, std::size_t n, double offset, float* out) {
  std::size_t x = 0;
  if constexpr (std::is_same_v<T, double>) {
    // In double, which a large offset needs.
    for (; x < n; ++x) {
      const double sum = (upper[2 * x] + upper[2 * x + 1]) + (lower[2 * x] + lower[2 * x + 1]);
      out[x] = static_cast<float>(0.25 * sum - offset);
    }
  } else {
    const auto zero = static_cast<float>(offset);
    for (; x + 8 <= n; x += 8) {
      const Floats a = floats_at(upper + 2 * x) + floats_at(lower + 2 * x);
      const Floats b = floats_at(upper + 2 * x + 8) + floats_at(lower + 2 * x + 8);
      const Floats pairs = __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +
                           __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
      store(0.25F * pairs - zero, out + x);
    }
    for (; x < n; ++x) {
      const float sum =
          (static_cast<float>(upper[2 * x]) + static_cast<float>(lower[2 * x])) +
          (static_cast<float>(upper[2 * x + 1]) + static_cast<float>(lower[2 * x + 1]));
      out[x] = 0.25F * sum - zero;
    }
  }
}

template <Pixel T>
void to_float(const T* row, std::size_t n, float* out) {
  std::size_t x = 0;
  for (; x + 8 <= n; x += 8) store(floats_at(row + x), out + x);
  for (; x < n; ++x) out[x] = static_cast<float>(row[x]);
}

template <Pixel T>
void blend_columns(const T* row, std::size_t n, float weight, float* out) {
  if (n < 8) {
    for (std::size_t x = 0; x < n; ++x) {
      out[x] = blend(static_cast<float>(row[x]), static_cast<float>(row[x + 1]), weight);
    }
    return;
  }
  // Neighbours from registers: what is not aligned costs twice as much to load.
  Floats here = floats_at(row);
  std::size_t x = 0;
  const auto eight = [&] __attribute__((always_inline)) {
    const Floats next = floats_at(row + x + 8);
    const Floats right = joined<1>(here, next);
    store(blend(here, right, weight), out + x);
    here = next;
    x += 8;
  };
  while (x + 23 <= n) {
    eight();
    eight();
  }
  while (x < n) {
    x = x + 8 <= n ? x : n - 8;
    store(blend(floats_at(row + x), floats_at(row + x + 1), weight), out + x);
    x += 8;
  }
}

template <Pixel T>
constexpr float lowest_pixel = std::is_signed_v<T> ? -32768.0F : 0.0F;
template <Pixel T>
constexpr float highest_pixel = sizeof(T) == 1        ? 255.0F
                                : std::is_signed_v<T> ? 32767.0F
                                                      : 65535.0F;

template <Pixel T, PixelRounding rounding, class Lanes>
inline __attribute__((always_inline)) Lanes rounded(Lanes value) {
  if constexpr (std::is_floating_point_v<T>) {
    return rounding == PixelRounding::truncate ? truncated(value) : value;
  } else {
    value = value < lowest_pixel<T> ? Lanes{} + lowest_pixel<T> : value;
    value = value > highest_pixel<T> ? Lanes{} + highest_pixel<T> : value;
    // Adding and taking away 1.5 * 2^23 rounds half to even, as the processor does.
    constexpr float shift = 12582912.0F;
    return rounding == PixelRounding::nearest ? (value + shift) - shift : value;
  }
}

/// Sixteen values, rounded before if T is an integer type, as pixels. `streams`: floats go past the
/// caches, to an aligned address.
template <bool streams, Pixel T>
inline __attribute__((always_inline)) void store_pixels(const Floats& a, const Floats& b, T* out) {
  const auto put = [](const auto& vector, T* to) __attribute__((always_inline)) {
    if constexpr (streams) {
      stream(vector, to);
    } else {
      store(vector, to);
    }
  };
  if constexpr (std::is_same_v<T, float>) {
    put(a, out);
    put(b, out + 8);
  } else if constexpr (std::is_same_v<T, double>) {
    put(__builtin_convertvector(a, Doubles), out);
    put(__builtin_convertvector(b, Doubles), out + 8);
  } else {
    store_ints(__builtin_convertvector(a, Ints), __builtin_convertvector(b, Ints), out);
  }
}

template <Pixel T, PixelRounding rounding, bool streams>
void blend_rows_rounded(const float* upper, const float* lower, std::size_t n, float weight,
                        T* out) {
  const bool is_single = lower == nullptr;
  const auto value_at = [&]<class Lanes>(std::size_t x, Lanes) __attribute__((always_inline)) {
    Lanes value = load<Lanes>(upper + x);
    if (!is_single) value = blend(value, load<Lanes>(lower + x), weight);
    return rounded<T, rounding>(value);
  };
  const auto sixteen = [&]<bool past>(std::size_t x, T * to) __attribute__((always_inline)) {
    store_pixels<past>(value_at(x, Floats{}), value_at(x + 8, Floats{}), to);
  };
  // Fewer than sixteen pixels, with or without their neighbours.
  const auto few = [&](std::size_t x, std::size_t count) {
    if (n >= 16) {
      const std::size_t from = x + 16 <= n ? x : n - 16;
      T pixels[16];
      sixteen.template operator()<false>(from, pixels);
      __builtin_memcpy(out + x, pixels + (x - from), count * sizeof(T));
      return;
    }
    for (const std::size_t end = x + count; x < end; ++x) {
      const float value = value_at(x, float{});
      if constexpr (std::is_integral_v<T>) {
        out[x] = static_cast<T>(static_cast<std::int32_t>(value));
      } else {
        out[x] = static_cast<T>(value);
      }
    }
  };
  std::size_t x = 0;
  if constexpr (streams) {
    // Whole lines of the cache alone: of a part of one, the rest would have to be read after all.
    const auto address = reinterpret_cast<std::uintptr_t>(out);
    const std::size_t beyond = address / sizeof(T) % 16;
    const std::size_t lead = beyond == 0 ? 0 : 16 - beyond;
    if (address % sizeof(T) == 0 && lead + 16 <= n) {
      if (lead > 0) few(0, lead);
      for (x = lead; x + 16 <= n; x += 16) sixteen.template operator()<true>(x, out + x);
    }
  }
  for (; x + 16 <= n; x += 16) sixteen.template operator()<false>(x, out + x);
  if (x < n) few(x, n - x);
}

template <Pixel T>
void blend_rows(const float* upper, const float* lower, std::size_t n, float weight,
                PixelRounding rounding, RowStores stores, T* out) {
  const auto blend_as = [&]<PixelRounding as>() {
    const bool streams = stores == RowStores::streamed && std::is_floating_point_v<T>;
    const auto rows = streams ? blend_rows_rounded<T, as, std::is_floating_point_v<T>>
                              : blend_rows_rounded<T, as, false>;
    rows(upper, lower, n, weight, out);
  };
  if (rounding == PixelRounding::truncate) {
    blend_as.template operator()<PixelRounding::truncate>();
  } else if (rounding == PixelRounding::nearest) {
    blend_as.template operator()<PixelRounding::nearest>();
  } else {
    blend_as.template operator()<PixelRounding::none>();
  }
}

template <Pixel T>
void add(const T* __restrict a, const T* __restrict b, const T* __restrict c, std::size_t n,
         T* __restrict out) {
  for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<T>((a[x] + b[x]) + c[x]);
}

/// `count` registers of a weighted sum, or a float. Partial sums of sixteen rows keep the rounding
/// of many rows small.
template <class Lanes, std::size_t count>
inline __attribute__((always_inline)) void weigh(const WeightedRows& in, std::size_t x,
                                                 Lanes (&totals)[count]) {
  constexpr std::size_t batch = 16;
  for (Lanes& total : totals) total = Lanes{} + in.offset;
  for (std::size_t begin = 0; begin < in.count; begin += batch) {
    const std::size_t end = begin + batch < in.count ? begin + batch : in.count;
    Lanes sums[count] = {};
    for (std::size_t k = begin; k < end; ++k) {
      const float* row = in.rows[k] + x;
      const float weight = in.weights[k];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < count; ++i) sums[i] += weight * load<Lanes>(row + 8 * i);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < count; ++i) totals[i] += sums[i];
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < count; ++i) totals[i] *= in.factor;
}

/// The same for a number of rows that is known when this is compiled.
template <std::size_t rows>
void weigh_few(const WeightedRows& in, std::size_t n, float* out) {
  // Copies, which no store can be suspected of changing.
  const float* row[rows];
  Floats weight[rows];
  for (std::size_t k = 0; k < rows; ++k) {
    row[k] = in.rows[k];
    weight[k] = Floats{} + in.weights[k];
  }
  const float offset = in.offset;
  const float factor = in.factor;
  std::size_t x = 0;
  for (; x + 16 <= n; x += 16) {
    Floats a{};
    Floats b{};
#pragma GCC unroll 8
    for (std::size_t k = 0; k < rows; ++k) {
      a += weight[k] * load<Floats>(row[k] + x);
      b += weight[k] * load<Floats>(row[k] + x + 8);
    }
    store((a + offset) * factor, out + x);
    store((b + offset) * factor, out + x + 8);
  }
  for (; x < n; ++x) {
    float sum = 0.0F;
    for (std::size_t k = 0; k < rows; ++k) sum += in.weights[k] * row[k][x];
    out[x] = (sum + offset) * factor;
  }
}

void weighted_sum(const WeightedRows& in, std::size_t n, float* out) {
  if (in.count == 2) return weigh_few<2>(in, n, out);
  if (in.count == 4) return weigh_few<4>(in, n, out);
  std::size_t x = 0;
  for (; x + 32 <= n; x += 32) {
    Floats totals[4];
    weigh(in, x, totals);
    for (std::size_t i = 0; i < 4; ++i) store(totals[i], out + x + 8 * i);
  }
  for (; x < n; ++x) {
    float total[1];
    weigh(in, x, total);
    out[x] = total[0];
  }
}

void accumulate(const float* __restrict row, std::size_t n, double* __restrict sums) {
  for (std::size_t x = 0; x < n; ++x) sums[x] += static_cast<double>(row[x]);
}

void maximum(const float* const* rows, std::size_t count, std::size_t n, float* __restrict out) {
  for (std::size_t x = 0; x < n; ++x) out[x] = rows[0][x];
  for (std::size_t k = 1; k < count; ++k) {
    const float* __restrict row = rows[k];
    for (std::size_t x = 0; x < n; ++x) out[x] = row[x] > out[x] ? row[x] : out[x];
  }
}

void truncate(float* row, std::size_t n) {
  for (std::size_t x = 0; x < n; ++x) row[x] = truncated(row[x]);
}

float highest(const float* row, std::size_t n) {
  float value = row[0];
#pragma omp simd reduction(max : value)
  for (std::size_t x = 0; x < n; ++x) value = row[x] > value ? row[x] : value;
  return value;
}

float dot(const float* a, const float* b, std::size_t n) {
  Floats lanes[2] = {};
  std::size_t x = 0;
  for (; x + 16 <= n; x += 16) {
    lanes[0] += load<Floats>(a + x) * load<Floats>(b + x);
    lanes[1] += load<Floats>(a + x + 8) * load<Floats>(b + x + 8);
  }
  const Floats both = lanes[0] + lanes[1];
  float sum = 0.0F;
  for (int k = 0; k < 8; ++k) sum += both[k];
  for (; x < n; ++x) sum += a[x] * b[x];
  return sum;
}

void multiply_conjugate(const float* __restrict a, const float* __restrict b,
                        const float* __restrict gain, std::size_t n, float* __restrict c) {
  for (std::size_t i = 0; i < n; ++i) {
    const float factor = gain == nullptr ? 1.0F : gain[i];
    c[2 * i] = factor * (a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    c[2 * i + 1] = factor * (a[2 * i + 1] * b[2 * i] - a[2 * i] * b[2 * i + 1]);
  }
}

float weighted_power(const float* a, const float* weights, std::size_t n) {
  float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < n; ++i) {
    sum += weights[i] * (a[2 * i] * a[2 * i] + a[2 * i + 1] * a[2 * i + 1]);
  }
  return sum;
}

template <Pixel T>
constexpr PixelKernels<T> pixel_set = {sum<T>,        range<T>,           centre<T>,
                                       pool_rows<T>,  correlate<T, true>, correlate<T, false>,
                                       to_float<T>,   blend_columns<T>,   add<T>,
                                       blend_rows<T>, fit_row<T>,         halve<T>,
                                       spread<T>};

}  // namespace

const KernelSet STILLSCOPE_KERNELS = {
    pixel_set<std::uint8_t>,
    pixel_set<std::uint16_t>,
    pixel_set<std::int16_t>,
    pixel_set<float>,
    pixel_set<double>,
    {weighted_sum, merge<float>, merge<std::int16_t>, merge_slots, accumulate, maximum, truncate,
     highest, pool_columns, multiply_conjugate, weighted_power, cubics, sample<false>, sample<true>,
     deformed_residuals, accumulate_numbers, finish_streams, dot}};

}  // namespace stillscope
