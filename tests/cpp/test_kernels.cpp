// SPDX-License-Identifier: GPL-3.0-or-later
/// The kernels that take a row at a time, against their formulas in double. Rows of every length up
/// to a few registers, so that whole registers and what is left of them are met.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "stillscope/simd/row_kernels.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"

namespace stillscope {
namespace {

constexpr std::size_t longest = 70;
// Share of the sum of the terms' absolute values; measured 1.7e-7, float32's rounding a few times.
constexpr double sum_tolerance = 6e-7;
// Share of the larger of two samples between which is blended; measured 1.4e-7.
constexpr double blend_tolerance = 3e-7;

template <Pixel T>
std::vector<T> noise_row(std::size_t n, test::Random& random) {
  return test::noise<T>({1, n}, random).pixels;
}

std::vector<float> float_row(std::size_t n, double reach, test::Random& random) {
  std::vector<float> row(n);
  for (float& value : row) value = static_cast<float>(random.uniform(-reach, reach));
  return row;
}

/// Multiples of 1/4 from `low` to `high`: float32 holds their products with multiples of 1/4.
std::vector<float> quarter_row(std::size_t n, double low, double high, test::Random& random) {
  std::vector<float> row(n);
  for (float& value : row) {
    value = static_cast<float>(std::nearbyint(4.0 * random.uniform(low, high)) / 4.0);
  }
  return row;
}

/// A row of results, with elements behind it that must stay as they are.
template <class T>
class Guarded {
 public:
  /// `lead`: so many guards lie before the values.
  explicit Guarded(std::size_t n, std::size_t lead = 0)
      : n_(n), lead_(lead), values_(lead + n + 40, guard) {}
  T* data() { return values_.data() + lead_; }
  T operator[](std::size_t x) const { return values_[lead_ + x]; }
  [[nodiscard]] bool is_intact() const {
    const auto is_guard = [](T value) { return value == guard; };
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(lead_);
    return std::all_of(values_.begin(), first, is_guard) &&
           std::all_of(first + static_cast<std::ptrdiff_t>(n_), values_.end(), is_guard);
  }

