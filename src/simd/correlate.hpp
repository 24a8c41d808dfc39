// SPDX-License-Identifier: GPL-3.0-or-later
/// The exact correlation of a band of rows. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "products.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// Rows of dst, and the rows of src that lie under them, one more above and below. Rows that are
/// `ahead` pixels away are fetched from memory meanwhile.
template <Pixel T, std::size_t rows>
struct RowBlock {
  const T* dst[rows];
  const T* src[rows + 2];
  std::ptrdiff_t dst_ahead;
  std::ptrdiff_t src_ahead;
};

/// All bits of the last `count` lanes.
template <class Lanes>
inline __attribute__((always_inline)) Lanes last_lanes(std::size_t count) {
  constexpr std::size_t size =
      sizeof(Lanes) == sizeof(Ints) && std::is_same_v<Lanes, Floats> ? 8 : 16;
  std::int8_t bytes[sizeof(Lanes)];
  constexpr std::size_t width = sizeof(Lanes) / size;
  for (std::size_t i = 0; i < sizeof(Lanes); ++i) {
    bytes[i] = i / width + count >= size ? std::int8_t{-1} : std::int8_t{0};
  }
  return load<Lanes>(bytes);
}

template <class Lanes>
inline __attribute__((always_inline)) Lanes masked(const Lanes& value, const Lanes& mask) {
  return reinterpret_cast<Lanes>(reinterpret_cast<Ints>(value) & reinterpret_cast<Ints>(mask));
}

/// `size` columns, a multiple of the lanes, from dst_x in dst and from src_x in src. `is_tail`: of
/// a single register's columns, only the last `used`.
template <Pixel T, bool is_window, std::size_t rows, bool is_tail, class Offset, class Sums>
inline __attribute__((always_inline)) void add_columns(const RowBlock<T, rows>& block,
                                                       std::size_t dst_x, std::size_t src_x,
                                                       std::size_t size, std::size_t used,
                                                       Offset dst_offset, Offset src_offset,
                                                       Sums& sums) {
  using P = Products<T>;
  using Lanes = decltype(P::dst_at(block.dst[0], dst_offset));
  for (std::size_t x = 0; x < size;) {
    const std::size_t end = x + P::lanes * sums.room((size - x) / P::lanes, rows);
    for (; x < end; x += P::lanes) {
      if (!is_tail && x % (64 / sizeof(T)) == 0) {
#pragma GCC unroll 8
        for (std::size_t r = 0; r < rows; ++r) {
          __builtin_prefetch(block.dst[r] + dst_x + x + block.dst_ahead, 0, 2);
          __builtin_prefetch(block.src[r + 2] + src_x + x + block.src_ahead, 0, 2);
        }
      }
      Lanes dst[rows];
#pragma GCC unroll 8
      for (std::size_t r = 0; r < rows; ++r) {
        dst[r] = P::dst_at(block.dst[r] + dst_x + x, dst_offset);
        if constexpr (is_tail) dst[r] = masked(dst[r], last_lanes<Lanes>(used));
      }
      if constexpr (is_window) {
#pragma GCC unroll 8
        for (std::size_t j = 0; j < rows + 2; ++j) {
          const T* row = block.src[j] + src_x + x;
          const auto left = P::src_at(row, src_offset);
          const auto centre = P::src_at(row + 1, src_offset);
          const auto right = P::src_at(row + 2, src_offset);
#pragma GCC unroll 3
          for (std::size_t i = 0; i < 3; ++i) {
            if (j < i || j - i >= rows) continue;
            sums.add(3 * i, dst[j - i], left);
            sums.add(3 * i + 1, dst[j - i], centre);
            sums.add(3 * i + 2, dst[j - i], right);
          }
        }
      } else {
#pragma GCC unroll 8
        for (std::size_t r = 0; r < rows; ++r) {
          sums.add(r, dst[r], P::src_at(block.src[r + 1] + src_x + x + 1, src_offset));
        }
      }
    }
  }
}

/// The columns of dst in runs of whole registers, and the columns of src that they are summed
/// against. src's row is circular: registers that meet its seam, where it ends and begins anew,
/// take it from a copy of the columns on either side.
template <std::size_t lanes>
class ColumnRuns {
 public:
  /// Columns copied from each side of the seam.
  static constexpr std::size_t reach = 2 * lanes;

  struct Run {
    std::size_t dst;
    std::size_t src;  ///< Of the row, or of the copied columns.
    std::size_t size;
    std::size_t used;  ///< Fewer than the lanes: the last columns, which fill no register alone.
    bool is_at_seam;
  };

  /// `first`: the column of src that lies left of dst's column 0. `width`: at least `reach`.
  ColumnRuns(std::size_t width, std::size_t first) : width_(width) {
    std::size_t column = first;
    std::size_t x = 0;
    while (x + lanes <= width) {
      const std::size_t left = (width - x) / lanes;
      std::size_t registers = 1;
      // Taps reach up to column + lanes + 1.
      if (column + lanes + 2 <= width) {
        registers = (width - lanes - 2 - column) / lanes + 1;
        registers = registers < left ? registers : left;
      }
      add(x, column, registers * lanes, lanes);
      x += registers * lanes;
      column += registers * lanes;
      column = column < width ? column : column - width;
    }
    if (x < width) add(width - lanes, (first + width - lanes) % width, lanes, width - x);
  }

