// SPDX-License-Identifier: GPL-3.0-or-later
/// Rows of moved frames, merged into those of a template. Included by row_kernels.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pixel_lanes.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {
namespace {

/// Toward zero. From 2^23 on floats are whole, and may not fit an integer.
template <class Lanes>
inline __attribute__((always_inline)) Lanes truncated(Lanes value) {
  if constexpr (std::is_same_v<Lanes, float>) {
    const bool is_small = value < 8388608.0F && value > -8388608.0F;
    return is_small ? static_cast<float>(static_cast<std::int32_t>(value)) : value;
  } else {
#if defined(__AVX2__)
    return reinterpret_cast<Floats>(
        _mm256_round_ps(reinterpret_cast<__m256>(value), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
#else
    const Ints is_small = (value < 8388608.0F) & (value > -8388608.0F);
    const Floats whole = __builtin_convertvector(__builtin_convertvector(value, Ints), Floats);
    return is_small ? whole : value;
#endif
  }
}

/// A value in every lane.
template <class Lanes>
inline __attribute__((always_inline)) Lanes lanes_of(const Floats& value) {
  if constexpr (std::is_same_v<Lanes, float>) return value[0];
  if constexpr (std::is_same_v<Lanes, Floats>) return value;
}

/// Rows that are merged, in units of their own times `scale`. `fixed`: how many, known when this is
/// compiled; 0: it is not.
template <bool is_whole, std::size_t fixed>
class MergedLanes {
 public:
  MergedLanes(const MergedRows& in, float scale)
      : rows_(in.rows), count_(fixed == 0 ? in.count : fixed), scale_(scale) {
    // Copies, which no store can be suspected of changing.
    for (std::size_t k = 0; k < fixed; ++k) copies_[k] = Row(in.rows[k], scale);
  }

  /// The value of row k at x, and `bias`.
  template <class Lanes>
  inline __attribute__((always_inline)) Lanes at(std::size_t k, std::size_t x,
                                                 const Lanes& bias) const {
    if constexpr (fixed > 0) {
      return copies_[k].at(x, bias);
    } else {
      return Row(rows_[k], scale_).at(x, bias);
    }
  }
  /// The sum of all, and `bias`. Partial sums of eight rows keep the rounding of many small.
  template <class Lanes>
  inline __attribute__((always_inline)) Lanes sum_at(std::size_t x, const Lanes& bias) const {
    constexpr std::size_t batch = 8;
    Lanes sum = bias;
    if constexpr (fixed > 0) {
#pragma GCC unroll 4
      for (std::size_t k = 0; k < fixed; ++k) sum = at(k, x, sum);
    } else {
      for (std::size_t begin = 0; begin < count_; begin += batch) {
        const std::size_t end = begin + batch < count_ ? begin + batch : count_;
        Lanes part{};
        for (std::size_t k = begin; k < end; ++k) part = at(k, x, part);
        sum += part;
      }
    }
    return sum;
  }

 private:
  struct Row {
    Row() = default;
    inline __attribute__((always_inline)) Row(const BlendedRow& row, float scale)
        : upper(row.upper), lower(row.lower) {
      const float unit = scale * row.unit;
      first = Floats{} + (is_whole ? row.weight : unit * (1.0F - row.weight));
      second = Floats{} + (is_whole ? unit : unit * row.weight);
    }
    template <class Lanes>
    inline __attribute__((always_inline)) Lanes at(std::size_t x, const Lanes& bias) const {
      const auto a = load<Lanes>(upper + x);
      const auto b = load<Lanes>(lower + x);
      const auto on_first = lanes_of<Lanes>(first);
      const auto on_second = lanes_of<Lanes>(second);
      if constexpr (is_whole) {
        return bias + on_second * truncated(blend(a, b, on_first));
      } else {
        return (bias + on_second * b) + on_first * a;
      }
    }
    const float* upper;
    const float* lower;
    Floats first;  // what the rows are blended with
    Floats second;
  };

  const BlendedRow* rows_;
  std::size_t count_;
  float scale_;
  Row copies_[fixed == 0 ? 1 : fixed];
};

/// Rows of a result are written one after the other. Lines of the cache that will be written two
/// rows on are asked for now: a store that has to wait for its line holds up all that follow.
template <class T>
inline __attribute__((always_inline)) void expect_stores(T* row, std::size_t n, std::size_t x) {
  if (x * sizeof(T) % 64 == 0) __builtin_prefetch(row + x + 2 * n, 1, 2);
}

inline __attribute__((always_inline)) void store_sixteen(const Floats& a, const Floats& b,
                                                         float* out) {
  store(a, out);
  store(b, out + 8);
}
/// The nearest integers.
inline __attribute__((always_inline)) void store_sixteen(const Floats& a, const Floats& b,
                                                         std::int16_t* out) {
  store_ints(nearest_ints(a), nearest_ints(b), out);
}

inline float as_stored(float value, const float*) { return value; }
inline std::int16_t as_stored(float value, const std::int16_t*) {
  return static_cast<std::int16_t>(__builtin_lrintf(value));
}

/// Calls `sixteen(x)` for all columns, for the last of them again where n is no multiple of 16; or
/// `one(x)` where there are fewer.
template <class Sixteen, class One>
inline __attribute__((always_inline)) void for_each_column(std::size_t n, Sixteen&& sixteen,
                                                           One&& one) {
  std::size_t x = 0;
  for (; x + 16 <= n; x += 16) sixteen(x);
  if (x == n) return;
  if (n >= 16) return sixteen(n - 16);
  for (; x < n; ++x) one(x);
}

template <class Out, bool is_whole, std::size_t fixed>
void merge_as(const MergedRows& in, std::size_t n, Out* out) {
  const MergedLanes<is_whole, fixed> rows(in, 1.0F);
  const float offset = in.offset;
  const float factor = in.factor;
  const float zero = in.zero;
  const auto value = [&](std::size_t x, const auto& none) __attribute__((always_inline)) {
    return factor * rows.sum_at(x, none + offset) + zero;
  };
  for_each_column(
      n,
      [&](std::size_t x) __attribute__((always_inline)) {
        expect_stores(out, n, x);
        store_sixteen(value(x, Floats{}), value(x + 8, Floats{}), out + x);
      },
      [&](std::size_t x) { out[x] = as_stored(value(x, 0.0F), out); });
}

template <class Out, bool is_whole>
void merge_some(const MergedRows& in, std::size_t n, Out* out) {
  const auto merge_rows = in.count == 1   ? merge_as<Out, is_whole, 1>
                          : in.count == 2 ? merge_as<Out, is_whole, 2>
                          : in.count == 3 ? merge_as<Out, is_whole, 3>
                                          : merge_as<Out, is_whole, 0>;
  merge_rows(in, n, out);
}

template <class Out>
void merge(const MergedRows& in, std::size_t n, Out* out) {
  (in.is_whole ? merge_some<Out, true> : merge_some<Out, false>)(in, n, out);
}

template <bool is_whole>
void merge_slots_as(const MergedRows& in, float slot_factor, std::size_t n,
                    std::int16_t* const* out) {
  const MergedLanes<is_whole, 3> rows(in, slot_factor);
  const float slot_zero = in.zero;
  // That is in two of the three rows that the aggregate is made of.
  const float factor = in.factor / slot_factor;
  const float zero = in.zero - factor * (2.0F * slot_zero);
  std::int16_t* const first = out[0];
  std::int16_t* const aggregate = out[1];
  std::int16_t* const last = out[2];
  const auto values = [&](std::size_t x, const auto& none, auto(&slots)[3])
      __attribute__((always_inline)) {
    slots[0] = rows.at(0, x, none + slot_zero);
    slots[2] = rows.at(1, x, none + slot_zero);
    slots[1] = factor * rows.at(2, x, slots[0] + slots[2]) + zero;
  };
  for_each_column(
      n,
      [&](std::size_t x) __attribute__((always_inline)) {
        Floats low[3];
        Floats high[3];
        values(x, Floats{}, low);
        values(x + 8, Floats{}, high);
        expect_stores(first, n, x);
        expect_stores(aggregate, n, x);
        expect_stores(last, n, x);
        store_sixteen(low[0], high[0], first + x);
        store_sixteen(low[1], high[1], aggregate + x);
        store_sixteen(low[2], high[2], last + x);
      },
      [&](std::size_t x) {
        float slots[3];
        values(x, 0.0F, slots);
        first[x] = as_stored(slots[0], first);
        aggregate[x] = as_stored(slots[1], aggregate);
        last[x] = as_stored(slots[2], last);
      });
}

void merge_slots(const MergedRows& in, float slot_factor, std::size_t n, std::int16_t* const* out) {
  const auto merge_frames = in.is_whole ? merge_slots_as<true> : merge_slots_as<false>;
  merge_frames(in, slot_factor, n, out);
}

}  // namespace
}  // namespace stillscope
