// SPDX-License-Identifier: GPL-3.0-or-later
/// Products of pixels, and their sums. Included by correlate.hpp alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixel_lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// How pixels of a type are loaded, less their frame's offset, and how products are summed.
template <Pixel T>
struct Products;

/// Integers: pairs of products in 32 bits.
struct IntegerProducts {
  using Sums = Ints;
  using Offset = std::int32_t;
  static constexpr std::size_t lanes = 16;
  static inline __attribute__((always_inline)) Ints product(const Shorts& a, const Shorts& b) {
    return multiply_add_pairs(a, b);
  }
};

template <>
struct Products<std::uint8_t> : IntegerProducts {  // bytes fit as they are
  static inline __attribute__((always_inline)) Shorts dst_at(const std::uint8_t* from, Offset) {
    return shorts_at(from);
  }
  static inline __attribute__((always_inline)) Shorts src_at(const std::uint8_t* from, Offset) {
    return shorts_at(from);
  }
};

template <>
struct Products<std::uint16_t> : IntegerProducts {  // less the offset they fit, modulo 2^16
  static inline __attribute__((always_inline)) Shorts dst_at(const std::uint16_t* from,
                                                             Offset offset) {
    return reinterpret_cast<Shorts>(load<UnsignedShorts>(from) -
                                    static_cast<std::uint16_t>(offset));
  }
  static inline __attribute__((always_inline)) Shorts src_at(const std::uint16_t* from,
                                                             Offset offset) {
    return dst_at(from, offset);
  }
};

template <>
struct Products<std::int16_t> : IntegerProducts {  // src fits as it is
  static inline __attribute__((always_inline)) Shorts dst_at(const std::int16_t* from,
                                                             Offset offset) {
    return reinterpret_cast<Shorts>(load<UnsignedShorts>(from) -
                                    static_cast<std::uint16_t>(offset));
  }
  static inline __attribute__((always_inline)) Shorts src_at(const std::int16_t* from, Offset) {
    return load<Shorts>(from);
  }
};

/// Floats: products in float32.
struct FloatProducts {
  using Sums = Floats;
  static constexpr std::size_t lanes = 8;
  static inline __attribute__((always_inline)) Floats product(const Floats& a, const Floats& b) {
    return a * b;
  }
};

template <>
struct Products<float> : FloatProducts {
  using Offset = float;
  static inline __attribute__((always_inline)) Floats dst_at(const float* from, Offset offset) {
    return load<Floats>(from) - offset;
  }
  static inline __attribute__((always_inline)) Floats src_at(const float* from, Offset offset) {
    return dst_at(from, offset);
  }
};

template <>
struct Products<double> : FloatProducts {
  using Offset = double;
  static inline __attribute__((always_inline)) Floats dst_at(const double* from, Offset offset) {
    return __builtin_convertvector(load<Doubles>(from) - offset, Floats);
  }
  static inline __attribute__((always_inline)) Floats src_at(const double* from, Offset offset) {
    return dst_at(from, offset);
  }
};

/// Sums in lanes, added to `totals` at the end: nine, or one in `rows` parts that do not wait for
/// one another. Integers go on to 64 bits before they could overflow. `is_wide`: 16-bit integers
/// whose products (in pairs) fill 32 bits, so that these are summed in halves.
template <Pixel T, bool is_window, std::size_t rows, bool is_wide>
class LaneSums {
 public:
  static constexpr std::size_t count = is_window ? 9 : rows;

  /// `safe_products`: that many (pairs of) products fit a 32-bit lane.
  explicit LaneSums(std::size_t safe_products)
      : safe_products_(is_wide ? safe_halves : safe_products) {}

  template <class Lanes>
  inline __attribute__((always_inline)) void add(std::size_t k, const Lanes& a, const Lanes& b) {
    const auto product = Products<T>::product(a, b);
    if constexpr (is_wide) {
      // The largest pair, 2^31, is one more than 32 bits hold, and the smallest far from the least
      // that they do: less 2^16 both fit.
      const UnsignedInts less = reinterpret_cast<UnsignedInts>(product) - (1U << half_bits);
      lanes[k] += reinterpret_cast<Ints>(less & 0xFFFFU);
      high_[k] += reinterpret_cast<Ints>(less) >> half_bits;
    } else {
      lanes[k] += product;
    }
  }

  /// How many of `wanted` steps of `products` products a lane may be taken; at least 1.
  inline __attribute__((always_inline)) std::size_t room(std::size_t wanted, std::size_t products) {
    if constexpr (sizeof(T) > 2) {
      return wanted;
    } else {
      if (products_ + products > safe_products_) widen();
      const std::size_t free = (safe_products_ - products_) / products;
      const std::size_t taken = wanted < free ? wanted : free;
      products_ += taken * products;
      if constexpr (is_wide) less_ += taken * (is_window ? rows : 1);
      return taken;
    }
  }

  /// Floats in float32 up to here, in double from here; integers exactly.
  inline __attribute__((always_inline)) void add_to(ProductSum<T>* totals) {
    if constexpr (sizeof(T) > 2) {
      for (std::size_t k = 0; k < count; ++k) {
        float sum = 0.0F;
        for (int i = 0; i < 8; ++i) sum += lanes[k][i];
        totals[is_window ? k : 0] += static_cast<ProductSum<T>>(sum);
      }
    } else {
      widen();
      for (std::size_t k = 0; k < count; ++k) {
        std::int64_t sum = 0;
        for (int i = 0; i < 4; ++i) sum += wide_[k][i];
        if constexpr (is_wide) sum += static_cast<std::int64_t>(8 * less_ << half_bits);
        totals[is_window ? k : 0] += sum;
      }
    }
  }

  typename Products<T>::Sums lanes[count] = {};

 private:
  static constexpr int half_bits = 16;
  static constexpr std::size_t safe_halves = std::size_t{1} << 15;

  inline __attribute__((always_inline)) void widen() {
    for (std::size_t k = 0; k < count; ++k) {
      add_widened(lanes[k], wide_[k]);
      lanes[k] = Ints{};
      if constexpr (is_wide) {
        Longs high{};
        add_widened(high_[k], high);
        wide_[k] += high << half_bits;
        high_[k] = Ints{};
      }
    }
    products_ = 0;
  }

  Longs wide_[count] = {};
  std::size_t safe_products_;
  std::size_t products_ = 0;
  Ints high_[is_wide ? count : 1] = {};
  std::size_t less_ = 0;  // by how often 2^16 a lane is too small
};

}  // namespace
}  // namespace stillscope
