// SPDX-License-Identifier: GPL-3.0-or-later
/// Rows of moved frames, shared out to those of a sum. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <type_traits>

#include "pixel_lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// `is_blended`: pixels with those to their right. `has_lower`: there are two rows to add to.
template <Pixel T, bool is_blended, bool has_lower>
void spread_as(const SpreadRow<T>& in, std::size_t n, float* upper, float* lower) {
  // Copies, which no store can be suspected of changing.
  const SpreadRow<T> row = in;
  const auto add = [&](std::size_t x, const auto& value) __attribute__((always_inline)) {
    using Lanes = std::remove_cvref_t<decltype(value)>;
    store(load<Lanes>(upper + x) + row.on_upper * value, upper + x);
    if constexpr (has_lower) store(load<Lanes>(lower + x) + row.on_lower * value, lower + x);
  };
  const auto at = [&](std::size_t x) __attribute__((always_inline)) {
    const Floats left = floats_at(row.pixels + x);
    if constexpr (!is_blended) return left;
    return blend(left, floats_at(row.pixels + x + 1), row.weight);
  };
  std::size_t x = 0;
  if constexpr (is_blended) {
    // Neighbours from registers: what is not aligned costs twice as much to load.
    if (n >= 16) {
      Floats here = floats_at(row.pixels);
      for (; x + 16 <= n; x += 8) {
        if (x * sizeof(T) % 64 == 0) __builtin_prefetch(row.pixels + x + row.ahead, 0, 2);
        const Floats next = floats_at(row.pixels + x + 8);
        add(x, blend(here, joined<1>(here, next), row.weight));
        here = next;
      }
    }
  }
  for (; x + 8 <= n; x += 8) {
    if (x * sizeof(T) % 64 == 0) __builtin_prefetch(row.pixels + x + row.ahead, 0, 2);
    add(x, at(x));
  }
  for (; x < n; ++x) {
    const auto left = static_cast<float>(row.pixels[x]);
    add(x, is_blended ? blend(left, static_cast<float>(row.pixels[x + 1]), row.weight) : left);
  }
}

template <Pixel T>
void spread(const SpreadRow<T>& row, std::size_t n, float* upper, float* lower) {
  const bool is_blended = row.weight != 0.0F;
  const auto add = lower == nullptr
                       ? (is_blended ? spread_as<T, true, false> : spread_as<T, false, false>)
                       : (is_blended ? spread_as<T, true, true> : spread_as<T, false, true>);
  add(row, n, upper, lower);
}

}  // namespace
}  // namespace stillscope