 private:
  static constexpr T guard = T{113};
  std::size_t n_;
  std::size_t lead_;
  std::vector<T> values_;
};

std::vector<const float*> pointers(const std::vector<std::vector<float>>& rows) {
  std::vector<const float*> result;
  for (const auto& row : rows) result.push_back(row.data());
  return result;
}

TEMPLATE_TEST_CASE("Sum, range and conversion of a row are those of its pixels", "[kernels]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 131;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  const auto& kernels = pixel_kernels<TestType>();
  for (std::size_t n = 1; n <= longest; ++n) {
    CAPTURE(n);
    const auto row = noise_row<TestType>(n, random);
    double sum = 0.0;
    double size = 0.0;
    for (const TestType pixel : row) {
      sum += static_cast<double>(pixel);
      size += std::abs(static_cast<double>(pixel));
    }
    const double error = std::abs(static_cast<double>(kernels.sum(row.data(), n)) - sum);
    CHECK(error <= (std::is_integral_v<TestType> ? 0.0 : sum_tolerance * size));

    TestType lowest = row[0];
    TestType highest = row[0];
    kernels.range(row.data(), n, &lowest, &highest);
    CHECK(lowest == *std::min_element(row.begin(), row.end()));
    CHECK(highest == *std::max_element(row.begin(), row.end()));
    // A range that holds more stays.
    TestType least = std::numeric_limits<TestType>::lowest();
    TestType most = std::numeric_limits<TestType>::max();
    kernels.range(row.data(), n, &least, &most);
    CHECK(least == std::numeric_limits<TestType>::lowest());
    CHECK(most == std::numeric_limits<TestType>::max());

    Guarded<float> out(n);
    kernels.to_float(row.data(), n, out.data());
    bool is_same = out.is_intact();
    for (std::size_t x = 0; x < n; ++x) is_same = is_same && out[x] == static_cast<float>(row[x]);
    CHECK(is_same);
  }
}

TEMPLATE_TEST_CASE("A centred row is less its offset, and its energy that of the differences",
                   "[kernels]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 132;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (std::size_t n = 1; n <= longest; ++n) {
    CAPTURE(n);
    auto row = noise_row<TestType>(n, random);
    // Doubles are subtracted before they become floats: a large level costs nothing.
    constexpr double level = std::is_same_v<TestType, double> ? 1e9 : 100.0;
    if constexpr (std::is_same_v<TestType, double>) {
      for (double& pixel : row) pixel += level;
    }
    Guarded<float> out(n);
    const float energy = pixel_kernels<TestType>().centre(row.data(), n, level, out.data());
    double expected = 0.0;
    bool is_same = out.is_intact();
    for (std::size_t x = 0; x < n; ++x) {
      const double value = static_cast<double>(row[x]) - level;
      expected += value * value;
      is_same = is_same && out[x] == static_cast<float>(value);
    }
    CHECK(is_same);
    CHECK(std::abs(static_cast<double>(energy) - expected) <= sum_tolerance * expected);
  }
}

TEMPLATE_TEST_CASE("Columns are blended between neighbours, and equal ones give themselves",
                   "[kernels]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 133;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  const auto& kernels = pixel_kernels<TestType>();
  double worst = 0.0;
  for (std::size_t n = 1; n <= longest; ++n) {
    for (const float weight : {0.25F, 0.3F, 0.99999F}) {
      const auto row = noise_row<TestType>(n + 1, random);
      Guarded<float> out(n);
      kernels.blend_columns(row.data(), n, weight, out.data());
      CHECK(out.is_intact());
      for (std::size_t x = 0; x < n; ++x) {
        const auto a = static_cast<double>(row[x]);
        const auto b = static_cast<double>(row[x + 1]);
        const double error =
            std::abs(static_cast<double>(out[x]) - (a + static_cast<double>(weight) * (b - a)));
        worst = std::max(worst, error / std::max({std::abs(a), std::abs(b), 1e-30}));
      }
      const std::vector<TestType> flat(n + 1, row[0]);
      kernels.blend_columns(flat.data(), n, weight, out.data());
      bool is_flat = true;
      for (std::size_t x = 0; x < n; ++x) {
        is_flat = is_flat && out[x] == static_cast<float>(row[0]);
      }
      CHECK(is_flat);
    }
  }
  CAPTURE(worst);
  CHECK(worst <= blend_tolerance);
}

TEMPLATE_TEST_CASE("Blended rows are shared out to two rows of a sum", "[kernels]",
                   STILLSCOPE_PIXELS) {
  // Of the largest value; measured 1.6e-7.
  constexpr double spread_tolerance = 5e-7;
  const std::uint64_t seed = 145;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  for (std::size_t n = 1; n <= longest; ++n) {
    for (const float weight : {0.0F, 0.3F, 0.99999F}) {
      // No pixel behind the row is read where none counts.
      const auto row = noise_row<TestType>(weight == 0.0F ? n : n + 1, random);
      const SpreadRow<TestType> spread{row.data(), weight, 0.7F, 0.45F, 64};
      for (const bool has_lower : {true, false}) {
        Guarded<float> upper(n);
        Guarded<float> lower(n);
        for (std::size_t x = 0; x < n; ++x) upper.data()[x] = static_cast<float>(x);
        for (std::size_t x = 0; x < n; ++x) lower.data()[x] = -3.0F;
        pixel_kernels<TestType>().spread(spread, n, upper.data(),
                                         has_lower ? lower.data() : nullptr);
        CHECK(upper.is_intact());
        CHECK(lower.is_intact());
        for (std::size_t x = 0; x < n; ++x) {
          const auto a = static_cast<double>(row[x]);
          const auto b = weight == 0.0F ? a : static_cast<double>(row[x + 1]);
          const double blended = a + static_cast<double>(weight) * (b - a);
          const double size = std::max({std::abs(a), std::abs(b), static_cast<double>(x), 3.0});
          const auto differs = [&](float found, double before, float share) {
            const double expected = before + static_cast<double>(share) * blended;
            worst = std::max(worst, std::abs(static_cast<double>(found) - expected) / size);
          };
          differs(upper[x], static_cast<double>(x), 0.7F);
          differs(lower[x], -3.0, has_lower ? 0.45F : 0.0F);
        }
      }
    }
  }
  CAPTURE(worst);
  CHECK(worst < spread_tolerance);
}

/// Quarters, which become pixels without a rounding but the last: the kernel's answer is known.
template <Pixel T>
void check_rows(std::size_t n, float weight, PixelRounding rounding, RowStores stores,
                bool has_lower, test::Random& random) {
  // Beyond the range of every integer type.
  const auto upper = quarter_row(n, -70000.0, 140000.0, random);
  const auto lower = quarter_row(n, -70000.0, 140000.0, random);
  // At every place in a line of the cache.
  Guarded<T> out(n, n % 64);
  pixel_kernels<T>().blend_rows(upper.data(), has_lower ? lower.data() : nullptr, n, weight,
                                rounding, stores, out.data());
  float_kernels().finish_streams();
  bool is_same = out.is_intact();
  for (std::size_t x = 0; x < n; ++x) {
    const auto a = static_cast<double>(upper[x]);
    const auto b = static_cast<double>(lower[x]);
    double value = has_lower ? a + static_cast<double>(weight) * (b - a) : a;
    if (rounding == PixelRounding::truncate) value = std::trunc(value);
    // as_pixel rounds what is left to the nearest integer where T is one.
    is_same = is_same && out[x] == test::as_pixel<T>(value);
  }
  CHECK(is_same);
}

TEMPLATE_TEST_CASE("Rows are blended, rounded half to even or toward zero, and saturated",
                   "[kernels]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 134;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (std::size_t n = 1; n <= 2 * longest; ++n) {
    for (const float weight : {0.25F, 0.5F}) {
      CAPTURE(n, weight);
      for (const bool has_lower : {false, true}) {
        for (const RowStores stores : {RowStores::cached, RowStores::streamed}) {
          const auto check = [&](PixelRounding rounding) {
            check_rows<TestType>(n, weight, rounding, stores, has_lower, random);
          };
          check(PixelRounding::nearest);
          check(PixelRounding::truncate);
          if (std::is_floating_point_v<TestType>) check(PixelRounding::none);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("Three rows are added pixel by pixel", "[kernels]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 135;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (std::size_t n = 1; n <= longest; ++n) {
    CAPTURE(n);
    std::vector<std::vector<TestType>> rows(3, std::vector<TestType>(n));
    // A third of the range each, as templates of 14 bits are.
    for (auto& row : rows) {
      for (TestType& pixel : row) pixel = static_cast<TestType>(random.uniform(0.0, 85.0));
    }
    Guarded<TestType> out(n);
    pixel_kernels<TestType>().add(rows[0].data(), rows[1].data(), rows[2].data(), n, out.data());
    bool is_same = out.is_intact();
    for (std::size_t x = 0; x < n; ++x) {
      const auto sum = static_cast<TestType>((rows[0][x] + rows[1][x]) + rows[2][x]);
      is_same = is_same && out[x] == sum;
    }
    CHECK(is_same);
  }
}

TEST_CASE("A weighted sum of any number of rows is that of the formula", "[kernels]") {
  const std::uint64_t seed = 136;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  for (const std::size_t count : {1, 2, 3, 6, 15, 16, 17, 40}) {
    for (std::size_t n = 1; n <= longest; ++n) {
      std::vector<std::vector<float>> rows;
      for (std::size_t k = 0; k < count; ++k) rows.push_back(float_row(n, 500.0, random));
      const auto weights = float_row(count, 1.0, random);
      Guarded<float> out(n);
      const auto from = pointers(rows);
      float_kernels().weighted_sum({from.data(), weights.data(), count, -7.5F, 0.37F}, n,
                                   out.data());
      CHECK(out.is_intact());
      for (std::size_t x = 0; x < n; ++x) {
        double sum = -7.5;
        double size = 7.5;
        for (std::size_t k = 0; k < count; ++k) {
          const double term = static_cast<double>(weights[k]) * static_cast<double>(rows[k][x]);
          sum += term;
          size += std::abs(term);
        }
        const double expected = static_cast<double>(0.37F) * sum;
        worst = std::max(worst, std::abs(static_cast<double>(out[x]) - expected) / (0.37 * size));
      }
    }
  }
  CAPTURE(worst);
  CHECK(worst <= sum_tolerance);
}

/// Rows whose blended values and sums float32 holds: what becomes of them is known to the bit.
struct BlendedCase {
  BlendedCase(std::size_t count, std::size_t n, double reach, test::Random& random) {
    for (std::size_t k = 0; k < count; ++k) {
      uppers.push_back(quarter_row(n, -reach, reach, random));
      lowers.push_back(quarter_row(n, -reach, reach, random));
    }
    const float weights[] = {0.0F, 0.25F, 0.5F};
    for (std::size_t k = 0; k < count; ++k) {
      const float weight = weights[k % 3];
      rows.push_back({uppers[k].data(), weight == 0.0F ? uppers[k].data() : lowers[k].data(),
                      weight, k % 2 == 0 ? 1.0F : 0.5F});
    }
  }
  [[nodiscard]] double value(std::size_t k, std::size_t x, bool is_whole) const {
    const BlendedRow& row = rows[k];
    const double upper = row.upper[x];
    const double blended =
        upper + static_cast<double>(row.weight) * (static_cast<double>(row.lower[x]) - upper);
    return static_cast<double>(row.unit) * (is_whole ? std::trunc(blended) : blended);
  }
  [[nodiscard]] double sum(std::size_t x, bool is_whole) const {
    double sum = 0.0;
    for (std::size_t k = 0; k < rows.size(); ++k) sum += value(k, x, is_whole);
    return sum;
  }

  std::vector<std::vector<float>> uppers;
  std::vector<std::vector<float>> lowers;
  std::vector<BlendedRow> rows;
};

std::int16_t coded(double value) { return static_cast<std::int16_t>(std::nearbyint(value)); }

TEST_CASE("Merged rows are their sums, coded ones the nearest integers, half to even",
          "[kernels]") {
  const std::uint64_t seed = 137;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (std::size_t count = 1; count <= 9; ++count) {
    for (std::size_t n = 1; n <= longest; ++n) {
      for (const bool is_whole : {false, true}) {
        CAPTURE(count, n, is_whole);
        const BlendedCase from(count, n, 32000.0 / static_cast<double>(count), random);
        const MergedRows rows{from.rows.data(), count, is_whole, 3.0F, 0.5F, 11.25F};
        Guarded<float> out(n);
        Guarded<std::int16_t> codes(n);
        float_kernels().merge(rows, n, out.data());
        float_kernels().merge_coded(rows, n, codes.data());
        bool is_same = out.is_intact() && codes.is_intact();
        for (std::size_t x = 0; x < n; ++x) {
          const double expected = 0.5 * (3.0 + from.sum(x, is_whole)) + 11.25;
          is_same =
              is_same && static_cast<double>(out[x]) == expected && codes[x] == coded(expected);
        }
        CHECK(is_same);
      }
    }
  }
  const std::vector<float> ends(longest, -32768.0F);
  const BlendedRow row{ends.data(), ends.data(), 0.0F, 1.0F};
  std::vector<std::int16_t> codes(longest);
  float_kernels().merge_coded({&row, 1, false}, longest, codes.data());
  CHECK(codes == std::vector<std::int16_t>(longest, -32768));
  float_kernels().merge_coded({&row, 1, false, 65535.0F}, longest, codes.data());
  CHECK(codes == std::vector<std::int16_t>(longest, 32767));
}

TEST_CASE("Three rows fill all slots at once as one after the other", "[kernels]") {
  const std::uint64_t seed = 139;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (std::size_t n = 1; n <= longest; ++n) {
    for (const bool is_whole : {false, true}) {
      CAPTURE(n, is_whole);
      const BlendedCase from(3, n, 10000.0, random);
      Guarded<std::int16_t> first(n);
      Guarded<std::int16_t> aggregate(n);
      Guarded<std::int16_t> last(n);
      std::int16_t* const out[] = {first.data(), aggregate.data(), last.data()};
      float_kernels().merge_slots({from.rows.data(), 3, is_whole, 0.0F, 0.25F, -3.25F}, 0.5F, n,
                                  out);
      bool is_same = first.is_intact() && aggregate.is_intact() && last.is_intact();
      for (std::size_t x = 0; x < n; ++x) {
        is_same = is_same && first[x] == coded(0.5 * from.value(0, x, is_whole) - 3.25) &&
                  aggregate[x] == coded(0.25 * from.sum(x, is_whole) - 3.25) &&
                  last[x] == coded(0.5 * from.value(1, x, is_whole) - 3.25);
      }
      CHECK(is_same);
    }
  }
}

TEST_CASE("The highest of a row and of several, and what is cut off toward zero", "[kernels]") {
  const std::uint64_t seed = 138;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  const auto& kernels = float_kernels();
  for (std::size_t n = 1; n <= longest; ++n) {
    CAPTURE(n);
    std::vector<std::vector<float>> rows;
    for (int k = 0; k < 4; ++k) rows.push_back(float_row(n, 3.0, random));
    const auto from = pointers(rows);
    CHECK(kernels.highest(from[0], n) == *std::max_element(rows[0].begin(), rows[0].end()));
    for (std::size_t count = 1; count <= 4; ++count) {
      Guarded<float> out(n);
      kernels.maximum(from.data(), count, n, out.data());
      bool is_same = out.is_intact();
      for (std::size_t x = 0; x < n; ++x) {
        float most = rows[0][x];
        for (std::size_t k = 1; k < count; ++k) most = std::max(most, rows[k][x]);
        is_same = is_same && out[x] == most;
      }
      CHECK(is_same);
    }
    // Some too large for a 32-bit integer, and whole anyway.
    rows[1][n / 2] = 3e20F;
    rows[2][n / 2] = -8388608.0F;
    for (auto& row : rows) {
      const auto before = row;
      kernels.truncate(row.data(), n);
      bool is_same = true;
      for (std::size_t x = 0; x < n; ++x) is_same = is_same && row[x] == std::trunc(before[x]);
      CHECK(is_same);
    }
  }
}

TEST_CASE("Products with a conjugate and weighted powers are those of complex numbers",
          "[kernels]") {
  const std::uint64_t seed = 139;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  for (std::size_t n = 1; n <= longest; ++n) {
    const auto a = float_row(2 * n, 100.0, random);
    const auto b = float_row(2 * n, 100.0, random);
    const auto gain = float_row(n, 2.0, random);
    for (const bool has_gain : {false, true}) {
      Guarded<float> c(2 * n);
      float_kernels().multiply_conjugate(a.data(), b.data(), has_gain ? gain.data() : nullptr, n,
                                         c.data());
      CHECK(c.is_intact());
      for (std::size_t i = 0; i < n; ++i) {
        const double factor = has_gain ? static_cast<double>(gain[i]) : 1.0;
        const double ar = a[2 * i], ai = a[2 * i + 1], br = b[2 * i], bi = b[2 * i + 1];
        const double size = std::abs(factor) * std::hypot(ar, ai) * std::hypot(br, bi);
        worst = std::max({worst, std::abs(c[2 * i] - factor * (ar * br + ai * bi)) / size,
                          std::abs(c[2 * i + 1] - factor * (ai * br - ar * bi)) / size});
      }
    }
    double power = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double re = a[2 * i], im = a[2 * i + 1];
      power += static_cast<double>(gain[i]) * (re * re + im * im);
      size += std::abs(static_cast<double>(gain[i])) * (re * re + im * im);
    }
    const auto found =
        static_cast<double>(float_kernels().weighted_power(a.data(), gain.data(), n));
    worst = std::max(worst, std::abs(found - power) / size);
  }
  CAPTURE(worst);
  CHECK(worst <= sum_tolerance);
}

}  // namespace
}  // namespace stillscope
