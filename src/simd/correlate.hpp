// SPDX-License-Identifier: GPL-3.0-or-later
/// The exact correlation of a band of rows. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// How pixels of a type are loaded, less their frame's offset, and how products are summed.
template <Pixel T>
struct Products {  // 16-bit integers: less the offset they fit 16 bits, modulo 2^16
  using Sums = Ints;
  using Offset = std::int32_t;
  static constexpr std::size_t lanes = 16;
  static inline __attribute__((always_inline)) Shorts lanes_at(const T* from, Offset offset) {
    return reinterpret_cast<Shorts>(load<UnsignedShorts>(from) -
                                    static_cast<std::uint16_t>(offset));
  }
  static inline __attribute__((always_inline)) void add(Sums& sums, const Shorts& a,
                                                        const Shorts& b) {
    sums += multiply_add_pairs(a, b);
  }
};

template <>
struct Products<std::uint8_t> {
  using Sums = Ints;
  using Offset = std::int32_t;  // of no use: bytes fit as they are
  static constexpr std::size_t lanes = 16;
  static inline __attribute__((always_inline)) Shorts lanes_at(const std::uint8_t* from, Offset) {
    return shorts_at(from);
  }
  static inline __attribute__((always_inline)) void add(Sums& sums, const Shorts& a,
                                                        const Shorts& b) {
    sums += multiply_add_pairs(a, b);
  }
};

template <>
struct Products<float> {
  using Sums = Floats;
  using Offset = float;
  static constexpr std::size_t lanes = 8;
  static inline __attribute__((always_inline)) Floats lanes_at(const float* from, Offset offset) {
    return load<Floats>(from) - offset;
  }
  static inline __attribute__((always_inline)) void add(Sums& sums, const Floats& a,
                                                        const Floats& b) {
    sums += a * b;
  }
};

template <>
struct Products<double> {
  using Sums = Floats;
  using Offset = double;
  static constexpr std::size_t lanes = 8;
  static inline __attribute__((always_inline)) Floats lanes_at(const double* from, Offset offset) {
    return __builtin_convertvector(load<Doubles>(from) - offset, Floats);
  }
  static inline __attribute__((always_inline)) void add(Sums& sums, const Floats& a,
                                                        const Floats& b) {
    sums += a * b;
  }
};

/// Sums in lanes, added to `totals` before they could overflow and at the end.
template <Pixel T, std::size_t count>
class LaneSums {
 public:
  /// `safe_products`: that many (pairs of) products fit a 32-bit lane.
  LaneSums(ProductSum<T>* totals, std::size_t safe_products)
      : totals_(totals), safe_products_(safe_products) {}

  /// How many of `wanted` steps of `products` products a lane may be taken; at least 1.
  inline __attribute__((always_inline)) std::size_t room(std::size_t wanted,
                                                         std::size_t products) {
    if constexpr (sizeof(T) > 2) {
      return wanted;
    } else {
      if (products_ + products > safe_products_) flush();
      const std::size_t free = (safe_products_ - products_) / products;
      const std::size_t taken = wanted < free ? wanted : free;
      products_ += taken * products;
      return taken;
    }
  }

  inline __attribute__((always_inline)) void flush() {
    for (std::size_t k = 0; k < count; ++k) {
      // Floats in float32 up to here, in double from here; integers exactly.
      std::conditional_t<(sizeof(T) > 2), float, std::int64_t> sum{};
      for (int i = 0; i < 8; ++i) sum += lanes[k][i];
      totals_[k] += static_cast<ProductSum<T>>(sum);
      lanes[k] = typename Products<T>::Sums{};
    }
    products_ = 0;
  }

  typename Products<T>::Sums lanes[count] = {};

 private:
  ProductSum<T>* totals_;
  std::size_t safe_products_;
  std::size_t products_ = 0;
};

/// Rows of dst, and the rows of src that lie under them, one more above and below. Rows that are
/// `ahead` pixels away are fetched from memory meanwhile.
template <Pixel T, std::size_t rows>
struct RowBlock {
  const T* dst[rows];
  const T* src[rows + 2];
  std::ptrdiff_t dst_ahead = 0;
  std::ptrdiff_t src_ahead = 0;
};

