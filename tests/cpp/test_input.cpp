// SPDX-License-Identifier: GPL-3.0-or-later
/// Frames and arguments that nobody wants: each gives the right result or a refusal by name.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/register/make_registrar.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"

namespace stillscope {
namespace {

constexpr Extent extent{24, 27};
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

// Pixels; measured 1.9e-8.
constexpr double same_shift = 1e-6;
// Pixels: sums in another order; measured 4.4e-16.
constexpr double rounding = 1e-12;

double distance(const Shift& a, const Shift& b) {
  return std::max(std::abs(a.height - b.height), std::abs(a.width - b.width));
}

template <Pixel T>
bool all_finite(const T* pixels, std::size_t size) {
  return std::all_of(pixels, pixels + size, [](T value) { return std::isfinite(value); });
}

bool has_finite_template(const MotionEstimate& estimate) {
  return !estimate.merged.is_empty() &&
         all_finite(estimate.merged[first_slot].data(), estimate.merged.slots() * extent.area());
}

bool is_unknown(const Shift& shift) { return std::isnan(shift.height) && std::isnan(shift.width); }

TEMPLATE_TEST_CASE("A flat movie has no motion and a flat template", "[input]", std::uint8_t,
                   std::uint16_t, std::int16_t, float, double) {
  // Half a step of the 14 bits that templates have: 6.1e-5 at most.
  constexpr float tolerance = std::is_integral_v<TestType> ? 1e-6F : 7e-5F;
  for (const double value : {0.0, 100.1}) {
    const test::Movie<TestType> movie(11, extent, static_cast<TestType>(value));
    const MotionEstimate estimate = est_motion_chunk<TestType>(movie.view());
    CHECK(estimate.shifts == ShiftList(11));
    CHECK(estimate.repaired == 0);
    CHECK(estimate.dead == 0);
    const float* pixels = estimate.merged[aggregate_slot].data();
    const auto expected = static_cast<float>(static_cast<TestType>(value));
    CHECK(std::all_of(pixels, pixels + extent.area(), [&](float pixel) {
      return std::abs(pixel - expected) <= tolerance * expected;
    }));
  }
}

TEST_CASE("Values too large or too small for single precision are refused", "[input][errors]") {
  const auto movie = test::moving_scene<float>(3, extent, 2.0, 3.0, 111);
  for (const float scale : {0x1p60F, 0x1p100F, 0x1p-80F}) {
    auto scaled = movie;
    for (float& pixel : scaled.pixels) pixel *= scale;
    CAPTURE(scale);
    CHECK_REFUSES("frames", (void)est_motion_chunk<float>(scaled.view()));
  }
}

TEST_CASE("A flat frame is flat, however small or large its value", "[input]") {
  // Its mean may miss it by a rounding, which is no variation.
  for (const float value : {1e-10F, 0.1F, 3e-30F, 1e20F}) {
    const test::Movie<float> movie(3, extent, value);
    CAPTURE(value);
    CHECK(test::refusal([&] { (void)est_motion_chunk<float>(movie.view()); }).empty());
  }
}

TEST_CASE("A black frame among others has no motion of its own", "[input]") {
  auto movie = test::moving_scene<float>(3, extent, 2.0, 3.0, 101);
  movie.set(2, test::Image<float>(extent));
  const MotionEstimate estimate = est_motion_chunk<float>(movie.view());
  // It is registered to the middle by no shift: only the centring moves it.
  CHECK(estimate.shifts[2] == estimate.shifts[1]);
  CHECK(has_finite_template(estimate));
}

TEMPLATE_TEST_CASE("Pure noise gives finite shifts within half a frame a step", "[input]",
                   std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 102;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent size : {Extent{1, 1}, Extent{1, 8}, Extent{8, 1}, Extent{2, 2}, Extent{3, 7}}) {
    test::Movie<TestType> movie(3, size);
    for (std::size_t t = 0; t < 3; ++t) movie.set(t, test::noise<TestType>(size, random));
    const MotionEstimate estimate = est_motion_chunk<TestType>(movie.view());
    CAPTURE(size);
    for (const Shift& shift : estimate.shifts) {
      CHECK(shift.is_finite());
      CHECK(std::abs(shift.height) <= static_cast<double>(size.height));
      CHECK(std::abs(shift.width) <= static_cast<double>(size.width));
    }
  }
}

TEST_CASE("A frame without a finite pixel gets a NaN shift, alone", "[input][nan]") {
  const std::uint64_t seed = 103;
  CAPTURE(seed);
  const auto movie = test::moving_scene<float>(9, extent, 2.0, 3.0, seed);
  const MotionEstimate clean = est_motion_chunk<float>(movie.view());
  for (const std::size_t dead : {0, 1, 4, 8}) {
    for (const float value : {nan, infinity, -infinity}) {
      auto holed = movie;
      holed.set(dead, test::Image<float>(extent, value));
      const MotionEstimate estimate = est_motion_chunk<float>(holed.view());
      CAPTURE(dead, value);
      CHECK(estimate.dead == 1);
      CHECK(estimate.repaired == 0);
      CHECK(has_finite_template(estimate));
      for (std::size_t t = 0; t < 9; ++t) {
        CHECK(is_unknown(estimate.shifts[t]) == (t == dead));
        if (t == dead || t / 3 == dead / 3) continue;
        // The other groups' frames keep their places within the group.
        const std::size_t mate = t % 3 == 2 ? t - 1 : t + 1;
        CHECK(distance(estimate.shifts[t] - estimate.shifts[mate],
                       clean.shifts[t] - clean.shifts[mate]) < rounding);
      }
    }
  }
}

TEST_CASE("A group with a dead frame is the group without it", "[input][nan]") {
  const auto movie = test::moving_scene<float>(3, extent, 2.0, 3.0, 104);
  for (const std::size_t dead : {0, 1, 2}) {
    auto holed = movie;
    holed.set(dead, test::Image<float>(extent, nan));
    test::Movie<float> rest(2, extent);
    rest.set(0, movie.image(dead == 0 ? 1 : 0));
    rest.set(1, movie.image(dead == 2 ? 1 : 2));
    const MotionEstimate with = est_motion_chunk<float>(holed.view());
    const MotionEstimate without = est_motion_chunk<float>(rest.view());
    CAPTURE(dead);
    CHECK(distance(with.shifts[dead == 0 ? 1 : 0], without.shifts[0]) < same_shift);
    CHECK(distance(with.shifts[dead == 2 ? 1 : 2], without.shifts[1]) < same_shift);
    double worst = 0.0;
    for (std::size_t i = 0; i < 3 * extent.area(); ++i) {
      const float difference =
          with.merged[first_slot].data()[i] - without.merged[first_slot].data()[i];
      worst = std::max(worst, std::abs(static_cast<double>(difference)));
    }
    constexpr double same_template = 1e-3;  // grey levels; measured 1.5e-5
    CHECK(worst < same_template);
  }
}

TEST_CASE("One pixel that is not finite moves nothing noticeably", "[input][nan]") {
  const auto movie = test::moving_scene<float>(9, extent, 2.0, 3.0, 105);
  const MotionEstimate clean = est_motion_chunk<float>(movie.view());
  for (const float value : {nan, infinity, -infinity}) {
    auto holed = movie;
    holed.target()[4](7, 8) = value;
    const MotionEstimate estimate = est_motion_chunk<float>(holed.view());
    CAPTURE(value);
    CHECK(estimate.repaired == 1);
    CHECK(estimate.dead == 0);
    CHECK(has_finite_template(estimate));
    for (std::size_t t = 0; t < 9; ++t) {
      constexpr double barely = 0.05;  // px; measured 0.0075
      CHECK(distance(estimate.shifts[t], clean.shifts[t]) < barely);
    }
    // It counts as the frame's finite mean.
    auto filled = movie;
    long double sum = 0.0L;
    for (const float pixel : movie.image(4).pixels) sum += pixel;
    sum -= movie[4](7, 8);
    filled.target()[4](7, 8) =
        static_cast<float>(sum / static_cast<long double>(extent.area() - 1));
    const MotionEstimate repaired = est_motion_chunk<float>(filled.view());
    for (std::size_t t = 0; t < 9; ++t) {
      CHECK(distance(estimate.shifts[t], repaired.shifts[t]) < same_shift);
    }
  }
}

TEST_CASE("A movie of dead frames has NaN shifts and no template", "[input][nan]") {
  for (const std::size_t frames : {1, 3, 10}) {
    const test::Movie<double> movie(frames, extent, std::numeric_limits<double>::quiet_NaN());
    const MotionEstimate estimate = est_motion_chunk<double>(movie.view());
    CHECK(estimate.dead == frames);
    CHECK(estimate.merged.is_empty());
    CHECK(std::all_of(estimate.shifts.begin(), estimate.shifts.end(), is_unknown));
  }
}

TEST_CASE("A dead group, chunk or node leaves the others as they are", "[input][nan]") {
  const auto movie = test::moving_scene<float>(18, extent, 2.0, 3.0, 106);
  auto holed = movie;
  for (std::size_t t = 9; t < 18; ++t) holed.set(t, test::Image<float>(extent, nan));
  const EstimateSettings settings = EstimateSettings::tree_alone({}, 9);
  const MotionEstimate estimate = estimate_motion<float>(holed.view(), settings, SerialExecutor());
  const MovieView<const float> first_chunk(movie.pixels.data(), 9, extent);
  const MotionEstimate alone = est_motion_chunk<float>(first_chunk, settings.tree);
  for (std::size_t t = 0; t < 18; ++t) {
    CAPTURE(t);
    if (t < 9) {
      CHECK(distance(estimate.shifts[t], alone.shifts[t]) < rounding);
    } else {
      CHECK(is_unknown(estimate.shifts[t]));
    }
  }
  CHECK(estimate.dead == 9);
  CHECK(has_finite_template(estimate));
}

TEST_CASE("In a stack, a pixel that is not finite is replaced in its slot", "[input][nan]") {
  auto planes = test::moving_scene<float>(9, extent, 2.0, 3.0, 107);
  const StackView<const float> stack(planes.pixels.data(), 3, extent);
  planes.target()[5](3, 3) = nan;
  planes.target()[7](4, 4) = infinity;
  const MotionEstimate estimate = est_motion_chunk<float>(stack);
  CHECK(estimate.repaired == 2);
  CHECK(has_finite_template(estimate));
  CHECK(std::all_of(estimate.shifts.begin(), estimate.shifts.end(),
                    [](const Shift& shift) { return shift.is_finite(); }));
  for (std::size_t plane = 3; plane < 6; ++plane) {
    planes.set(plane, test::Image<float>(extent, nan));
  }
  const MotionEstimate dead = est_motion_chunk<float>(stack);
  CHECK(dead.dead == 1);
  CHECK(is_unknown(dead.shifts[1]));
  CHECK(dead.shifts[0].is_finite());
  CHECK(has_finite_template(dead));
}

TEST_CASE("Without a good frame all of the group are used, and said to be few", "[input]") {
  const auto movie = test::moving_scene<float>(3, extent, 2.0, 3.0, 108);
  ChunkSettings settings{.max_sh = 5};
  const MotionEstimate plain = est_motion_chunk<float>(movie.view(), settings);
  CHECK(plain.few_good.empty());
  settings.circ_thres = 50.0;
  const MotionEstimate estimate = est_motion_chunk<float>(movie.view(), settings);
  CHECK(estimate.shifts == plain.shifts);
  REQUIRE(estimate.few_good.size() == 1);
  CHECK(estimate.few_good[0].first_item == 0);
  CHECK(estimate.few_good[0].report.items == 3);
  CHECK(estimate.few_good[0].report.good == 0);
  settings.circ_thres = -1.0;
  CHECK(est_motion_chunk<float>(movie.view(), settings).few_good.empty());
}

TEST_CASE("One good frame fills all slots of its group", "[input]") {
  const auto moving = test::moving_scene<float>(1, extent, 0.0, 0.0, 109);
  test::Movie<float> movie(3, extent);  // black frames have circularity 0
  movie.set(1, moving.image(0));
  const ChunkSettings settings{.circ_thres = 0.0, .max_sh = 5};
  const MotionEstimate estimate = est_motion_chunk<float>(movie.view(), settings);
  CHECK(estimate.shifts == ShiftList(3));
  for (const Slot slot : {first_slot, aggregate_slot, last_slot}) {
    CHECK(std::equal(moving.pixels.begin(), moving.pixels.end(), estimate.merged[slot].data()));
  }
  REQUIRE(estimate.few_good.size() == 1);
  CHECK(estimate.few_good[0].report.good == 1);
}

TEST_CASE("One frame is its own template, without motion", "[input]") {
  const auto movie = test::moving_scene<std::uint8_t>(1, extent, 0.0, 9.0, 110);
  for (const bool has_slots : {true, false}) {
    ChunkSettings settings;
    if (!has_slots) settings.alt_error = std::nullopt;
    const MotionEstimate estimate = est_motion_chunk<std::uint8_t>(movie.view(), settings);
    CHECK(estimate.shifts == ShiftList(1));
    CHECK(estimate.merged.slots() == (has_slots ? 3 : 1));
    for (const Slot slot : {first_slot, aggregate_slot, last_slot}) {
      CHECK(std::equal(movie.pixels.begin(), movie.pixels.end(), estimate.merged[slot].data()));
    }
  }
}

TEST_CASE("Arguments out of range are refused by name", "[input][errors]") {
  const test::Movie<float> movie(4, extent);
  const test::Movie<float> none(0, extent);
  const test::Movie<float> thin(4, {0, 7});
  const StackView<const float> stack(movie.pixels.data(), 1, extent);
  const StackView<const float> no_stack(movie.pixels.data(), 0, extent);
  const StackView<const float> thin_stack(movie.pixels.data(), 1, {7, 0});
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  const auto estimate = [&](const ChunkSettings& settings) {
    (void)est_motion_chunk<float>(movie.view(), settings);
  };
  CHECK_REFUSES("frames", (void)est_motion_chunk<float>(none.view()));
  CHECK_REFUSES("frames", (void)est_motion_chunk<float>(thin.view()));
  CHECK_REFUSES("templates", (void)est_motion_chunk<float>(no_stack));
  CHECK_REFUSES("templates", (void)est_motion_chunk<float>(thin_stack));
  CHECK_REFUSES("movie", (void)estimate_motion<float>(none.view(), {}, SerialExecutor()));
  CHECK_REFUSES("movie", (void)estimate_motion<float>(thin.view(), {}, SerialExecutor()));
  CHECK_REFUSES("npart", estimate({.npart = 0}));
  CHECK_REFUSES("npart", estimate({.npart = 1}));
  CHECK_REFUSES("alt_error", estimate({.alt_error = -0.5}));
  CHECK_REFUSES("alt_error", estimate({.alt_error = unknown}));
  CHECK_REFUSES("circ_thres", estimate({.circ_thres = unknown}));
  CHECK_REFUSES("registrar", estimate({.registrar = static_cast<RegistrarKind>(77)}));
  for (const std::size_t size : {1, 3, 5}) {
    const std::vector<ShiftList> incoming(size, ShiftList(1));
    CHECK_REFUSES("incoming",
                  (void)est_motion_chunk<float>(movie.view(), {}, SerialExecutor(), incoming));
  }
  const std::vector<ShiftList> incoming(2);
  CHECK_REFUSES("incoming", (void)est_motion_chunk<float>(stack, {}, SerialExecutor(), incoming));
}

}  // namespace
}  // namespace stillscope
