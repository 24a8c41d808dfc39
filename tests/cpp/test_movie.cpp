// SPDX-License-Identifier: GPL-3.0-or-later
/// Whole movies: ground truth, determinism, and that everything runs once.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

// Pixels; measured 0.047 and 0.0125.
constexpr double largest_error = 0.1;
constexpr double rms_error = 0.03;

double mean_of(const ShiftList& shifts, double Shift::*axis) {
  double sum = 0.0;
  for (const Shift& shift : shifts) sum += shift.*axis;
  return sum / static_cast<double>(shifts.size());
}

bool same_bits(const MotionEstimate& a, const MotionEstimate& b) {
  if (a.shifts.size() != b.shifts.size() || a.merged.slots() != b.merged.slots()) return false;
  if (std::memcmp(a.shifts.data(), b.shifts.data(), a.shifts.size() * sizeof(Shift)) != 0) {
    return false;
  }
  if (a.merged.is_empty() || b.merged.is_empty()) return a.merged.is_empty() == b.merged.is_empty();
  return std::memcmp(a.merged[first_slot].data(), b.merged[first_slot].data(),
                     a.merged.slots() * a.merged.extent().area() * sizeof(float)) == 0;
}

EstimateSettings in_chunks(std::size_t chunk) {
  return EstimateSettings::tree_alone(EstimateSettings().tree, chunk);
}

TEMPLATE_TEST_CASE("The known motion of a smooth movie is found", "[movie][truth]", std::uint8_t,
                   std::uint16_t, float) {
  const std::uint64_t seed = 81;
  CAPTURE(seed);
  const Extent extent{96, 112};
  ShiftList truth;
  const auto movie = test::moving_scene<TestType>(60, extent, 3.0, 2.0, seed, &truth);
  for (const std::size_t chunk : {0, 20}) {
    CAPTURE(chunk);
    const MotionEstimate estimate =
        estimate_motion<TestType>(movie.view(), in_chunks(chunk), SerialExecutor());
    REQUIRE(estimate.shifts.size() == truth.size());
    double worst = 0.0;
    double squares = 0.0;
    for (double Shift::*axis : {&Shift::height, &Shift::width}) {
      // Motion is known up to a constant.
      const double offset = mean_of(estimate.shifts, axis) - mean_of(truth, axis);
      for (std::size_t t = 0; t < truth.size(); ++t) {
        const double error = estimate.shifts[t].*axis - truth[t].*axis - offset;
        worst = std::max(worst, std::abs(error));
        squares += error * error;
      }
    }
    const double rms = std::sqrt(squares / static_cast<double>(2 * truth.size()));
    CAPTURE(worst, rms);
    CHECK(worst < largest_error);
    CHECK(rms < rms_error);
  }
}

TEST_CASE("The corrected movie stands still", "[movie][truth]") {
  const std::uint64_t seed = 82;
  CAPTURE(seed);
  const Extent extent{80, 90};
  const auto movie = test::moving_scene<float>(40, extent, 3.0, 0.0, seed);
  test::Movie<float> corrected(40, extent);
  const MotionEstimate estimate = estimate_motion<float>(movie.view(), {}, SerialExecutor());
  apply_motion<float>(movie.view(), estimate.shifts, corrected.target(), {}, SerialExecutor());
  const auto unrest = [&](const test::Movie<float>& frames) {
    double sum = 0.0;
    for (std::size_t t = 1; t < frames.frames; ++t) {
      for (std::size_t y = 12; y < extent.height - 12; ++y) {
        for (std::size_t x = 12; x < extent.width - 12; ++x) {
          sum += std::abs(static_cast<double>(frames[t](y, x) - frames[0](y, x)));
        }
      }
    }
    return sum;
  };
  constexpr double share = 0.1;  // measured 0.047, what bilinear sampling smooths away
  CHECK(unrest(corrected) < share * unrest(movie));
}

