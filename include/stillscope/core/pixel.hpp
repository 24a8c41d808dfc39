// SPDX-License-Identifier: GPL-3.0-or-later
/// The pixel types that the library computes on.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace stillscope {

/// uint8, uint16, int16, float32 or float64.
template <class T>
concept Pixel = std::same_as<T, std::uint8_t> || std::same_as<T, std::uint16_t> ||
    std::same_as<T, std::int16_t> || std::same_as<T, float> || std::same_as<T, double>;

/// Sum of products of pixels: exact for integers (up to 2^31 pixels of 16 bits), double otherwise.
template <Pixel T>
using ProductSum = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;

}  // namespace stillscope

/// Expands `MACRO(type)` once for every pixel type (explicit instantiations, bindings).
#define STILLSCOPE_FOR_EACH_PIXEL(MACRO) \
  MACRO(std::uint8_t)                    \
  MACRO(std::uint16_t)                   \
  MACRO(std::int16_t)                    \
  MACRO(float)                           \
  MACRO(double)