/// `size` columns, a multiple of the lanes, from dst_x in dst and from src_x in src.
template <Pixel T, bool is_window, std::size_t rows, class Offset, class Sums>
inline __attribute__((always_inline)) void add_columns(const RowBlock<T, rows>& block,
                                                       std::size_t dst_x, std::size_t src_x,
                                                       std::size_t size, Offset dst_offset,
                                                       Offset src_offset, Sums& sums) {
  using P = Products<T>;
  for (std::size_t x = 0; x < size;) {
    const std::size_t end = x + P::lanes * sums.room((size - x) / P::lanes, rows);
    for (; x < end; x += P::lanes) {
      if (x % (64 / sizeof(T)) == 0) {
        for (std::size_t r = 0; r < rows; ++r) {
          __builtin_prefetch(block.dst[r] + dst_x + x + block.dst_ahead, 0, 2);
          __builtin_prefetch(block.src[r + 2] + src_x + x + block.src_ahead, 0, 2);
        }
      }
      decltype(P::lanes_at(block.dst[0], dst_offset)) dst[rows];
#pragma GCC unroll 8
      for (std::size_t r = 0; r < rows; ++r) {
        dst[r] = P::lanes_at(block.dst[r] + dst_x + x, dst_offset);
      }
      if constexpr (is_window) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < rows + 2; ++j) {
          const T* row = block.src[j] + src_x + x;
          const auto left = P::lanes_at(row, src_offset);
          const auto centre = P::lanes_at(row + 1, src_offset);
          const auto right = P::lanes_at(row + 2, src_offset);
#pragma GCC unroll 3
          for (std::size_t i = 0; i < 3; ++i) {
            if (j < i || j - i >= rows) continue;
            P::add(sums.lanes[3 * i], dst[j - i], left);
            P::add(sums.lanes[3 * i + 1], dst[j - i], centre);
            P::add(sums.lanes[3 * i + 2], dst[j - i], right);
          }
        }
      } else {
#pragma GCC unroll 8
        for (std::size_t r = 0; r < rows; ++r) {
          P::add(sums.lanes[0], dst[r], P::lanes_at(block.src[r + 1] + src_x + x + 1, src_offset));
        }
      }
    }
  }
}

/// Columns [first, first + size) of a circular row, into `out`.
template <Pixel T>
inline void copy_circular(const T* row, std::size_t width, std::size_t first, std::size_t size,
                          T* out) {
  std::size_t column = first % width;
  for (std::size_t k = 0; k < size; ++k) {
    out[k] = row[column];
    if (++column == width) column = 0;
  }
}

/// The columns of a circular row in three parts. Most have their neighbours in src beside them, in
/// memory: these are used in place, as many as fill whole registers, in up to two runs. The rest,
/// round the place where src's row ends and begins anew, are copied to a short strip.
struct ColumnSplit {
  std::size_t first_run = 0;  ///< Columns [0, first_run) of dst.
  std::size_t strip_begin = 0;
  std::size_t strip = 0;  ///< Columns from strip_begin on, circularly.
  std::size_t second_begin = 0;
  std::size_t second_run = 0;

  /// `first`: the column of src that lies left of dst's column 0.
  ColumnSplit(std::size_t width, std::size_t first, std::size_t lanes) {
    std::size_t seam_end = 2;  // columns of the strip up to the last that meets the seam
    if (first + 1 == width) {  // the seam is met by the last column and by the first
      strip_begin = width - 1;
    } else {
      first_run = (width - 2 - first) / lanes * lanes;
      strip_begin = first_run;
      seam_end = width - first - first_run;
    }
    strip = seam_end;
    while (strip < width - first_run && (width - first_run - strip) % lanes != 0) ++strip;
    if (strip > width - first_run) strip = width - first_run;
    second_begin = (strip_begin + strip) % width;
    second_run = width - first_run - strip;
  }
};