TEST_CASE("Shifts of a movie in equal groups sum to zero", "[movie]") {
  // Groups of three of three: every level's mean is the movie's.
  for (const std::size_t chunk : {0, 9}) {
    const auto movie = test::moving_scene<float>(27, {30, 33}, 2.0, 5.0, 83);
    const MotionEstimate estimate =
        estimate_motion<float>(movie.view(), in_chunks(chunk), SerialExecutor());
    CAPTURE(chunk);
    constexpr double rounding = 1e-13;  // px; measured 1.6e-16
    CHECK(std::abs(mean_of(estimate.shifts, &Shift::height)) < rounding);
    CHECK(std::abs(mean_of(estimate.shifts, &Shift::width)) < rounding);
  }
}

TEMPLATE_TEST_CASE("A movie that is still has no motion, and is its own template", "[movie]",
                   std::uint8_t, float) {
  test::Random random(84);
  const auto frame = test::noise<TestType>({20, 23}, random);
  test::Movie<TestType> movie(10, frame.extent);
  for (std::size_t t = 0; t < 10; ++t) movie.set(t, frame);
  const MotionEstimate estimate = estimate_motion<TestType>(movie.view(), {}, SerialExecutor());
  double worst = 0.0;
  for (const Shift& shift : estimate.shifts) {
    worst = std::max({worst, std::abs(shift.height), std::abs(shift.width)});
  }
  constexpr double tolerance = 4e-5;  // px; measured 4.0e-6, by the tree alone 2.2e-9
  CHECK(worst < tolerance);
  double difference = 0.0;
  for (std::size_t i = 0; i < frame.pixels.size(); ++i) {
    const auto value = static_cast<double>(estimate.merged[aggregate_slot].data()[i]);
    difference = std::max(difference, std::abs(value - static_cast<double>(frame.pixels[i])));
  }
  // Grey levels; measured 7.8e-3, half a step of the 14 bits that templates have.
  constexpr double template_tolerance = 2e-2;
  CHECK(difference < template_tolerance);
}

TEST_CASE("A constant added to a movie, or a factor, does not move its shifts", "[movie]") {
  const std::uint64_t seed = 85;
  CAPTURE(seed);
  const auto movie = test::moving_scene<float>(18, {40, 44}, 2.0, 4.0, seed);
  const MotionEstimate plain = estimate_motion<float>(movie.view(), {}, SerialExecutor());
  auto scaled = movie;
  for (float& pixel : scaled.pixels) pixel *= 0x1p-9F;
  const MotionEstimate small = estimate_motion<float>(scaled.view(), {}, SerialExecutor());
  CHECK(small.shifts == plain.shifts);
  // Not a power of two, and a constant: float32 rounds differently. With a constant the border of
  // zeros in the templates is another one, so only frames that are not warped stay the same.
  auto changed = movie;
  for (float& pixel : changed.pixels) pixel *= 3.7F;
  const MotionEstimate large = estimate_motion<float>(changed.view(), {}, SerialExecutor());
  double worst = 0.0;
  for (std::size_t t = 0; t < 18; ++t) {
    const Shift difference = large.shifts[t] - plain.shifts[t];
    worst = std::max({worst, std::abs(difference.height), std::abs(difference.width)});
  }
  constexpr double scaling_tolerance = 3e-4;  // px; measured 5.8e-5
  CHECK(worst < scaling_tolerance);
  for (float& pixel : changed.pixels) pixel += 1000.0F;
  const ChunkSettings one_group{.npart = 18};
  const MotionEstimate lifted = est_motion_chunk<float>(changed.view(), one_group);
  const MotionEstimate unlifted = est_motion_chunk<float>(movie.view(), one_group);
  worst = 0.0;
  for (std::size_t t = 0; t < 18; ++t) {
    const Shift difference = lifted.shifts[t] - unlifted.shifts[t];
    worst = std::max({worst, std::abs(difference.height), std::abs(difference.width)});
  }
  constexpr double constant_tolerance = 3e-5;  // px; measured 2.7e-6
  CHECK(worst < constant_tolerance);
}

// --- determinism
// ----------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("The serial executor's bits come from plain threads too", "[movie]",
                   std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 86;
  CAPTURE(seed);
  const auto movie = test::moving_scene<TestType>(40, {24, 31}, 2.5, 8.0, seed);
  for (const std::size_t chunk : {0, 7}) {
    const MotionEstimate serial =
        estimate_motion<TestType>(movie.view(), in_chunks(chunk), SerialExecutor());
    for (const std::size_t threads : {1, 2, 7}) {
      CAPTURE(chunk, threads);
      const MotionEstimate other =
          estimate_motion<TestType>(movie.view(), in_chunks(chunk), test::ThreadExecutor(threads));
      CHECK(same_bits(serial, other));
      CHECK(serial.counts == other.counts);
    }
  }
}

