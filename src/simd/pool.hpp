// SPDX-License-Identifier: GPL-3.0-or-later
/// Mean-pooling by area. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pixel_lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// `registers` registers of columns from x on, of all rows.
template <Pixel T, std::size_t registers>
inline __attribute__((always_inline)) void pool_block(const PoolRows<T>& in, std::size_t x,
                                                      double offset, float* out,
                                                      Floats (&energy)[4], Floats& low,
                                                      Floats& high) {
  constexpr std::size_t line = 64 / sizeof(T);
  Floats sums[registers] = {};
  for (std::size_t k = 0; k < in.count; ++k) {
    const T* row = in.rows[k] + x;
    const float weight = in.weights[k];
    const bool is_counted = k < in.counted;
    for (std::size_t at = 0; at < 8 * registers; at += line) {
      __builtin_prefetch(row + at + in.ahead, 0, 2);
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < registers; ++i) {
      const Floats value = centred_lanes(row + 8 * i, offset);
      sums[i] += weight * value;
      if (is_counted) continue;
      energy[i] += value * value;
      if constexpr (std::is_floating_point_v<T>) {
        low = value < low ? value : low;
        high = value > high ? value : high;
      }
    }
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < registers; ++i) store(sums[i], out + x + 8 * i);
}

template <Pixel T>
void pool_rows(const PoolRows<T>& in, std::size_t n, double offset, float* out, PoolTally* tally) {
  Floats energy[4] = {};  // as many independent sums hide the latency
  Floats low = Floats{} + tally->lowest;
  Floats high = Floats{} + tally->highest;
  std::size_t x = 0;
  for (; x + 32 <= n; x += 32) pool_block<T, 4>(in, x, offset, out, energy, low, high);
  for (; x + 8 <= n; x += 8) pool_block<T, 1>(in, x, offset, out, energy, low, high);
  float total = 0.0F;
  const Floats all = (energy[0] + energy[1]) + (energy[2] + energy[3]);
  for (int i = 0; i < 8; ++i) {
    total += all[i];
    tally->lowest = low[i] < tally->lowest ? low[i] : tally->lowest;
    tally->highest = high[i] > tally->highest ? high[i] : tally->highest;
  }
  for (; x < n; ++x) {
    float sum = 0.0F;
    for (std::size_t k = 0; k < in.count; ++k) {
      const auto value = static_cast<float>(static_cast<double>(in.rows[k][x]) - offset);
      sum += in.weights[k] * value;
      if (k < in.counted) continue;
      total += value * value;
      tally->lowest = value < tally->lowest ? value : tally->lowest;
      tally->highest = value > tally->highest ? value : tally->highest;
    }
    out[x] = sum;
  }
  tally->energy += static_cast<double>(total);
}

/// `fixed`: the axis' stride, known when this is compiled; 0: any.
template <std::size_t fixed>
void pool_cells(const float* row, const PoolAxis& axis, float* out) {
  constexpr std::size_t lanes = 8;
  const std::size_t stride = fixed == 0 ? axis.stride : fixed;
  for (std::size_t cell = 0; cell < axis.cells; cell += lanes) {
    Floats sums[lanes] = {};
    const std::size_t size = axis.cells - cell < lanes ? axis.cells - cell : lanes;
    const auto add = [&](std::size_t i) __attribute__((always_inline)) {
      const float* pixels = row + axis.first[cell + i];
      const float* weights = axis.weights + (cell + i) * stride;
#pragma GCC unroll 2
      for (std::size_t k = 0; k < stride; k += lanes) {
        sums[i] += load<Floats>(weights + k) * load<Floats>(pixels + k);
      }
    };
    if (size == lanes) {
#pragma GCC unroll 8
      for (std::size_t i = 0; i < lanes; ++i) add(i);
      store(sums_of(sums), out + cell);
    } else {
      for (std::size_t i = 0; i < size; ++i) add(i);
      const Floats cells = sums_of(sums);
      for (std::size_t i = 0; i < size; ++i) out[cell + i] = cells[static_cast<int>(i)];
    }
  }
}

void pool_columns(const float* row, const PoolAxis& axis, float* out) {
  const auto pool = axis.stride == 8    ? pool_cells<8>
                    : axis.stride == 16 ? pool_cells<16>
                                        : pool_cells<0>;
  pool(row, axis, out);
}

}  // namespace
}  // namespace stillscope