  [[nodiscard]] const Run* begin() const { return runs_; }
  [[nodiscard]] const Run* end() const { return runs_ + count_; }

 private:
  void add(std::size_t dst, std::size_t column, std::size_t size, std::size_t used) {
    const bool is_at_seam = column + lanes + 2 > width_;
    runs_[count_++] = {dst, is_at_seam ? column + reach - width_ : column, size, used, is_at_seam};
  }

  std::size_t width_;
  std::size_t count_ = 0;
  Run runs_[8];  // two runs, up to four registers at the seam, and the rest
};

/// A block of rows, added to `totals`.
template <Pixel T, bool is_window, std::size_t rows, bool is_wide>
void add_block(const CorrelationBand<T>& band, const ColumnRuns<Products<T>::lanes>& runs,
               std::size_t row, ProductSum<T>* totals) {
  using P = Products<T>;
  constexpr std::size_t reach = ColumnRuns<P::lanes>::reach;
  const auto dst_offset = static_cast<typename P::Offset>(band.dst_offset);
  const auto src_offset = static_cast<typename P::Offset>(band.src_offset);
  RowBlock<T, rows> block;
  RowBlock<T, rows> seam;
  T columns[rows + 2][2 * reach];
  for (std::size_t r = 0; r < rows; ++r) seam.dst[r] = block.dst[r] = band.dst[row + r];
  for (std::size_t r = 0; r < rows + 2; ++r) {
    const T* src = band.src[row + r];
    __builtin_memcpy(columns[r], src + band.width - reach, sizeof(T) * reach);
    __builtin_memcpy(columns[r] + reach, src, sizeof(T) * reach);
    block.src[r] = src;
    seam.src[r] = columns[r];
  }
  block.dst_ahead = band.dst_ahead;
  block.src_ahead = band.src_ahead;
  seam.dst_ahead = seam.src_ahead = 0;
  LaneSums<T, is_window, rows, is_wide> sums(band.safe_products);
  for (const auto& run : runs) {
    if (run.used < P::lanes) {
      add_columns<T, is_window, rows, true>(run.is_at_seam ? seam : block, run.dst, run.src,
                                            run.size, run.used, dst_offset, src_offset, sums);
    } else if (run.is_at_seam) {
      add_columns<T, is_window, rows, false>(seam, run.dst, run.src, run.size, P::lanes, dst_offset,
                                             src_offset, sums);
    } else {
      add_columns<T, is_window, rows, false>(block, run.dst, run.src, run.size, P::lanes,
                                             dst_offset, src_offset, sums);
    }
  }
  sums.add_to(totals);
}

/// One product at a time: for rows too short for registers.
template <Pixel T, bool is_window>
void correlate_plainly(const CorrelationBand<T>& band, ProductSum<T>* totals) {
  using Sum = ProductSum<T>;
  const auto value = [](T pixel, double offset) {
    if constexpr (std::is_same_v<T, std::uint8_t>) return static_cast<Sum>(pixel);
    if constexpr (std::is_integral_v<T>) return static_cast<Sum>(pixel) - static_cast<Sum>(offset);
    // As the registers take them.
    using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
    return static_cast<Sum>(
        static_cast<float>(static_cast<Working>(pixel) - static_cast<Working>(offset)));
  };
  for (std::size_t y = 0; y < band.rows; ++y) {
    for (std::size_t k = 0; k < (is_window ? 9 : 1); ++k) {
      const T* src = band.src[y + (is_window ? k / 3 : 1)];
      std::size_t column = (band.first + (is_window ? k % 3 : 1)) % band.width;
      Sum total{};
      for (std::size_t x = 0; x < band.width; ++x) {
        total += value(band.dst[y][x], band.dst_offset) * value(src[column], band.src_offset);
        if (++column == band.width) column = 0;
      }
      totals[k] += total;
    }
  }
}

constexpr std::size_t block_rows = 4;

template <Pixel T, bool is_window, bool is_wide>
void correlate_blocks(const CorrelationBand<T>& band, ProductSum<T>* totals) {
  const ColumnRuns<Products<T>::lanes> runs(band.width, band.first);
  std::size_t row = 0;
  for (; row + block_rows <= band.rows; row += block_rows) {
    add_block<T, is_window, block_rows, is_wide>(band, runs, row, totals);
  }
  for (; row < band.rows; ++row) add_block<T, is_window, 1, is_wide>(band, runs, row, totals);
}

template <Pixel T, bool is_window>
void correlate(const CorrelationBand<T>& band, ProductSum<T>* totals) {
  if (band.width < ColumnRuns<Products<T>::lanes>::reach) {
    correlate_plainly<T, is_window>(band, totals);
  } else if (sizeof(T) == 2 && band.safe_products < block_rows) {
    correlate_blocks<T, is_window, sizeof(T) == 2>(band, totals);
  } else {
    correlate_blocks<T, is_window, false>(band, totals);
  }
}

}  // namespace
}  // namespace stillscope
