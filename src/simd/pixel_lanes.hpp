// SPDX-License-Identifier: GPL-3.0-or-later
/// Pixels of any type in vectors, and back. Included as lanes.hpp is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lanes.hpp"
#include "stillscope/core/pixel.hpp"

namespace stillscope {
namespace {

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

/// Eight pixels as floats.
template <Pixel T>
inline __attribute__((always_inline)) Floats floats_at(const T* from) {
  if constexpr (std::is_same_v<T, float>) {
    return load<Floats>(from);
  } else if constexpr (std::is_same_v<T, double>) {
    return __builtin_convertvector(load<Doubles>(from), Floats);
  } else {
    return __builtin_convertvector(ints_at(from), Floats);
  }
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

}  // namespace
}  // namespace stillscope
