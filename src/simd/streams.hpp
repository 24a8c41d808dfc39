// SPDX-License-Identifier: GPL-3.0-or-later
/// Stores that do not go through the caches. Included by row_kernels.cpp alone.
#pragma once

#include "lanes.hpp"

namespace stillscope {
namespace {

/// Past the caches where the processor can, to an address aligned to the vector's size.
template <class Vector, class T>
inline __attribute__((always_inline)) void stream(const Vector& vector, T* to) {
#if defined(__AVX2__)
  __m256i parts[sizeof(Vector) / 32];
  __builtin_memcpy(parts, &vector, sizeof vector);
  for (const __m256i& part : parts) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to) + (&part - parts), part);
  }
#elif defined(__SSE2__)
  __m128i parts[sizeof(Vector) / 16];
  __builtin_memcpy(parts, &vector, sizeof vector);
  for (const __m128i& part : parts) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to) + (&part - parts), part);
  }
#else
  store(vector, to);
#endif
}

inline void finish_streams() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

}  // namespace
}  // namespace stillscope
