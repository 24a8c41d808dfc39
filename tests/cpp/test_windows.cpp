// SPDX-License-Identifier: GPL-3.0-or-later
/// The kernels of the exact correlation against their formula, one product at a time.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "stillscope/simd/row_kernels.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"

namespace stillscope {
namespace {

// Floats: share of the sum of the products' absolute values; measured 9.5e-8. Integers are exact.
template <class T>
constexpr double tolerance = std::is_integral_v<T> ? 0.0 : 4e-7;

/// Rows that lie anywhere in a larger frame: at odd distances, backwards, some of them twice.
template <Pixel T>
struct Rows {
  std::vector<T> memory;
  std::vector<const T*> rows;
  std::size_t width;

  Rows(std::size_t count, std::size_t row_width, double low, double high, test::Random& random)
      : memory((count + 1) * (row_width + 3)), width(row_width) {
    for (T& pixel : memory) pixel = test::as_pixel<T>(random.uniform(low, high));
    for (std::size_t r = 0; r < count; ++r) {
      const std::size_t place = r % 3 == 2 ? r - 1 : count - r;
      rows.push_back(memory.data() + place * (width + 3) + r % 2);
    }
  }
};

/// Pixels within `reach` of an offset: what the kernels are told of a frame.
struct Values {
  double offset;
  double reach;
};

template <Pixel T>
class Checker {
 public:
  /// `src`, `dst`: where the pixels lie.
  Checker(Values src, Values dst, test::Random& random) : src_(src), dst_(dst), random_(random) {}

  /// A band of `count` rows of `width` pixels from column `first` of the source on.
  void operator()(std::size_t count, std::size_t width, std::size_t first) {
    check({count + 2, width, src_.offset - src_.reach, src_.offset + src_.reach, random_},
          {count, width, dst_.offset - dst_.reach, dst_.offset + dst_.reach, random_}, first);
  }
  /// The same, all pixels equal.
  void all(double pixel, std::size_t count, std::size_t width, std::size_t first) {
    check({count + 2, width, pixel, pixel, random_}, {count, width, pixel, pixel, random_}, first);
  }

  /// The largest share by which floats missed.
  [[nodiscard]] double worst() const { return worst_; }
  [[nodiscard]] bool is_good() const { return is_good_; }

 private:
  void check(const Rows<T>& src, const Rows<T>& dst, std::size_t first) {
    const std::size_t count = dst.rows.size();
    const std::size_t width = dst.width;
    // Signed sources are taken as they are, and so are bytes.
    constexpr bool is_signed = std::is_same_v<T, std::int16_t>;
    constexpr bool is_raw = sizeof(T) == 1;
    const double src_reach = is_signed ? std::abs(src_.offset) + src_.reach : src_.reach;
    const double largest = is_raw ? 255.0 * 255.0 : std::max(1.0, src_reach * dst_.reach);
    CorrelationBand<T> band{};
    band.dst = dst.rows.data();
    band.src = src.rows.data();
    band.rows = count;
    band.width = width;
    band.first = first;
    band.dst_offset = dst_.offset;
    band.src_offset = is_signed ? 0.0 : src_.offset;
    band.safe_products =
        std::is_integral_v<T>
            ? static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / (2.0 * largest))
            : 0;
    ProductSum<T> found[9];
    // The kernels add to what is there.
    for (int k = 0; k < 9; ++k) found[k] = static_cast<ProductSum<T>>(1000 + k);
    ProductSum<T> point = 500;
    pixel_kernels<T>().correlate_window(band, found);
    pixel_kernels<T>().correlate_point(band, &point);
    const double dst_less = is_raw ? 0.0 : band.dst_offset;
    const double src_less = is_raw ? 0.0 : band.src_offset;
    for (std::size_t k = 0; k < 9; ++k) {
      long double sum = 0.0L;
      double size = 0.0;
      for (std::size_t y = 0; y < count; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          const double a = static_cast<double>(dst.rows[y][x]) - dst_less;
          const double b =
              static_cast<double>(src.rows[y + k / 3][(first + k % 3 + x) % width]) - src_less;
          sum += static_cast<long double>(a) * b;
          size += std::abs(a * b);
        }
      }
      compare(found[k], sum + static_cast<int>(1000 + k), size);
      if (k == 4) compare(point, sum + 500, size);
    }
  }

