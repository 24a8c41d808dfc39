// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numbers>
#include <vector>

#include "stillscope/quality/adaptive_mask.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/quality/match_template.hpp"
#include "stillscope/quality/optical_flow.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"

namespace stillscope {
namespace {

// Pixels, for a smooth scene moved by a fraction of one; measured 0.057.
constexpr double subpixel_tolerance = 0.15;

test::Image<float> blob(Extent extent, double y, double x, double radius) {
  test::Image<float> image(extent);
  for (std::size_t row = 0; row < extent.height; ++row) {
    for (std::size_t column = 0; column < extent.width; ++column) {
      const double dy = (double(row) - y) / radius;
      const double dx = (double(column) - x) / radius;
      image(row, column) = static_cast<float>(200.0 * std::exp(-0.5 * (dy * dy + dx * dx)));
    }
  }
  return image;
}

TEST_CASE("A round blob is about as circular as a circle, a line is not", "[quality]") {
  const auto round = blob({60, 60}, 30.0, 30.0, 6.0);
  const double circular = circularity(round.view(), 20);
  CHECK(circular > 0.7);
  CHECK(circular < 1.4);
  test::Image<float> line({60, 60});
  for (std::size_t x = 5; x < 55; ++x) line(30, x) = 100.0F;
  CHECK(circularity(line.view(), 20) < 0.5 * circular);
}

TEMPLATE_TEST_CASE("Circularity is that of the frame's values, whatever their type", "[quality]",
                   std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  test::Random random(61);
  const Extent extent{30, 41};
  const auto bytes = test::Scene(extent, random).frame<std::uint8_t>(extent, {}, 5.0, random);
  const double expected = circularity(bytes.view(), 10);
  CHECK(expected > 0.0);
  test::Image<TestType> image(extent);
  for (std::size_t i = 0; i < extent.area(); ++i) {
    image.pixels[i] = static_cast<TestType>(bytes.pixels[i]);
  }
  CHECK(circularity(image.view(), 10) == expected);
  const FrameView<const TestType> transposed(image.pixels.data(), {41, 30}, 1, 41);
  const double turned = circularity(transposed, 10);
  CHECK(std::abs(turned - expected) < 0.05);
}

TEST_CASE("A frame that resembles itself nowhere has circularity 0", "[quality]") {
  const test::Image<float> black({20, 20});
  CHECK(circularity(black.view(), 5) == 0.0);
  const test::Image<std::uint8_t> pixel({1, 1}, 9);
  CHECK(circularity(pixel.view(), 3) == 0.0);
  const test::Image<std::uint8_t> bright({8, 9}, 200);
  CHECK(circularity(bright.view(), 0) == 0.0);  // one displacement: no perimeter
}

// The contract: centre minus peak, the peak being where `src` lies in `dst`. That is the shift
// which brings `dst` onto `src`.
TEST_CASE("match_template finds whole pixels exactly, with minian's sign", "[quality]") {
  test::Random random(62);
  const Extent extent{40, 50};
  const test::Scene scene(extent, random);
  const auto dst = scene.frame<float>(extent, {}, 0.0, random);
  for (const Shift move : {Shift{0.0, 0.0}, Shift{4.0, -7.0}, Shift{-9.0, 2.0}}) {
    CAPTURE(move);
    const auto src = scene.frame<float>(extent, move, 0.0, random);
    CHECK(match_template(src.view(), dst.view(), {.max_sh = 12}) == Shift{0.0, 0.0} - move);
  }
}

TEST_CASE("match_template with subpixel comes near fractions of a pixel", "[quality]") {
  test::Random random(63);
  const Extent extent{48, 64};
  const test::Scene scene(extent, random);
  const auto dst = scene.frame<float>(extent, {}, 0.0, random);
  const Shift move{2.4, -3.3};
  const auto src = scene.frame<float>(extent, move, 0.0, random);
  const Shift found = match_template(src.view(), dst.view(), {.max_sh = 10, .subpixel = true});
  CAPTURE(found);
  CHECK(std::abs(found.height + move.height) < subpixel_tolerance);
  CHECK(std::abs(found.width + move.width) < subpixel_tolerance);
}

TEST_CASE("match_template with local takes the near peak, without it the high one", "[quality]") {
  // The scene twice: dimly where it is, and brightly 12 px to the right.
  const Extent extent{40, 60};
  test::Image<float> dst(extent);
  const auto near = blob(extent, 20.0, 20.0, 2.0);
  const auto far = blob(extent, 20.0, 32.0, 2.0);
  for (std::size_t i = 0; i < extent.area(); ++i) {
    dst.pixels[i] = 0.7F * near.pixels[i] + far.pixels[i];
  }
  const Shift high = match_template(near.view(), dst.view(), {.max_sh = 16});
  CHECK(high == Shift{0.0, -12.0});
  const Shift local = match_template(near.view(), dst.view(), {.max_sh = 16, .local = true});
  CHECK(local == Shift{0.0, 0.0});
}

TEST_CASE("match_template of what is the same everywhere is no shift", "[quality]") {
  const test::Image<float> flat({10, 11}, 3.0F);
  const test::Image<float> black({10, 11});
  CHECK(match_template(black.view(), black.view(), {.max_sh = 4}) == Shift{});
  CHECK(match_template(black.view(), flat.view(), {.max_sh = 4}) == Shift{});
}

TEST_CASE("match_template refuses a source that does not fit, and frames without pixels",
          "[quality][errors]") {
  const test::Image<float> small({5, 5});
  const test::Image<float> large({5, 12});
  const test::Image<float> none({0, 5});
  CHECK_REFUSES("src", (void)match_template(large.view(), small.view(), {.max_sh = 3}));
  CHECK_REFUSES("src", (void)match_template(none.view(), small.view(), {.max_sh = 3}));
  CHECK_REFUSES("dst", (void)match_template(small.view(), none.view(), {.max_sh = 3}));
  CHECK_REFUSES("frame", (void)circularity(none.view(), 3));
  CHECK_REFUSES("max_sh",
                (void)circularity(small.view(), std::numeric_limits<std::size_t>::max() / 2));
}

TEST_CASE("The adaptive mask compares each pixel with its neighbourhood's mean", "[quality]") {
  test::Random random(64);
  const auto frame = test::noise<std::uint8_t>({12, 15}, random);
  test::Image<std::uint8_t> mask(frame.extent, 77);
  const double threshold = 10.0;
  adaptive_mask(frame.view(), threshold, 5, mask.target());
  bool is_equal = true;
  for (std::ptrdiff_t y = 0; y < 12; ++y) {
    for (std::ptrdiff_t x = 0; x < 15; ++x) {
      // The border repeats; OpenCV rounds the mean half to even, and truncates the threshold up.
      double sum = 0.0;
      for (std::ptrdiff_t dy = -2; dy <= 2; ++dy) {
        for (std::ptrdiff_t dx = -2; dx <= 2; ++dx) {
          sum += frame(static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(y + dy, 0, 11)),
                       static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(x + dx, 0, 14)));
        }
      }
      const double mean = std::nearbyint(sum / 25.0);
      const auto row = static_cast<std::size_t>(y);
      const auto column = static_cast<std::size_t>(x);
      const bool above = double(frame(row, column)) - mean > threshold;
      is_equal = is_equal && mask(row, column) == (above ? 1 : 0);
    }
  }
  CHECK(is_equal);
}

