// SPDX-License-Identifier: GPL-3.0-or-later
/// Compiled once for each level, as STILLSCOPE_KERNELS. No inline function of the standard library
/// is used here: compiled for a newer processor, it could be linked into code that runs on an older
/// one.
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "levels.hpp"

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
float centre(const T* row, std::size_t n, double mean, float* out) {
  using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto offset = static_cast<Working>(mean);
  float energy = 0.0F;
#pragma omp simd reduction(+ : energy)
  for (std::size_t x = 0; x < n; ++x) {
    const auto value = static_cast<float>(static_cast<Working>(row[x]) - offset);
    out[x] = value;
    energy += value * value;
  }
  return energy;
}

template <Pixel T>
float pool_row(const T* row, std::size_t n, double mean, float weight, float* sums) {
  using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const auto offset = static_cast<Working>(mean);
  float energy = 0.0F;
#pragma omp simd reduction(+ : energy)
  for (std::size_t x = 0; x < n; ++x) {
    const auto value = static_cast<float>(static_cast<Working>(row[x]) - offset);
    sums[x] += weight * value;
    energy += value * value;
  }
  return energy;
}

template <Pixel T>
void to_correlation_values(const T* row, std::size_t n, double mean, CorrelationValue<T>* out) {
  if constexpr (std::is_floating_point_v<T>) {
    const auto offset = static_cast<T>(mean);
    for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<float>(row[x] - offset);
  } else {
    for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<CorrelationValue<T>>(row[x]);
  }
}

template <Pixel T>
void correlate(const CorrelationValue<T>* dst, const CorrelationValue<T>* const src[3],
               std::size_t n, ProductSum<T> sums[9]) {
  // Products of bytes fit 32 bits for 2^31 / 255^2 = 33026 columns; those of 16 bits do not add.
  using Sum = std::conditional_t<std::is_floating_point_v<T>, float,
                                 std::conditional_t<sizeof(T) == 1, std::int32_t, std::int64_t>>;
  constexpr std::size_t longest_run = 32768;
  for (std::size_t begin = 0; begin < n; begin += longest_run) {
    const std::size_t size = n - begin < longest_run ? n - begin : longest_run;
    const auto* d = dst + begin;
    const auto* a = src[0] + begin;
    const auto* b = src[1] + begin;
    const auto* c = src[2] + begin;
    Sum a0{}, a1{}, a2{}, b0{}, b1{}, b2{}, c0{}, c1{}, c2{};
#pragma omp simd reduction(+ : a0, a1, a2, b0, b1, b2, c0, c1, c2)
    for (std::size_t x = 0; x < size; ++x) {
      const auto value = static_cast<Sum>(d[x]);
      a0 += value * static_cast<Sum>(a[x]);
      a1 += value * static_cast<Sum>(a[x + 1]);
      a2 += value * static_cast<Sum>(a[x + 2]);
      b0 += value * static_cast<Sum>(b[x]);
      b1 += value * static_cast<Sum>(b[x + 1]);
      b2 += value * static_cast<Sum>(b[x + 2]);
      c0 += value * static_cast<Sum>(c[x]);
      c1 += value * static_cast<Sum>(c[x + 1]);
      c2 += value * static_cast<Sum>(c[x + 2]);
    }
    const Sum run[9] = {a0, a1, a2, b0, b1, b2, c0, c1, c2};
    for (int k = 0; k < 9; ++k) sums[k] += static_cast<ProductSum<T>>(run[k]);
  }
}

template <Pixel T>
void to_float(const T* row, std::size_t n, float* out) {
  for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<float>(row[x]);
}

// a + w (b - a): equal neighbours give exactly themselves, so that flat integers do not truncate to
// the level below.
inline float blend(float a, float b, float weight) { return a + weight * (b - a); }

template <Pixel T>
void blend_rows(const T* upper, const T* lower, std::size_t n, float weight, float* out) {
  for (std::size_t x = 0; x < n; ++x) {
    out[x] = blend(static_cast<float>(upper[x]), static_cast<float>(lower[x]), weight);
  }
}

