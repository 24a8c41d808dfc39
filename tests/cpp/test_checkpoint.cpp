// SPDX-License-Identifier: GPL-3.0-or-later
/// Estimates that go on where another was interrupted.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

#include "stillscope/core/archive.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

/// A walking scene with noise, a black frame, and one that is repeated.
template <Pixel T>
test::Movie<T> walking(std::size_t frames, Extent extent, std::uint64_t seed) {
  test::Random random(seed);
  const auto scene = test::texture({extent.height + 24, extent.width + 24}, 2, random);
  test::Movie<T> movie(frames, extent);
  Shift shift;
  test::Image<T> frame(extent);
  for (std::size_t t = 0; t < frames; ++t) {
    shift = {std::clamp(shift.height + random.uniform(-1.2, 1.2), -6.0, 6.0),
             std::clamp(shift.width + random.uniform(-1.2, 1.2), -6.0, 6.0)};
    const auto moved = test::moved(scene, {-shift.height, -shift.width});
    for (std::size_t y = 0; t % 13 != 5 && y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        const double value = 110.0 + 20.0 * moved(y + 12, x + 12) + 2.0 * random.normal();
        frame(y, x) = test::as_pixel<T>(t % 11 == 7 ? 1.0 : value);
      }
    }
    movie.set(t, frame);
  }
  return movie;
}

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

/// Keeps the state after every run of frames; throws once it has done so a number of times.
class Interrupting final : public Checkpoint {
 public:
  std::vector<std::byte> state;
  std::size_t saved = 0;
  std::optional<std::size_t> last;

  bool is_due() override { return true; }
  void save(std::span<const std::byte> bytes) override {
    state.assign(bytes.begin(), bytes.end());
    if (++saved == last) throw Interrupted();
  }
  std::span<const std::byte> load() override { return state; }
};

bool same_bits(const auto& a, const auto& b) {
  return a.size() == b.size() &&
         (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(*a.data())) == 0);
}

bool is_same(const MovieMotion& a, const MovieMotion& b) {
  if (a.frames.size() != b.frames.size()) return false;
  for (std::size_t t = 0; t < a.frames.size(); ++t) {
    const FrameQuality& one = a.frames[t];
    const FrameQuality& other = b.frames[t];
    if (one.flags != other.flags || one.similarity != other.similarity ||
        one.similarity_before != other.similarity_before || one.peak != other.peak ||
        one.residual != other.residual || one.uncertainty != other.uncertainty) {
      return false;
    }
  }
  return same_bits(a.shifts, b.shifts) && same_bits(a.mean, b.mean) &&
         same_bits(a.plain_mean, b.plain_mean) && same_bits(a.fixed_pattern, b.fixed_pattern) &&
         a.deformation.has_value() == b.deformation.has_value() &&
         (!a.deformation || same_bits(a.deformation->coefficients, b.deformation->coefficients)) &&
         a.common == b.common && a.passes == b.passes && a.moved == b.moved &&
         a.counts == b.counts && a.planned == b.planned && a.repaired == b.repaired &&
         a.dead == b.dead;
}

struct Case {
  const char* name;
  EstimateSettings settings;
};

std::vector<Case> cases() {
  EstimateSettings plain;
  plain.chunk = 16;
  EstimateSettings filtered = plain;
  filtered.filter = {.smooth = 1.0, .background = 8.0, .fixed_pattern = true};
  EstimateSettings local = plain;
  local.nonrigid = {.method = NonrigidMethod::spline, .spacing = 24.0};
  EstimateSettings part = filtered;
  part.filter.region = Area{3, 61, 7, 78};
  return {{"plain", plain},
          {"tree alone", EstimateSettings::tree_alone({}, 16)},
          {"filtered", filtered},
          {"non-rigid", local},
          {"a region", part}};
}

TEMPLATE_TEST_CASE(
    "An estimate that was interrupted anywhere ends with the bits of one that was not",
    "[checkpoint]", std::uint8_t, float) {
  const auto movie = walking<TestType>(60, {64, 80}, 71);
  const test::ThreadExecutor executor(2);
  ViewSource<TestType> source(movie.view());
  for (const Case& tried : cases()) {
    Interrupting undisturbed;
    const MovieMotion expected =
        estimate_motion<TestType>(source, tried.settings, executor, &undisturbed);
    CHECK(is_same(expected, estimate_motion<TestType>(movie.view(), tried.settings, executor)));
    REQUIRE(undisturbed.saved >= 4);
    // Every moment would take minutes under the sanitizers.
    const std::size_t step = std::max<std::size_t>(1, undisturbed.saved / 5);
    for (std::size_t last = 1; last <= undisturbed.saved; last += step) {
      CAPTURE(tried.name, last, undisturbed.saved);
      Interrupting checkpoint;
      checkpoint.last = last;
      CHECK_THROWS_AS(estimate_motion<TestType>(source, tried.settings, executor, &checkpoint),
                      Interrupted);
      checkpoint.last.reset();
      CHECK(is_same(estimate_motion<TestType>(source, tried.settings, executor, &checkpoint),
                    expected));
      // What had been done was not done again.
      CHECK(checkpoint.saved == undisturbed.saved);
    }
  }
}

TEST_CASE("A checkpoint of another movie, or a part of one, is refused", "[checkpoint]") {
  const auto movie = walking<std::uint8_t>(20, {64, 80}, 72);
  const auto longer = walking<std::uint8_t>(21, {64, 80}, 72);
  const test::ThreadExecutor executor(1);
  EstimateSettings settings;
  settings.chunk = 16;
  Interrupting checkpoint;
  ViewSource<std::uint8_t> source(movie.view());
  (void)estimate_motion<std::uint8_t>(source, settings, executor, &checkpoint);
  Interrupting other = checkpoint;
  ViewSource<std::uint8_t> longer_source(longer.view());
  CHECK_THROWS_AS(estimate_motion<std::uint8_t>(longer_source, settings, executor, &other),
                  std::invalid_argument);
  for (const std::size_t left : {std::size_t{1}, std::size_t{70}, checkpoint.state.size() - 1}) {
    CAPTURE(left);
    other.state.assign(checkpoint.state.begin(),
                       checkpoint.state.begin() + static_cast<std::ptrdiff_t>(left));
    CHECK_THROWS_AS(estimate_motion<std::uint8_t>(source, settings, executor, &other),
                    std::invalid_argument);
  }
  // Whatever bit is another.
  for (std::size_t at = 0; at < 200; at += 7) {
    CAPTURE(at);
    other.state = checkpoint.state;
    other.state[at] ^= std::byte{16};
    CHECK_THROWS_AS(estimate_motion<std::uint8_t>(source, settings, executor, &other),
                    std::invalid_argument);
  }
  other.state = checkpoint.state;
  other.state.push_back({});
  CHECK_THROWS_AS(estimate_motion<std::uint8_t>(source, settings, executor, &other),
                  std::invalid_argument);
}

}  // namespace
}  // namespace stillscope