TEST_CASE("The adaptive mask reads and writes strided views", "[quality]") {
  test::Random random(65);
  const auto frame = test::noise<std::uint8_t>({9, 14}, random);
  test::Image<std::uint8_t> turned_frame({14, 9});
  for (std::size_t y = 0; y < 9; ++y) {
    for (std::size_t x = 0; x < 14; ++x) turned_frame(x, y) = frame(y, x);
  }
  test::Image<std::uint8_t> expected(frame.extent);
  test::Image<std::uint8_t> mask({14, 9});
  adaptive_mask(frame.view(), 3.0, 3, expected.target());
  adaptive_mask({turned_frame.pixels.data(), {9, 14}, 1, 9}, 3.0, 3,
                {mask.pixels.data(), {9, 14}, 1, 9});
  bool is_equal = true;
  for (std::size_t y = 0; y < 9; ++y) {
    for (std::size_t x = 0; x < 14; ++x) is_equal = is_equal && mask(x, y) == expected(y, x);
  }
  CHECK(is_equal);
}

TEST_CASE("The adaptive mask refuses what it can't use, by name", "[quality][errors]") {
  const test::Image<std::uint8_t> frame({6, 7});
  test::Image<std::uint8_t> mask({6, 7});
  test::Image<std::uint8_t> other({7, 6});
  const test::Image<std::uint8_t> none({0, 7});
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  for (const int window : {-3, 0, 1, 4}) {
    CAPTURE(window);
    CHECK_REFUSES("window", adaptive_mask(frame.view(), 1.0, window, mask.target()));
  }
  CHECK_REFUSES("mask", adaptive_mask(frame.view(), 1.0, 3, other.target()));
  CHECK_REFUSES("threshold", adaptive_mask(frame.view(), unknown, 3, mask.target()));
  CHECK_REFUSES("frame", adaptive_mask(none.view(), 1.0, 3, mask.target()));
}

#if defined(__linux__)
std::size_t threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST_CASE("OpenCV starts no threads of its own", "[quality][opencv-threads]") {
  const Extent extent{480, 752};
  test::Random random(66);
  const auto bytes = test::noise<std::uint8_t>(extent, random);
  test::Image<float> floats(extent);
  std::copy(bytes.pixels.begin(), bytes.pixels.end(), floats.pixels.begin());
  test::Image<std::uint8_t> mask(extent);
  const std::size_t before = threads_of_process();
  (void)circularity(bytes.view(), 100);
  CHECK(threads_of_process() == before);
  (void)match_template(floats.view(), floats.view(),
                       {.max_sh = 20, .local = true, .subpixel = true});
  CHECK(threads_of_process() == before);
  adaptive_mask(bytes.view(), 2.0, 15, mask.target());
  CHECK(threads_of_process() == before);
  test::Image<float> rows(extent);
  test::Image<float> columns(extent);
  optical_flow(floats.view(), floats.view(), rows.target(), columns.target());
  CHECK(threads_of_process() == before);
}
#endif

}  // namespace
}  // namespace stillscope
