// SPDX-License-Identifier: GPL-3.0-or-later
/// Sampling between the pixels of a frame. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

inline __attribute__((always_inline)) bool any(const Ints& mask) {
#if defined(__AVX2__)
  return _mm256_movemask_ps(reinterpret_cast<__m256>(mask)) != 0;
#elif defined(__SSE2__)
  __m128 halves[2];
  __builtin_memcpy(halves, &mask, sizeof mask);
  return (_mm_movemask_ps(halves[0]) | _mm_movemask_ps(halves[1])) != 0;
#else
  for (int i = 0; i < 8; ++i) {
    if (mask[i] != 0) return true;
  }
  return false;
#endif
}

/// The larger and the smaller of two numbers.
#if defined(__AVX512F__)
inline __attribute__((always_inline)) Broad larger(const Broad& a, const Broad& b) {
  return reinterpret_cast<Broad>(
      _mm512_maskz_max_ps(0xFFFF, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
}
#endif
inline __attribute__((always_inline)) Floats larger(const Floats& a, const Floats& b) {
#if defined(__AVX2__)
  return reinterpret_cast<Floats>(
      _mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a > b ? a : b;
#endif
}

inline __attribute__((always_inline)) Floats between(const Floats& value, const Floats& low,
                                                     const Floats& high) {
  const Floats above = value < low ? low : value;
  return above > high ? high : above;
}

void cubics(const CubicRuns& runs, float* height, float* width) {
  const float step = runs.step;
  const Broad numbers = step * numbers_from_zero<Broad>();
  for (std::size_t k = 0; k < runs.count; ++k) {
    const CubicRun run = runs.runs[k];
    const Broad first = run.start + numbers;
    const float* on_height = runs.height + run.cell;
    const float* on_width = runs.width + run.cell;
    for (std::size_t i = 0; i < run.count; i += broad) {
      const Broad t = first + step * static_cast<float>(i);
      const auto value = [&](const float* c) __attribute__((always_inline)) {
        return ((c[3 * runs.stride] * t + c[2 * runs.stride]) * t + c[runs.stride]) * t + c[0];
      };
      const Broad heights = value(on_height);
      const Broad widths = value(on_width);
      store(heights, height + run.first + i);
      store(widths, width + run.first + i);
    }
  }
}

/// Keys' four weights at `t` in [0, 1) beyond the second sample; Eq. as `keys_weights`.
template <class Lanes>
inline __attribute__((always_inline)) void keys(const Lanes& t, Lanes (&weights)[4]) {
  const Lanes s = 1.0F - t;
  weights[0] = -0.5F * t * s * s;
  weights[3] = -0.5F * s * t * t;
  weights[1] = 1.0F + t * t * (1.5F * t - 2.5F);
  weights[2] = 1.0F + s * s * (1.5F * s - 2.5F);
}

/// One value at a position within the padding; reads nothing of weight zero.
template <bool is_cubic>
inline float sample_one(const SampledFrame& frame, std::ptrdiff_t y, std::ptrdiff_t x, float dy,
                        float dx) {
  const float whole_dy = __builtin_floorf(dy);
  const float whole_dx = __builtin_floorf(dx);
  const float fy = dy - whole_dy;
  const float fx = dx - whole_dx;
  const float* at = frame.pixels + (y + static_cast<std::ptrdiff_t>(whole_dy)) * frame.stride +
                    (x + static_cast<std::ptrdiff_t>(whole_dx));
  if constexpr (is_cubic) {
    float wy[4];
    float wx[4];
    keys(fy, wy);
    keys(fx, wx);
    float sum = 0.0F;
    for (std::ptrdiff_t j = 0; j < 4; ++j) {
      if (wy[j] == 0.0F) continue;
      const float* row = at + (j - 1) * frame.stride - 1;
      float along = 0.0F;
      for (std::ptrdiff_t k = 0; k < 4; ++k) {
        if (wx[k] != 0.0F) along += wx[k] * row[k];
      }
      sum += wy[j] * along;
    }
    return sum;
  } else {
    const auto along = [&](const float* row) {
      return fx != 0.0F ? row[0] + fx * (row[1] - row[0]) : row[0];
    };
    const float upper = along(at);
    return fy != 0.0F ? upper + fy * (along(at + frame.stride) - upper) : upper;
  }
}

/// Values whose positions are up to a pixel below and right of `at` + lane.
template <class Lanes>
inline __attribute__((always_inline)) Lanes sample_in_cell(const float* at, std::ptrdiff_t stride,
                                                           const Lanes& fy, const Lanes& fx) {
  const auto along = [&](const float* row) __attribute__((always_inline)) {
    const Lanes here = load<Lanes>(row);
    return here + fx * (load<Lanes>(row + 1) - here);
  };
  const Lanes upper = along(at);
  return upper + fy * (along(at + stride) - upper);
}

/// Values whose positions are within a pixel of `at` + lane, on either side.
template <class Lanes>
inline __attribute__((always_inline)) Lanes sample_linear_lanes(const float* at,
                                                                std::ptrdiff_t stride,
                                                                const Lanes& fy, const Lanes& fx) {
  const Lanes zero{};
  const Lanes right = larger(fx, zero);
  const Lanes left = larger(-fx, zero);
  const Lanes down = larger(fy, zero);
  const Lanes up = larger(-fy, zero);
  const auto along = [&](const float* row) __attribute__((always_inline)) {
    const Lanes here = load<Lanes>(row);
    return here + right * (load<Lanes>(row + 1) - here) + left * (load<Lanes>(row - 1) - here);
  };
  const Lanes here = along(at);
  return here + down * (along(at + stride) - here) + up * (along(at - stride) - here);
}

inline __attribute__((always_inline)) void five_weights(const Floats& f, Floats (&weights)[5]) {
  const Ints is_before = f < 0.0F;
  const Floats zero{};
  Floats four[4];
  keys(is_before ? f + 1.0F : f, four);
  weights[0] = is_before ? four[0] : zero;
  weights[1] = is_before ? four[1] : four[0];
  weights[2] = is_before ? four[2] : four[1];
  weights[3] = is_before ? four[3] : four[2];
  weights[4] = is_before ? zero : four[3];
}

inline __attribute__((always_inline)) Floats sample_cubic_lanes(const float* at,
                                                                std::ptrdiff_t stride,
                                                                const Floats& fy,
                                                                const Floats& fx) {
  Floats wy[5];
  Floats wx[5];
  five_weights(fy, wy);
  five_weights(fx, wx);
  Floats sum{};
#pragma GCC unroll 5
  for (std::ptrdiff_t j = 0; j < 5; ++j) {
    const float* row = at + (j - 2) * stride;
    Floats along = wx[0] * load<Floats>(row - 2);
#pragma GCC unroll 4
    for (std::ptrdiff_t k = 1; k < 5; ++k) along += wx[k] * load<Floats>(row + k - 2);
    sum += wy[j] * along;
  }
  return sum;
}

/// Whether all of eight displacements lie in [whole, whole + 1] on both axes; what is left of them.
inline __attribute__((always_inline)) bool are_in_cell(const Floats& fy, const Floats& fx) {
  const auto off_centre = [](const Floats& f) __attribute__((always_inline)) {
    return larger(f - 0.5F, 0.5F - f);
  };
  return !any(larger(off_centre(fy), off_centre(fx)) > 0.5F);
}

/// Eight values beside which something of weight zero may have been no number, or whose positions
/// are far apart, one by one.
template <bool is_cubic>
__attribute__((noinline)) Floats sample_again(const SampledRow& row, std::size_t x,
                                              const Ints& again, const Floats& dy, const Floats& dx,
                                              Floats value) {
  for (int i = 0; i < 8; ++i) {
    if (again[i] == 0) continue;
    value[i] = sample_one<is_cubic>(row.frame, static_cast<std::ptrdiff_t>(row.y),
                                    static_cast<std::ptrdiff_t>(x) + i, dy[i], dx[i]);
  }
  return value;
}

// Neighbours are displaced alike: eight values share a whole offset, most often one pixel's cell,
// and what is left of each displacement is a weight. So there is nothing to gather.
template <bool is_cubic, bool is_calm>
inline void sample_columns(const SampledRow& in, std::size_t begin, std::size_t end, float* out) {
  const SampledRow row = in;
  const SampledFrame frame = row.frame;
  // Beyond here nothing changes any more.
  constexpr float margin = 4.0F;
  const auto y = static_cast<float>(row.y);
  const auto last_row = static_cast<float>(frame.height) - 1.0F;
  const auto last_column = static_cast<float>(frame.width) - 1.0F;
  const bool has_limits = row.inside < 1e30F;
  constexpr auto calm_margin = static_cast<std::size_t>(calm_length) + 1;
  const bool is_middle_row = row.y >= calm_margin && row.y + 1 + calm_margin <= frame.height;
  const Floats low_row = Floats{} + (-margin - y);
  const Floats high_row = Floats{} + (last_row + margin - y);
  const float* first = frame.pixels + static_cast<std::ptrdiff_t>(row.y) * frame.stride;
  for (std::size_t x = begin; x < end; x += 8) {
    const Floats column = static_cast<float>(x) + numbers_from_zero<Floats>();
    const Floats given_dy = load<Floats>(row.rows + x);
    const Floats given_dx = load<Floats>(row.columns + x);
    Floats dy = given_dy;
    Floats dx = given_dx;
    if constexpr (!is_calm) {
      dy = between(dy, low_row, high_row);
      dx = between(dx, -margin - column, last_column + margin - column);
    }
    // From memory where they come from there: taking lanes out of a register costs more.
    const auto middle_of = [x](const float* given, const Floats& lanes)
        __attribute__((always_inline)) {
      return 0.5F * (is_calm ? given[x] + given[x + 7] : lanes[0] + lanes[7]);
    };
    const float middle_dy = middle_of(row.rows, dy);
    const float middle_dx = middle_of(row.columns, dx);
    const auto place = [&](float whole_dy, float whole_dx) __attribute__((always_inline)) {
      return first + static_cast<std::ptrdiff_t>(whole_dy) * frame.stride +
             (static_cast<std::ptrdiff_t>(x) + static_cast<std::ptrdiff_t>(whole_dx));
    };
    Floats value{};
    bool is_known = false;
    if constexpr (!is_cubic) {
      const float whole_dy = __builtin_floorf(middle_dy);
      const float whole_dx = __builtin_floorf(middle_dx);
      const Floats fy = dy - whole_dy;
      const Floats fx = dx - whole_dx;
      if (are_in_cell(fy, fx)) {
        value = sample_in_cell(place(whole_dy, whole_dx), frame.stride, fy, fx);
        is_known = true;
      }
    }
    if (!is_known) {
      const float whole_dy = __builtin_rintf(middle_dy);
      const float whole_dx = __builtin_rintf(middle_dx);
      const Floats fy = dy - whole_dy;
      const Floats fx = dx - whole_dx;
      const Ints is_far =
          is_calm ? Ints{} : (fy > 1.0F) | (fy < -1.0F) | (fx > 1.0F) | (fx < -1.0F);
      if (is_calm || !any(is_far)) {
        const float* at = place(whole_dy, whole_dx);
        value = is_cubic ? sample_cubic_lanes(at, frame.stride, fy, fx)
                         : sample_linear_lanes(at, frame.stride, fy, fx);
      } else {
        value = sample_again<is_cubic>(row, x, Ints{} - 1, dy, dx, value);
      }
    }
    if (!row.is_finite) {
      const Ints again = value - value != 0.0F;
      if (any(again)) value = sample_again<is_cubic>(row, x, again, dy, dx, value);
    }
    // Calm displacements lead nowhere else from the middle of the frame.
    const bool is_middle =
        is_calm && is_middle_row && x >= calm_margin && x + 8 + calm_margin <= frame.width;
    if (has_limits && !is_middle) {
      const Ints is_outside =
          (given_dy + y < -row.inside) | (given_dy + y > last_row + row.inside) |
          (given_dx + column < -row.inside) | (given_dx + column > last_column + row.inside);
      value = choose(is_outside, Floats{} + row.outside, value);
    }
    store(value, out + x);
  }
}

/// Whether some value lies outside [low, high], or is none.
inline __attribute__((always_inline)) bool leave(const Broad& fy, const Broad& fx, float low,
                                                 float high) {
  const Broad middle = Broad{} + 0.5F * (low + high);
  const Broad off = larger(larger(fy - middle, middle - fy), larger(fx - middle, middle - fx));
  const float reach = 0.5F * (high - low);
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(reinterpret_cast<__m512>(off), _mm512_set1_ps(reach), _CMP_NLE_UQ) != 0;
#else
  return any(~(off <= reach));
#endif
}

// Where displacements are calm, whole rows of them often share a cell: as long as they do, there is
// nothing to be found out but what is left of each.
void sample_calm_linear(const SampledRow& in, std::size_t n, float* out) {
  const SampledRow row = in;
  const std::ptrdiff_t stride = row.frame.stride;
  const bool has_limits = row.inside < 1e30F;
  constexpr auto margin = static_cast<std::size_t>(calm_length) + 1;
  const bool is_middle_row = row.y >= margin && row.y + 1 + margin <= row.frame.height;
  const auto y = static_cast<float>(row.y);
  const float low_row = -row.inside - y;
  const float high_row = static_cast<float>(row.frame.height) - 1.0F + row.inside - y;
  const float last_column = static_cast<float>(row.frame.width) - 1.0F;
  const float* first = row.frame.pixels + static_cast<std::ptrdiff_t>(row.y) * stride;
  const auto place = [&](float whole_dy, float whole_dx) {
    return first + static_cast<std::ptrdiff_t>(whole_dy) * stride +
           static_cast<std::ptrdiff_t>(whole_dx);
  };
  const float* cell = first;
  float cell_dy = 0.0F;
  float cell_dx = 0.0F;
  std::size_t x = 0;
  for (; x + broad <= n; x += broad) {
    const Broad dy = load<Broad>(row.rows + x);
    const Broad dx = load<Broad>(row.columns + x);
    const float middle_dy = row.rows[x + broad / 2];
    const float middle_dx = row.columns[x + broad / 2];
    bool is_in_cell = !leave(dy - cell_dy, dx - cell_dx, 0.0F, 1.0F);
    if (!is_in_cell) {
      cell_dy = __builtin_floorf(middle_dy);
      cell_dx = __builtin_floorf(middle_dx);
      cell = place(cell_dy, cell_dx);
      is_in_cell = !leave(dy - cell_dy, dx - cell_dx, 0.0F, 1.0F);
    }
    Broad value;
    if (is_in_cell) {
      value = sample_in_cell(cell + x, stride, dy - cell_dy, dx - cell_dx);
    } else {
      const float whole_dy = __builtin_rintf(middle_dy);
      const float whole_dx = __builtin_rintf(middle_dx);
      if (leave(dy - whole_dy, dx - whole_dx, -1.0F, 1.0F)) {
        sample_columns<false, true>(row, x, x + broad, out);
        continue;
      }
      value =
          sample_linear_lanes(place(whole_dy, whole_dx) + x, stride, dy - whole_dy, dx - whole_dx);
    }
    if (!row.is_finite && leave(value - value, value - value, 0.0F, 0.0F)) {
      sample_columns<false, true>(row, x, x + broad, out);
      continue;
    }
    // Calm displacements lead nowhere else from the middle of the frame.
    const bool is_middle = is_middle_row && x >= margin && x + broad + margin <= row.frame.width;
    if (has_limits && !is_middle) {
      const Broad column = static_cast<float>(x) + numbers_from_zero<Broad>() + dx;
      const BroadInts is_outside = (dy < low_row) | (dy > high_row) | (column < -row.inside) |
                                   (column > last_column + row.inside);
      value = is_outside ? Broad{} + row.outside : value;
    }
    store(value, out + x);
  }
  sample_columns<false, true>(row, x, n, out);
}

template <bool is_cubic>
void sample(const SampledRow& row, std::size_t n, float* out) {
  if (!row.is_calm) return sample_columns<is_cubic, false>(row, 0, n, out);
  if (is_cubic) return sample_columns<true, true>(row, 0, n, out);
  sample_calm_linear(row, n, out);
}

}  // namespace
}  // namespace stillscope