TEMPLATE_TEST_CASE("The serial executor's bits come from oneTBB too, again and again",
                   "[movie][tbb]", std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 87;
  CAPTURE(seed);
  const auto movie = test::moving_scene<TestType>(40, {24, 31}, 2.5, 8.0, seed);
  for (const std::size_t chunk : {0, 7}) {
    const MotionEstimate serial =
        estimate_motion<TestType>(movie.view(), in_chunks(chunk), SerialExecutor());
    for (const std::size_t threads : {1, 2, 7}) {
      for (int repeat = 0; repeat < 5; ++repeat) {
        CAPTURE(chunk, threads, repeat);
        const MotionEstimate other =
            estimate_motion<TestType>(movie.view(), in_chunks(chunk), TbbExecutor(threads));
        CHECK(same_bits(serial, other));
        CHECK(serial.counts == other.counts);
      }
    }
  }
}

TEST_CASE("Two estimates of one movie are equal to the bit, thoroughly planned ones too",
          "[movie]") {
  const auto movie = test::moving_scene<float>(210, {30, 35}, 2.0, 6.0, 88);
  const MotionEstimate first =
      estimate_motion<float>(movie.view(), in_chunks(35), SerialExecutor());
  const MotionEstimate second =
      estimate_motion<float>(movie.view(), in_chunks(35), SerialExecutor());
  CHECK(same_bits(first, second));
  // Six chunks of 35 frames each are planned quickly; their own shifts must not differ for it.
  const MovieView<const float> part(movie.pixels.data(), 35, movie.extent);
  const MotionEstimate alone = est_motion_chunk<float>(part, in_chunks(0).tree);
  const MotionEstimate among =
      estimate_motion<float>(movie.view(), in_chunks(35), SerialExecutor());
  double spread = 0.0;
  const Shift offset = among.shifts[0] - alone.shifts[0];
  for (std::size_t t = 0; t < 35; ++t) {
    const Shift difference = among.shifts[t] - alone.shifts[t] - offset;
    spread = std::max({spread, std::abs(difference.height), std::abs(difference.width)});
  }
  CHECK(spread < 1e-12);  // sums with another constant round differently
}

TEST_CASE("An applied movie has the same bits on any executor", "[movie][tbb]") {
  const auto movie = test::moving_scene<std::uint16_t>(20, {24, 31}, 2.5, 8.0, 89);
  const ShiftList shifts = estimate_motion<std::uint16_t>(movie.view()).shifts;
  test::Movie<std::uint16_t> serial(20, movie.extent);
  apply_motion<std::uint16_t>(movie.view(), shifts, serial.target(), {}, SerialExecutor());
  for (const std::size_t threads : {1, 2, 7}) {
    test::Movie<std::uint16_t> other(20, movie.extent);
    apply_motion<std::uint16_t>(movie.view(), shifts, other.target(), {}, TbbExecutor(threads));
    CHECK(other.pixels == serial.pixels);
    apply_motion<std::uint16_t>(movie.view(), shifts, other.target(), {},
                                test::ThreadExecutor(threads));
    CHECK(other.pixels == serial.pixels);
  }
}

TEMPLATE_TEST_CASE("Strided, turned and transposed movies give the bits of a copy in C order",
                   "[movie]", std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const auto big = test::moving_scene<TestType>(12, {40, 48}, 3.0, 6.0, 90);
  const TestType* data = big.pixels.data();
  const std::vector<MovieView<const TestType>> views{
      {data + 3 * 48 + 5, 12, {20, 24}, 1920, 48, 1},        // a crop
      {data, 6, {20, 16}, 2 * 1920, 96, 3},                  // every other frame and row
      {data + 12 * 1920 - 1, 12, {40, 48}, -1920, -48, -1},  // backwards, turned
      {data, 12, {48, 40}, 1920, 1, 48},                     // transposed
      {data, 24, {12, 20}, 48, 1920, 2}};                    // rows as frames
  for (std::size_t k = 0; k < views.size(); ++k) {
    CAPTURE(k);
    const auto& view = views[k];
    test::Movie<TestType> copy(view.size(), view.extent());
    for (std::size_t t = 0; t < view.size(); ++t) {
      for (std::size_t y = 0; y < view.extent().height; ++y) {
        for (std::size_t x = 0; x < view.extent().width; ++x)
          copy.target()[t](y, x) = view[t](y, x);
      }
    }
    CHECK(same_bits(estimate_motion<TestType>(view, {}, SerialExecutor()),
                    estimate_motion<TestType>(copy.view(), {}, SerialExecutor())));
  }
}

