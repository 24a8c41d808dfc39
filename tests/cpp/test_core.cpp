// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/version.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"

namespace stillscope {
namespace {

TEST_CASE("A view reads the pixel that its strides point at", "[core]") {
  std::vector<std::int16_t> pixels(2 * 3 * 4);
  std::iota(pixels.begin(), pixels.end(), std::int16_t{0});
  const MovieView<const std::int16_t> movie(pixels.data(), 2, {3, 4});
  CHECK(movie[1](2, 3) == 23);
  const MovieView<const std::int16_t> backwards(pixels.data() + 23, 2, {3, 4}, -12, -4, -1);
  CHECK(backwards[1](2, 3) == 0);
  CHECK(backwards[0](0, 1) == 22);
  const FrameView<const std::int16_t> transposed(pixels.data(), {4, 3}, 1, 4);
  CHECK(transposed(3, 2) == 11);
  CHECK_FALSE(transposed.has_contiguous_rows());
  const StackView<const std::int16_t> stack(pixels.data(), 2, {1, 4});
  CHECK(stack(1, 2)(0, 0) == 20);
  CHECK(stack.size() == 2);
}

TEST_CASE("A row is used in place where it is contiguous, else gathered", "[core]") {
  const std::vector<float> pixels{0, 1, 2, 3, 4, 5};
  std::vector<float> scratch;
  const FrameView<const float> rows(pixels.data(), {2, 3});
  CHECK(contiguous_row(rows, 1, scratch) == pixels.data() + 3);
  const FrameView<const float> columns(pixels.data(), {3, 2}, 1, 3);
  const float* row = contiguous_row(columns, 2, scratch);
  CHECK(row == scratch.data());
  CHECK(row[0] == 2.0F);
  CHECK(row[1] == 5.0F);
  const FrameView<const float> narrow(pixels.data(), {3, 1}, 2, 77);
  CHECK(contiguous_row(narrow, 1, scratch) == pixels.data() + 2);
}

TEST_CASE("wrap_index is the non-negative remainder", "[core]") {
  CHECK(wrap_index(0, 5) == 0);
  CHECK(wrap_index(5, 5) == 0);
  CHECK(wrap_index(-1, 5) == 4);
  CHECK(wrap_index(-5, 5) == 0);
  CHECK(wrap_index(-11, 5) == 4);
  CHECK(wrap_index(-3, 1) == 0);
}

TEST_CASE("Shifts add and subtract on each axis", "[core]") {
  const Shift a{1.5, -2.0};
  const Shift b{0.25, 4.0};
  CHECK(a + b == Shift{1.75, 2.0});
  CHECK(a - b == Shift{1.25, -6.0});
  CHECK(-a == Shift{-1.5, 2.0});
  CHECK(a.is_finite());
  CHECK_FALSE(Shift{0.0, std::numeric_limits<double>::infinity()}.is_finite());
  CHECK_FALSE(Shift{std::numeric_limits<double>::quiet_NaN(), 0.0}.is_finite());
}

TEST_CASE("Buffers are aligned, and a pool hands the same things out again", "[core]") {
  for (const std::size_t size : {1, 5, 100000, 3000000}) {
    const AlignedBuffer<float> buffer(size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % AlignedBuffer<float>::alignment == 0);
    CHECK(buffer.span().size() == size);
    buffer.data()[size - 1] = 1.0F;
  }
  CHECK(AlignedBuffer<float>().empty());
  AlignedBuffer<float> growing;
  growing.reserve(7);
  const float* address = growing.data();
  growing.reserve(3);
  CHECK(growing.data() == address);
  growing.reserve(70);
  CHECK(growing.size() == 70);
  Pool<int> pool;
  pool.give(4);
  CHECK(pool.take([] { return 9; }) == 4);
  CHECK(pool.take([] { return 9; }) == 9);
}

TEST_CASE("Large memory that was given back is handed out again, the last piece first", "[core]") {
  release_kept_memory();
  constexpr std::size_t bytes = 1000000;
  void* first = take_memory(bytes);
  void* second = take_memory(bytes);
  CHECK(first != second);
  give_memory(first, bytes);
  give_memory(second, bytes);
  CHECK(take_memory(bytes) == second);
  void* other = take_memory(bytes + 64);  // of another size
  CHECK(other != first);
  CHECK(take_memory(bytes) == first);
  give_memory(first, bytes);
  give_memory(second, bytes);
  give_memory(other, bytes + 64);
  release_kept_memory();
}

TEST_CASE("A scale has a step that is a power of two, and holds its range", "[core]") {
  for (const PixelRange range : {PixelRange{0.0, 255.0},
                                 {-3.25, 17.5},
                                 {0.0, 1e-20},
                                 {-1e30, 0.0},
                                 {0.0, 0.0},
                                 {0.0, 16382.0},
                                 {0.0, 16383.0}}) {
    const PixelScale scale = PixelScale::of(range, 14);
    CAPTURE(range.lowest, range.highest, scale.offset, scale.step);
    int exponent = 0;
    CHECK(std::frexp(scale.step, &exponent) == 0.5);
    CHECK(std::fmod(scale.offset, scale.step) == 0.0);
    CHECK(std::abs(std::nearbyint((range.lowest - scale.offset) / scale.step)) <= 8192.0);
    CHECK(std::abs(std::nearbyint((range.highest - scale.offset) / scale.step)) <= 8192.0);
    // No coarser than it must be.
    CHECK((range.highest - range.lowest) / scale.step >=
          (range.highest == range.lowest ? 0 : 8191));
  }
  CHECK(PixelScale::of({0.0, 255.0}, 14).step == 1.0 / 64.0);
  CHECK(PixelScale::of({0.0, 16383.0}, 14).step == 2.0);
}

TEMPLATE_TEST_CASE("The mean of a frame is that of its finite pixels, and so is its range",
                   "[core]", float, double) {
  const std::uint64_t seed = 11;
  CAPTURE(seed);
  test::Random random(seed);
  auto image = test::noise<TestType>({7, 9}, random);
  long double sum = 0.0L;
  for (const TestType pixel : image.pixels) sum += pixel;
  // Rows of 9 floats add up to 1e-7 of their size.
  const double tolerance = std::is_same_v<TestType, float> ? 1e-4 : 1e-9;
  FrameSummary summary = summarize(image.view());
  CHECK(std::abs(summary.mean - static_cast<double>(sum / 63)) < tolerance);
  const auto [lowest, highest] = std::minmax_element(image.pixels.begin(), image.pixels.end());
  CHECK(summary.range.lowest == static_cast<double>(*lowest));
  CHECK(summary.range.highest == static_cast<double>(*highest));
  CHECK(summary.non_finite == 0);
  sum -= image(3, 4);
  sum -= image(0, 0);
  image(3, 4) = std::numeric_limits<TestType>::quiet_NaN();
  image(0, 0) = -std::numeric_limits<TestType>::infinity();
  image(5, 5) = TestType{-1000};
  image(5, 6) = TestType{2000};
  sum = 0.0L;
  for (const TestType pixel : image.pixels) sum += std::isfinite(pixel) ? pixel : TestType{0};
  summary = summarize(image.view());
  CHECK(summary.non_finite == 2);
  CHECK(std::abs(summary.mean - static_cast<double>(sum / 61)) < tolerance);
  CHECK(summary.range.lowest == -1000.0);
  CHECK(summary.range.highest == 2000.0);
  const test::Image<TestType> dead({2, 2}, std::numeric_limits<TestType>::quiet_NaN());
  summary = summarize(dead.view());
  CHECK(summary.non_finite == 4);
  CHECK(summary.mean == 0.0);
}

TEST_CASE("A frame of huge floats has a finite mean", "[core]") {
  const test::Image<float> image({4, 5}, std::numeric_limits<float>::max());
  const FrameSummary summary = summarize(image.view());
  CHECK(summary.non_finite == 0);
  CHECK(summary.mean == static_cast<double>(std::numeric_limits<float>::max()));
}

TEST_CASE("A centred frame is less its offset, and knows its energy", "[core]") {
  test::Image<std::uint16_t> image({3, 5}, 60001);
  std::vector<float> out(15, -1.0F);
  CHECK(load_centred(image.view(), 60001.0, out.data()) == 0.0);
  CHECK(out == std::vector<float>(15, 0.0F));
  image(2, 4) = 60016;
  CHECK(load_centred(image.view(), 60002.0, out.data()) == 14.0 * 1.0 + 14.0 * 14.0);
  CHECK(out.front() == -1.0F);
  CHECK(out.back() == 14.0F);
  CHECK(energy_about_mean(14.0 + 14.0 * 14.0, 0.0, {3, 5}) == 210.0);
  CHECK(energy_about_mean(15.0, 15.0, {3, 5}) == 0.0);
}

TEST_CASE("A frame is flat where all of its pixels are the same", "[core]") {
  test::Image<float> image({3, 5}, 0.1F);
  CHECK(is_flat(image.view()));
  image(2, 4) = 0.2F;
  CHECK_FALSE(is_flat(image.view()));
  CHECK(is_flat(FrameView<const float>(image.pixels.data(), {3, 4}, 5, 1)));
  CHECK(is_flat(test::Image<float>({1, 1}, 4.0F).view()));
}

TEST_CASE("The defaults of the options are minian's", "[core]") {
  const ChunkSettings settings;
  CHECK(settings.npart == 3);
  CHECK(settings.alt_error == 5.0);
  CHECK(settings.max_sh == 100);
  CHECK(settings.aggregation == Aggregation::mean);
  CHECK(settings.slot_last == SlotLast::second);
  CHECK_FALSE(settings.circ_thres.has_value());
  CHECK(settings.has_slots());
  CHECK_FALSE((ChunkSettings{.alt_error = std::nullopt}).has_slots());
  CHECK_FALSE((ChunkSettings{.alt_error = 0.0}).has_slots());
}

TEST_CASE("A refusal names the argument, what was expected and what came", "[core]") {
  CHECK(test::refusal([] { throw_invalid("npart", "at least 2", 1); }) ==
        "npart: expected at least 2, got 1");
  CHECK(to_string(Extent{480, 752}) == "480x752");
}

TEST_CASE("The version's text is that of its numbers", "[core]") {
  CHECK(std::string(STILLSCOPE_VERSION) == std::to_string(STILLSCOPE_VERSION_MAJOR) + "." +
                                               std::to_string(STILLSCOPE_VERSION_MINOR) + "." +
                                               std::to_string(STILLSCOPE_VERSION_PATCH));
}

}  // namespace
}  // namespace stillscope