/// A block of rows, added to `totals`.
template <Pixel T, bool is_window, std::size_t rows>
void add_block(const CorrelationBand<T>& band, const ColumnSplit& split, std::size_t row,
               ProductSum<T>* totals) {
  using P = Products<T>;
  constexpr std::size_t longest_strip = 3 * P::lanes;
  const auto dst_offset = static_cast<typename P::Offset>(band.dst_offset);
  const auto src_offset = static_cast<typename P::Offset>(band.src_offset);
  RowBlock<T, rows> block;
  for (std::size_t r = 0; r < rows; ++r) block.dst[r] = band.dst[row + r];
  for (std::size_t r = 0; r < rows + 2; ++r) block.src[r] = band.src[row + r];
  block.dst_ahead = band.dst_ahead;
  block.src_ahead = band.src_ahead;
  LaneSums<T, is_window ? 9 : 1> sums(totals, band.safe_products);
  add_columns<T, is_window, rows>(block, 0, band.first, split.first_run, dst_offset, src_offset,
                                  sums);
  add_columns<T, is_window, rows>(block, split.second_begin,
                                  (band.first + split.second_begin) % band.width, split.second_run,
                                  dst_offset, src_offset, sums);
  // What fills the strip up is dst's offset: zero, once that is subtracted.
  T dst_strips[rows][longest_strip];
  T src_strips[rows + 2][longest_strip + 2];
  RowBlock<T, rows> strips;
  const std::size_t padded = (split.strip + P::lanes - 1) / P::lanes * P::lanes;
  for (std::size_t r = 0; r < rows; ++r) {
    copy_circular(block.dst[r], band.width, split.strip_begin, split.strip, dst_strips[r]);
    for (std::size_t k = split.strip; k < padded; ++k) {
      dst_strips[r][k] = static_cast<T>(std::is_same_v<T, std::uint8_t> ? 0 : band.dst_offset);
    }
    strips.dst[r] = dst_strips[r];
  }
  for (std::size_t r = 0; r < rows + 2; ++r) {
    copy_circular(block.src[r], band.width, band.first + split.strip_begin, split.strip + 2,
                  src_strips[r]);
    for (std::size_t k = split.strip + 2; k < padded + 2; ++k) src_strips[r][k] = src_strips[r][0];
    strips.src[r] = src_strips[r];
  }
  add_columns<T, is_window, rows>(strips, 0, 0, padded, dst_offset, src_offset, sums);
  sums.flush();
}

/// Integers so far from their offsets that 32 bits do not hold a product: in 64.
template <Pixel T, bool is_window>
void correlate_widely(const CorrelationBand<T>& band, ProductSum<T>* totals) {
  const auto dst_offset = static_cast<std::int64_t>(band.dst_offset);
  const auto src_offset = static_cast<std::int64_t>(band.src_offset);
  for (std::size_t y = 0; y < band.rows; ++y) {
    for (std::size_t k = 0; k < (is_window ? 9 : 1); ++k) {
      const T* src = band.src[y + (is_window ? k / 3 : 1)];
      const std::size_t first = band.first + (is_window ? k % 3 : 1);
      std::int64_t total = 0;
      // Two runs, up to where src's row ends and from where it begins anew.
      const std::size_t begin = first % band.width;
      const std::size_t run = band.width - begin;
      for (std::size_t x = 0; x < run; ++x) {
        total += (band.dst[y][x] - dst_offset) * (src[begin + x] - src_offset);
      }
      for (std::size_t x = run; x < band.width; ++x) {
        total += (band.dst[y][x] - dst_offset) * (src[x - run] - src_offset);
      }
      totals[k] += total;
    }
  }
}

template <Pixel T, bool is_window>
void correlate(const CorrelationBand<T>& band, ProductSum<T>* totals) {
  constexpr std::size_t block = 4;
  if constexpr (sizeof(T) == 2) {
    if (band.safe_products < block) {
      correlate_widely<T, is_window>(band, totals);
      return;
    }
  }
  const ColumnSplit split(band.width, band.first, Products<T>::lanes);
  std::size_t row = 0;
  for (; row + block <= band.rows; row += block) {
    add_block<T, is_window, block>(band, split, row, totals);
  }
  for (; row < band.rows; ++row) add_block<T, is_window, 1>(band, split, row, totals);
}

}  // namespace
}  // namespace stillscope