template <Pixel T>
void bilinear(const T* upper, const T* lower, std::size_t n, float row_weight, float column_weight,
              float* out) {
  for (std::size_t x = 0; x < n; ++x) {
    const float a =
        blend(static_cast<float>(upper[x]), static_cast<float>(upper[x + 1]), column_weight);
    const float b =
        blend(static_cast<float>(lower[x]), static_cast<float>(lower[x + 1]), column_weight);
    out[x] = blend(a, b, row_weight);
  }
}

template <Pixel T>
void from_float(const float* row, std::size_t n, bool truncate, T* out) {
  if constexpr (std::is_floating_point_v<T>) {
    for (std::size_t x = 0; x < n; ++x) out[x] = static_cast<T>(row[x]);
  } else {
    constexpr float lowest = std::is_signed_v<T> ? -32768.0F : 0.0F;
    constexpr float highest = sizeof(T) == 1 ? 255.0F : std::is_signed_v<T> ? 32767.0F : 65535.0F;
    // Adding and taking away 1.5 * 2^23 rounds half to even, as the processor does.
    constexpr float shift = 12582912.0F;
    if (truncate) {
      for (std::size_t x = 0; x < n; ++x) {
        const float low = row[x] < lowest ? lowest : row[x];
        out[x] = static_cast<T>(static_cast<std::int32_t>(low > highest ? highest : low));
      }
    } else {
      for (std::size_t x = 0; x < n; ++x) {
        const float low = row[x] < lowest ? lowest : row[x];
        const float value = low > highest ? highest : low;
        out[x] = static_cast<T>(static_cast<std::int32_t>((value + shift) - shift));
      }
    }
  }
}

void add(const float* row, std::size_t n, float* total) {
  for (std::size_t x = 0; x < n; ++x) total[x] += row[x];
}

void maximum(const float* row, std::size_t n, float* highest) {
  for (std::size_t x = 0; x < n; ++x) highest[x] = row[x] > highest[x] ? row[x] : highest[x];
}

void truncate(float* row, std::size_t n) {
  for (std::size_t x = 0; x < n; ++x) {
    // From 2^23 on floats are whole, and may not fit an integer.
    const bool is_small = row[x] < 8388608.0F && row[x] > -8388608.0F;
    const float value = is_small ? row[x] : 0.0F;
    row[x] = is_small ? static_cast<float>(static_cast<std::int32_t>(value)) : row[x];
  }
}

float highest(const float* row, std::size_t n) {
  float value = row[0];
#pragma omp simd reduction(max : value)
  for (std::size_t x = 0; x < n; ++x) value = row[x] > value ? row[x] : value;
  return value;
}

void gather(const float* row, const std::int32_t* first, const float* weights, std::size_t taps,
            std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = 0.0F;
  for (std::size_t k = 0; k < taps; ++k) {
    const float* weight = weights + k * n;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] += weight[i] * row[static_cast<std::size_t>(first[i]) + k];
    }
  }
}

void multiply_conjugate(const float* a, const float* b, std::size_t n, float* c) {
  for (std::size_t i = 0; i < 2 * n; i += 2) {
    c[i] = a[i] * b[i] + a[i + 1] * b[i + 1];
    c[i + 1] = a[i + 1] * b[i] - a[i] * b[i + 1];
  }
}

template <Pixel T>
constexpr PixelKernels<T> pixel_set = {
    sum<T>,        centre<T>,   pool_row<T>,  to_correlation_values<T>, correlate<T>, to_float<T>,
    blend_rows<T>, bilinear<T>, from_float<T>};

}  // namespace

const KernelSet STILLSCOPE_KERNELS = {
    pixel_set<std::uint8_t>, pixel_set<std::uint16_t>,
    pixel_set<std::int16_t>, pixel_set<float>,
    pixel_set<double>,       {add, maximum, truncate, highest, gather, multiply_conjugate}};

}  // namespace stillscope
