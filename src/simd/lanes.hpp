// SPDX-License-Identifier: GPL-3.0-or-later
/// Vectors of 32 bytes in the compiler's own notation: one register from x86-64-v3 on, several
/// below. As many lanes at every level, so that sums are grouped alike.
///
/// Included only by row_kernels.cpp and what that includes. Nothing here has linkage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace stillscope {
namespace {

using Floats = float __attribute__((vector_size(32)));
using Ints = std::int32_t __attribute__((vector_size(32)));
using UnsignedInts = std::uint32_t __attribute__((vector_size(32)));
using Shorts = std::int16_t __attribute__((vector_size(32)));
using UnsignedShorts = std::uint16_t __attribute__((vector_size(32)));
using Longs = std::int64_t __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(64)));

/// A vector from memory that need not be aligned.
template <class Vector, class T>
inline __attribute__((always_inline)) Vector load(const T* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(Vector));
  return vector;
}

template <class Vector, class T>
inline __attribute__((always_inline)) void store(const Vector& vector, T* to) {
  __builtin_memcpy(to, &vector, sizeof(Vector));
}

/// The lanes from number `first` of `left` on, and then those of `right`.
template <int first, class Lanes>
inline __attribute__((always_inline)) Lanes joined(const Lanes& left, const Lanes& right) {
  return [&]<int... lane>(std::integer_sequence<int, lane...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(left, right, (first + lane)...);
  }
  (std::make_integer_sequence<int, sizeof(Lanes) / sizeof(left[0])>{});
}

/// a + w (b - a): equal neighbours give exactly themselves, so that flat integers do not truncate
/// to the level below.
template <class Lanes, class Weight>
inline __attribute__((always_inline)) Lanes blend(const Lanes& a, const Lanes& b,
                                                  const Weight& weight) {
  return a + weight * (b - a);
}

/// `chosen` where `mask` is set, else `other`. Both are numbers or not, as they are.
inline __attribute__((always_inline)) Floats choose(const Ints& mask, const Floats& chosen,
                                                    const Floats& other) {
  return mask ? chosen : other;
}

/// a[2i] b[2i] + a[2i + 1] b[2i + 1] in 32 bits, modulo 2^32.
inline __attribute__((always_inline)) Ints multiply_add_pairs(const Shorts& a, const Shorts& b) {
#if defined(__AVX2__)
  return reinterpret_cast<Ints>(
      _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  __m128i halves_a[2];
  __m128i halves_b[2];
  __builtin_memcpy(halves_a, &a, sizeof a);
  __builtin_memcpy(halves_b, &b, sizeof b);
  const __m128i sums[2] = {_mm_madd_epi16(halves_a[0], halves_b[0]),
                           _mm_madd_epi16(halves_a[1], halves_b[1])};
  Ints result;
  __builtin_memcpy(&result, sums, sizeof result);
  return result;
#else
  Ints result;
  // The largest sum is one more than 32 bits hold, and wraps as it does above.
  const auto product = [&](int k) { return static_cast<std::uint32_t>(a[k] * b[k]); };
  for (int i = 0; i < 8; ++i) {
    result[i] = static_cast<std::int32_t>(product(2 * i) + product(2 * i + 1));
  }
  return result;
#endif
}

/// Adds the lanes of `values` to sums of 64 bits, pairs of lanes to one another.
inline __attribute__((always_inline)) void add_widened(const Ints& values, Longs& sums) {
#if defined(__AVX2__)
  const auto all = reinterpret_cast<__m256i>(values);
  sums += reinterpret_cast<Longs>(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(all))) +
          reinterpret_cast<Longs>(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(all, 1)));
#else
  for (int i = 0; i < 4; ++i) {
    sums[i] += static_cast<std::int64_t>(values[i]) + static_cast<std::int64_t>(values[i + 4]);
  }
#endif
}

