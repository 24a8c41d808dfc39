// SPDX-License-Identifier: GPL-3.0-or-later
/// What sampled rows say of a displacement, and their sums. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

void deformed_residuals(const DeformedRow& in, std::size_t begin, std::size_t end,
                        const DeformedSums& columns, DeformedTotals* totals) {
  const DeformedRow row = in;
  const DeformedSums to = columns;
  const Broad zero{};
  const Broad one = zero + 1.0F;
  Broad r = zero;
  Broad rr = zero;
  Broad rp = zero;
  Broad p = zero;
  Broad pp = zero;
  Broad count = zero;
  for (std::size_t x = begin / broad * broad; x < end; x += broad) {
    const Broad sampled = load<Broad>(row.sampled + x);
    BroadInts is_there = sampled == sampled;
    if (x < begin || x + broad > end) {
      const BroadInts column = static_cast<std::int32_t>(x) + numbers_from_zero<BroadInts>();
      is_there &=
          (column >= static_cast<std::int32_t>(begin)) & (column < static_cast<std::int32_t>(end));
    }
    const Broad predicted = is_there ? load<Broad>(row.prediction + x) : zero;
    const Broad difference = (sampled - row.offset) - row.gain * predicted;
    const Broad residual = is_there ? limited(difference, row.limit) : zero;
    const auto project = [&](float* sums, const float* on) __attribute__((always_inline)) {
      store(load<Broad>(sums + x) + load<Broad>(on + x) * residual, sums + x);
    };
    project(to.gradient_height, row.gradient_height);
    project(to.gradient_width, row.gradient_width);
    if (row.detail != nullptr) project(to.detail, row.detail);
    r += residual;
    rr += residual * residual;
    rp += residual * predicted;
    p += predicted;
    pp += predicted * predicted;
    count += is_there ? one : zero;
  }
  add_lanes(r, totals->r);
  add_lanes(rr, totals->rr);
  add_lanes(rp, totals->rp);
  add_lanes(p, totals->p);
  add_lanes(pp, totals->pp);
  add_lanes(count, totals->count);
}

void accumulate_numbers(const float* const* rows, std::size_t count, std::size_t n, double* sums,
                        float* counts) {
  const Floats zero{};
  const Floats one = zero + 1.0F;
  std::size_t x = 0;
  for (; x + 8 <= n; x += 8) {
    Floats total{};
    Floats numbers{};
    for (std::size_t k = 0; k < count; ++k) {
      const Floats value = load<Floats>(rows[k] + x);
      const Ints is_there = value == value;
      total += choose(is_there, value, zero);
      numbers += choose(is_there, one, zero);
    }
    store(load<Doubles>(sums + x) + __builtin_convertvector(total, Doubles), sums + x);
    store(load<Floats>(counts + x) + numbers, counts + x);
  }
  for (; x < n; ++x) {
    float total = 0.0F;
    for (std::size_t k = 0; k < count; ++k) {
      const bool is_there = rows[k][x] == rows[k][x];
      total += is_there ? rows[k][x] : 0.0F;
      counts[x] += is_there ? 1.0F : 0.0F;
    }
    sums[x] += static_cast<double>(total);
  }
}

}  // namespace
}  // namespace stillscope