  void compare(ProductSum<T> found, long double expected, double size) {
    const auto error = static_cast<double>(std::abs(static_cast<long double>(found) - expected));
    worst_ = std::max(worst_, error / (size + 2000.0));
    is_good_ = is_good_ && error <= tolerance<T> * (size + 2000.0);
  }

  Values src_;
  Values dst_;
  test::Random& random_;
  double worst_ = 0.0;
  bool is_good_ = true;
};

/// Where the source's seam falls: nowhere, at either end, and inside.
std::vector<std::size_t> firsts(std::size_t width) {
  std::vector<std::size_t> list{0, width / 2, width - 1};
  if (width > 2) list.push_back(width - 2);
  if (width > 1) list.push_back(1);
  return list;
}

template <Pixel T>
void check_widths(Values src, Values dst, test::Random& random) {
  Checker<T> checker(src, dst, random);
  for (std::size_t width = 1; width <= 70; ++width) {
    for (const std::size_t first : firsts(width)) {
      for (const std::size_t rows : {1, 3, 4, 9}) {
        checker(rows, width, first);
        CAPTURE(rows, width, first);
        REQUIRE(checker.is_good());
      }
    }
  }
  CAPTURE(checker.worst());
  CHECK(checker.worst() <= tolerance<T>);
}

TEMPLATE_TEST_CASE("Windows and points of any width are sums of products", "[windows]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 141;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  // Means taken off, so that floats are tested where it counts: differences of the products.
  if constexpr (sizeof(TestType) == 1) {
    check_widths<TestType>({127.5, 127.5}, {127.5, 127.5}, random);
  } else if constexpr (std::is_same_v<TestType, std::uint16_t>) {
    check_widths<TestType>({40000.0, 900.0}, {3000.0, 2500.0}, random);
  } else if constexpr (std::is_same_v<TestType, std::int16_t>) {
    check_widths<TestType>({-700.0, 8000.0}, {-20000.0, 2000.0}, random);
  } else {
    check_widths<TestType>({100.0, 30.0}, {-5000.0, 40.0}, random);
  }
}

// Registers hold so many products of 16-bit pixels before they are widened: from many to none,
// where they are summed in halves.
TEMPLATE_TEST_CASE("Sums of products stay exact however few a register holds", "[windows]",
                   std::uint16_t, std::int16_t) {
  const std::uint64_t seed = 142;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  for (const double reach :
       {30.0, 2000.0, 11585.0, 13000.0, 14000.0, 16383.0, 20000.0, 32767.0, 32768.0}) {
    const double middle = std::is_signed_v<TestType> ? 0.0 : 32768.0;
    Checker<TestType> checker({middle, reach}, {middle, reach}, random);
    for (const std::size_t width : {31, 32, 33, 64, 200, 1001}) {
      checker(5, width, width / 3);
      CAPTURE(reach, width);
      CHECK(checker.is_good());
    }
  }
}

TEST_CASE("Long rows of the brightest bytes do not overflow", "[windows]") {
  CAPTURE(instruction_set());
  test::Random random(143);
  Checker<std::uint8_t> checker({255.0, 0.0}, {255.0, 0.0}, random);
  // 32 bits hold some 16,000 pairs of products; here are 70,000 in 16 lanes of four rows.
  checker(4, 280001, 280000);
  checker(1, 300007, 17);
  CHECK(checker.is_good());
}

// A pair of products of the pixels furthest from their offset is one more than 32 bits hold; the
// halves of 35,000 pairs are more than that, too.
TEMPLATE_TEST_CASE("Long rows of 16-bit pixels furthest from their offsets do not overflow",
                   "[windows]", std::uint16_t, std::int16_t) {
  CAPTURE(instruction_set());
  test::Random random(144);
  constexpr bool is_signed = std::is_same_v<TestType, std::int16_t>;
  constexpr double middle = is_signed ? 0.0 : 32768.0;
  for (const double pixel : {middle - 32768.0, middle + 32767.0}) {
    // As the offset is told: the pixels lie `reach` from it.
    Checker<TestType> checker({middle, 32768.0}, {middle, 32768.0}, random);
    checker.all(pixel, 1, 560007, 17);
    checker.all(pixel, 4, 140001, 140000);
    CHECK(checker.is_good());
  }
}

}  // namespace
}  // namespace stillscope