TEST_CASE("A stack's strides are honoured", "[movie]") {
  const auto planes = test::moving_scene<float>(21, {16, 18}, 2.0, 5.0, 91);
  const StackView<const float> turned(planes.pixels.data() + 20 * 288, 7, {18, 16}, -3 * 288, -288,
                                      1, 18);
  std::vector<float> copy;
  for (std::size_t node = 0; node < 7; ++node) {
    for (std::size_t slot = 0; slot < 3; ++slot) {
      for (std::size_t y = 0; y < 18; ++y) {
        for (std::size_t x = 0; x < 16; ++x) copy.push_back(turned(node, slot)(y, x));
      }
    }
  }
  CHECK(same_bits(est_motion_chunk<float>(turned),
                  est_motion_chunk<float>(StackView<const float>(copy.data(), 7, {18, 16}))));
}

TEST_CASE("The input is not written to", "[movie]") {
  auto movie = test::moving_scene<float>(3, {16, 18}, 2.0, 5.0, 92);
  movie.pixels[40] = std::numeric_limits<float>::quiet_NaN();
  const auto before = movie.pixels;
  (void)estimate_motion<float>(movie.view(), {}, SerialExecutor());
  CHECK(std::memcmp(before.data(), movie.pixels.data(), before.size() * sizeof(float)) == 0);
}

// --- counts
// ---------------------------------------------------------------------------------------

void check_counts(const Executor& executor) {
  for (const std::size_t chunks : {1, 4, 7, 20}) {
    const auto movie = test::moving_scene<std::uint8_t>(7 * chunks - 2, {12, 14}, 1.5, 8.0, 93);
    for (const std::optional<double> alt_error :
         {std::optional<double>(0.01), std::optional<double>(5.0), std::optional<double>()}) {
      EstimateSettings settings = in_chunks(7);
      settings.tree.alt_error = alt_error;
      CAPTURE(chunks, alt_error.value_or(-1.0));
      const MotionEstimate estimate =
          estimate_motion<std::uint8_t>(movie.view(), settings, executor);
      const TreeCounts& executed = estimate.counts;
      const TreeCounts& planned = estimate.planned;
      const TreePlan plan = plan_tree(movie.frames, 7, 3);
      CHECK(planned == planned_counts(plan, settings.tree, 1, false));
      CHECK(executed.runs == std::vector<std::uint32_t>(plan.nodes.size(), 1));
      CHECK(executed.runs == planned.runs);
      CHECK(executed.leaves == plan.leaves.size());
      CHECK(executed.leaves == planned.leaves);
      CHECK(executed.nodes == plan.nodes.size() - plan.leaves.size());
      CHECK(executed.nodes == planned.nodes);
      CHECK(executed.warps == planned.warps);
      CHECK(executed.registrations + executed.spared == planned.registrations);
      CHECK(executed.spectra + 2 * executed.spared == planned.spectra);
      CHECK(executed.fallbacks == 0);
      if (!alt_error) CHECK(executed.spared == 0);
    }
  }
}

TEST_CASE("Serially, what is executed is what was planned, node by node", "[movie][counts]") {
  check_counts(SerialExecutor());
}

TEST_CASE("On plain threads, what is executed is what was planned, node by node",
          "[movie][counts]") {
  for (const std::size_t threads : {1, 2, 7}) check_counts(test::ThreadExecutor(threads));
}

TEST_CASE("On oneTBB, what is executed is what was planned, node by node", "[movie][counts][tbb]") {
  for (const std::size_t threads : {1, 2, 7}) check_counts(TbbExecutor(threads));
}

}  // namespace
}  // namespace stillscope