/// `value` brought into [-limit, limit].
inline __attribute__((always_inline)) float limited(float value, float limit) {
  value = value < limit ? value : limit;
  return value > -limit ? value : -limit;
}
inline __attribute__((always_inline)) Floats limited(const Floats& value, float limit) {
#if defined(__AVX2__)
  const __m256 below = _mm256_min_ps(reinterpret_cast<__m256>(value), _mm256_set1_ps(limit));
  return reinterpret_cast<Floats>(_mm256_max_ps(below, _mm256_set1_ps(-limit)));
#elif defined(__SSE2__)
  __m128 halves[2];
  __builtin_memcpy(halves, &value, sizeof value);
  for (__m128& half : halves) {
    half = _mm_max_ps(_mm_min_ps(half, _mm_set1_ps(limit)), _mm_set1_ps(-limit));
  }
  return load<Floats>(halves);
#else
  const Floats below = value < limit ? value : Floats{} + limit;
  return below > -limit ? below : Floats{} - limit;
#endif
}

// As wide as registers are from x86-64-v3 on: for loops that wait for long chains of operations, of
// which processors overlap as many as their schedulers hold.
#if defined(__AVX512F__)
inline constexpr std::size_t broad = 16;
#else
inline constexpr std::size_t broad = 8;
#endif
using Broad = float __attribute__((vector_size(4 * broad)));
using BroadInts = std::int32_t __attribute__((vector_size(4 * broad)));

/// 0, 1, 2, ...
template <class Lanes>
inline __attribute__((always_inline)) Lanes numbers_from_zero() {
  using Number = std::remove_cvref_t<decltype(Lanes{}[0])>;
  Lanes lanes;
  for (std::size_t k = 0; k < sizeof(Lanes) / sizeof(Number); ++k)
    lanes[k] = static_cast<Number>(k);
  return lanes;
}

#if defined(__AVX512F__)
/// `value` brought into [-limit, limit].
inline __attribute__((always_inline)) Broad limited(const Broad& value, float limit) {
  constexpr __mmask16 all = 0xFFFF;
  const __m512 below =
      _mm512_maskz_min_ps(all, reinterpret_cast<__m512>(value), _mm512_set1_ps(limit));
  return reinterpret_cast<Broad>(_mm512_maskz_max_ps(all, below, _mm512_set1_ps(-limit)));
}
#endif

/// Adds lanes to sums in double precision.
inline __attribute__((always_inline)) void add_lanes(const Broad& lanes, double (&sums)[8]) {
#if defined(__AVX512F__)
  const Floats eight = __builtin_shufflevector(lanes, lanes, 0, 1, 2, 3, 4, 5, 6, 7) +
                       __builtin_shufflevector(lanes, lanes, 8, 9, 10, 11, 12, 13, 14, 15);
#else
  const Floats eight = lanes;
#endif
#if defined(__AVX2__)
  store(load<Doubles>(sums) + __builtin_convertvector(eight, Doubles), sums);
#else
  for (int k = 0; k < 8; ++k) sums[k] += static_cast<double>(eight[k]);
#endif
}

/// The nearest integers, half to even.
inline __attribute__((always_inline)) Ints nearest_ints(const Floats& values) {
#if defined(__AVX2__)
  return reinterpret_cast<Ints>(_mm256_cvtps_epi32(reinterpret_cast<__m256>(values)));
#elif defined(__SSE2__)
  __m128 halves[2];
  __builtin_memcpy(halves, &values, sizeof values);
  const __m128i ints[2] = {_mm_cvtps_epi32(halves[0]), _mm_cvtps_epi32(halves[1])};
  return load<Ints>(ints);
#else
  Ints result;
  for (int i = 0; i < 8; ++i) result[i] = static_cast<int>(__builtin_rintf(values[i]));
  return result;
#endif
}

/// The sums of the lanes of each of eight registers.
inline __attribute__((always_inline)) Floats sums_of(const Floats (&rows)[8]) {
  Floats pairs[4];
  for (int i = 0; i < 4; ++i) {
    const Floats& a = rows[2 * i];
    const Floats& b = rows[2 * i + 1];
    pairs[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
               __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
  Floats fours[2];
  for (int i = 0; i < 2; ++i) {
    const Floats& a = pairs[2 * i];
    const Floats& b = pairs[2 * i + 1];
    fours[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  return __builtin_shufflevector(fours[0], fours[1], 0, 1, 2, 3, 8, 9, 10, 11) +
         __builtin_shufflevector(fours[0], fours[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

}  // namespace
}  // namespace stillscope
