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

#include "stillscope/core/pixel.hpp"

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

/// `chosen` where `mask` is set, else `other`. Both are numbers or not, as they are.
inline __attribute__((always_inline)) Floats choose(const Ints& mask, const Floats& chosen,
                                                    const Floats& other) {
  return mask ? chosen : other;
}

// Compilers convert between vectors of integers of different widths one element at a time, or
// nearly so; hence the processor's own instructions where there are any.

/// Eight integer pixels in 32 bits.
template <class T>
inline __attribute__((always_inline)) Ints ints_at(const T* from) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 1) {
    return reinterpret_cast<Ints>(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  } else {
    const __m128i pixels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return reinterpret_cast<Ints>(std::is_signed_v<T> ? _mm256_cvtepi16_epi32(pixels)
                                                      : _mm256_cvtepu16_epi32(pixels));
  }
#elif defined(__SSE2__)
  const __m128i zero = _mm_setzero_si128();
  __m128i halves[2];
  if constexpr (sizeof(T) == 1) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    const __m128i shorts = _mm_unpacklo_epi8(bytes, zero);
    halves[0] = _mm_unpacklo_epi16(shorts, zero);
    halves[1] = _mm_unpackhi_epi16(shorts, zero);
  } else {
    const __m128i pixels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i high = std::is_signed_v<T> ? _mm_srai_epi16(pixels, 15) : zero;
    halves[0] = _mm_unpacklo_epi16(pixels, high);
    halves[1] = _mm_unpackhi_epi16(pixels, high);
  }
  return load<Ints>(halves);
#else
  Ints result;
  for (int i = 0; i < 8; ++i) result[i] = from[i];
  return result;
#endif
}

/// Sixteen bytes in 16 bits.
inline __attribute__((always_inline)) Shorts shorts_at(const std::uint8_t* from) {
#if defined(__AVX2__)
  return reinterpret_cast<Shorts>(
      _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__SSE2__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i halves[2] = {_mm_unpacklo_epi8(bytes, _mm_setzero_si128()),
                             _mm_unpackhi_epi8(bytes, _mm_setzero_si128())};
  return load<Shorts>(halves);
#else
  Shorts result;
  for (int i = 0; i < 16; ++i) result[i] = from[i];
  return result;
#endif
}

/// Sixteen integers, which T holds, as pixels.
template <class T>
inline __attribute__((always_inline)) void store_ints(const Ints& a, const Ints& b, T* to) {
#if defined(__AVX2__)
  const auto first = reinterpret_cast<__m256i>(a);
  const auto second = reinterpret_cast<__m256i>(b);
  // Packing goes by halves; the permutation puts these in order.
  const __m256i packed =
      std::is_signed_v<T> ? _mm256_packs_epi32(first, second) : _mm256_packus_epi32(first, second);
  const __m256i shorts = _mm256_permute4x64_epi64(packed, 0xD8);
  if constexpr (sizeof(T) == 2) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), shorts);
  } else {
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(to),
        _mm_packus_epi16(_mm256_castsi256_si128(shorts), _mm256_extracti128_si256(shorts, 1)));
  }
#elif defined(__SSE2__)
  __m128i ints[4];
  __builtin_memcpy(ints, &a, sizeof a);
  __builtin_memcpy(ints + 2, &b, sizeof b);
  __m128i shorts[2];
  for (int i = 0; i < 2; ++i) {
    if constexpr (std::is_same_v<T, std::uint16_t>) {
      // There is no unsigned packing yet: by way of signed values.
      const __m128i half = _mm_set1_epi32(32768);
      const __m128i packed =
          _mm_packs_epi32(_mm_sub_epi32(ints[2 * i], half), _mm_sub_epi32(ints[2 * i + 1], half));
      shorts[i] = _mm_xor_si128(packed, _mm_set1_epi16(static_cast<short>(-32768)));
    } else {
      shorts[i] = _mm_packs_epi32(ints[2 * i], ints[2 * i + 1]);
    }
  }
  if constexpr (sizeof(T) == 2) {
    __builtin_memcpy(to, shorts, sizeof shorts);
  } else {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(shorts[0], shorts[1]));
  }
#else
  for (int i = 0; i < 8; ++i) {
    to[i] = static_cast<T>(a[i]);
    to[i + 8] = static_cast<T>(b[i]);
  }
#endif
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

/// Eight pixels less an offset, as floats. Doubles are subtracted before they lose precision.
template <Pixel T>
inline __attribute__((always_inline)) Floats centred_lanes(const T* from, double offset) {
  if constexpr (std::is_same_v<T, double>) {
    return __builtin_convertvector(load<Doubles>(from) - offset, Floats);
  } else if constexpr (std::is_same_v<T, float>) {
    return load<Floats>(from) - static_cast<float>(offset);
  } else {
    return __builtin_convertvector(ints_at(from), Floats) - static_cast<float>(offset);
  }
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
