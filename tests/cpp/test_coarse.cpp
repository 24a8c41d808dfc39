// SPDX-License-Identifier: GPL-3.0-or-later
/// Coarse to fine against the full-size registrar, on frames that are large enough for both of its
/// grids.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/register/coarse_to_fine.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

/// Cells that cover pixels exactly, and that do not; odd and prime sides; a miniscope's frame.
const std::vector<Extent>& sizes() {
  static const std::vector<Extent> list{{256, 256}, {331, 457}, {257, 263}, {480, 752}};
  return list;
}

bool same_bits(const Shift& a, const Shift& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

/// Pictures of one size as frames of type T, each pair of which can be registered by both.
template <Pixel T>
class Comparison {
 public:
  explicit Comparison(Extent extent) : coarse_(extent), full_(extent) {}

  /// The frame's index.
  std::size_t add(const test::Image<double>& picture) {
    frames_.push_back(std::make_unique<test::Image<T>>(test::stored<T>(picture)));
    refs_.push_back(make_frame_ref(frames_.back()->view(), refs_.size()));
    return refs_.size() - 1;
  }

  void check(std::size_t src, std::size_t dst, const Executor& executor = SerialExecutor()) {
    const Shift expected = full_.shift_to_register(refs_[src], refs_[dst]);
    const Shift found = coarse_.shift_to_register(refs_[src], refs_[dst], executor);
    CAPTURE(sizeof(T), std::is_signed_v<T>, refs_[src].view.extent(), src, dst, expected, found);
    CHECK(same_bits(found, expected));
  }

  [[nodiscard]] const RegistrarCounts& counts() const { return coarse_.counts(); }

 private:
  CoarseToFineRegistrar<T> coarse_;
  FftRegistrar<T> full_;
  std::vector<std::unique_ptr<test::Image<T>>> frames_;
  std::vector<FrameRef<T>> refs_;
};

using Pair = std::pair<std::size_t, std::size_t>;

/// All pairs by both registrars; what the fast one did.
template <Pixel T>
RegistrarCounts compare_as(const std::vector<test::Image<double>>& pictures,
                           const std::vector<Pair>& pairs,
                           const Executor& executor = SerialExecutor()) {
  Comparison<T> comparison(pictures.front().extent);
  for (const auto& picture : pictures) (void)comparison.add(picture);
  for (const auto& [src, dst] : pairs) comparison.check(src, dst, executor);
  CHECK(comparison.counts().registrations == pairs.size());
  return comparison.counts();
}

/// The same for four types: fallbacks of each.
std::vector<std::size_t> compare(const std::vector<test::Image<double>>& pictures,
                                 const std::vector<Pair>& pairs,
                                 const Executor& executor = SerialExecutor()) {
  return {compare_as<float>(pictures, pairs, executor).fallbacks,
          compare_as<std::uint8_t>(pictures, pairs, executor).fallbacks,
          compare_as<std::uint16_t>(pictures, pairs, executor).fallbacks,
          compare_as<std::int16_t>(pictures, pairs, executor).fallbacks};
}

/// Up to half the frame on both axes.
Shift far_move(Extent extent, test::Random& random) {
  return {0.5 * random.uniform(-1.0, 1.0) * static_cast<double>(extent.height),
          0.5 * random.uniform(-1.0, 1.0) * static_cast<double>(extent.width)};
}

PixelOffset whole(Shift move) { return {std::lround(move.height), std::lround(move.width)}; }

/// With up to four black rows and columns at each edge, as a warp with fill 0 leaves them.
test::Image<double> with_borders(test::Image<double> picture, test::Random& random) {
  const auto lines = [&] { return static_cast<std::size_t>(random.uniform(0.0, 5.0)); };
  const Extent extent = picture.extent;
  const std::size_t top = lines();
  const std::size_t bottom = extent.height - lines();
  const std::size_t left = lines();
  const std::size_t right = extent.width - lines();
  constexpr double black = -5.0;  // in units of the contrast
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      if (y < top || y >= bottom || x < left || x >= right) picture(y, x) = black;
    }
  }
  return picture;
}

// Borders line up at a displacement of their own, in waves too fine for the grids. Of 1500 such
// pairs these were registered by the lower of two peaks, up to 3.4 px away, before such lines were
// reckoned with.
TEST_CASE("Black borders do not lead coarse to fine astray", "[coarse]") {
  constexpr Extent extent{256, 256};
  for (const auto& [seed, detail] :
       {std::pair<std::uint64_t, std::size_t>{87, 3}, {350, 5}, {402, 5}, {470, 8}}) {
    CAPTURE(seed, detail);
    test::Random random(seed);
    const auto scene = test::texture(extent, detail, random);
    const Shift move{random.uniform(-3.0, 3.0), random.uniform(-5.0, 5.0)};
    const auto before = with_borders(scene, random);
    const auto after = with_borders(test::moved(scene, move), random);
    (void)compare_as<float>({before, after}, {{1, 0}});
  }
}

TEST_CASE(
    "On clean scenes coarse to fine gives the full-size bits, and falls back on none but the "
    "finest",
    "[coarse]") {
  const std::uint64_t seed = 121;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    for (const std::size_t detail : {2, 5}) {
      CAPTURE(extent, detail);
      const auto scene = test::texture(extent, detail, random);
      const Shift near{random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)};
      const PixelOffset half{static_cast<std::ptrdiff_t>(extent.height / 2),
                             static_cast<std::ptrdiff_t>(extent.width / 2)};
      const auto fallbacks = compare({scene, test::moved(scene, near), test::rolled(scene, half),
                                      test::rolled(scene, whole(far_move(extent, random)))},
                                     {{1, 0}, {2, 0}, {0, 3}, {0, 0}});
      // Of details of 2 px nearly all is lost by pooling: measured, up to 2 of the 4.
      for (const std::size_t count : fallbacks) CHECK(count <= (detail == 2 ? 2 : 0));
    }
  }
}

TEST_CASE("In noise coarse to fine gives the full-size bits", "[coarse]") {
  const std::uint64_t seed = 122;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    // Of the scene's contrast.
    for (const double noise : {0.1, 1.0, 3.0}) {
      CAPTURE(extent, noise);
      const auto scene = test::texture(extent, 3, random);
      const auto seen = [&](Shift move) {
        return test::sum_of(test::moved(scene, move), noise, test::white(extent, random));
      };
      (void)compare({seen({}), seen({random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)}),
                     seen(far_move(extent, random))},
                    {{1, 0}, {0, 2}});
    }
  }
}

TEST_CASE("Of two peaks of nearly the same height coarse to fine takes the full-size one",
          "[coarse]") {
  const std::uint64_t seed = 131;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    // The scene twice in one frame, the second time so much fainter; less than noise can tell, too.
    for (const double fainter : {0.0, 0.002, 0.01}) {
      CAPTURE(extent, fainter);
      const auto scene = test::texture(extent, 3, random);
      const auto twice = test::sum_of(test::rolled(scene, whole(far_move(extent, random))),
                                      1.0 - fainter, test::rolled(scene, {7, -12}));
      (void)compare({scene, test::sum_of(twice, 1.0, test::white(extent, random)),
                     test::sum_of(scene, 1.0, test::white(extent, random))},
                    {{1, 0}, {1, 2}, {2, 1}});
    }
  }
}

TEST_CASE("White noise falls back, and is counted", "[coarse]") {
  const std::uint64_t seed = 123;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    CAPTURE(extent);
    const auto noise = test::white(extent, random);
    const std::vector<Pair> pairs{{0, 1}, {2, 0}, {0, 0}};
    const auto fallbacks = compare(
        {noise, test::white(extent, random), test::rolled(noise, whole(far_move(extent, random)))},
        pairs);
    // Unrelated frames surely; a frame and itself moved may have a peak that stands out.
    for (const std::size_t count : fallbacks) CHECK(count >= 1);
    // Only these have full-size spectra.
    const RegistrarCounts counts =
        compare_as<float>({noise, test::white(extent, random)}, {{0, 1}});
    CHECK(counts.fallbacks == 1);
    CHECK(counts.extra_spectra >= 2);
  }
}

/// value(y, x) everywhere.
template <class Value>
test::Image<double> picture_of(Extent extent, Value&& value) {
  test::Image<double> picture(extent);
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) picture(y, x) = value(y, x);
  }
  return picture;
}

TEST_CASE("Of patterns that repeat coarse to fine gives the full-size bits", "[coarse]") {
  const std::uint64_t seed = 124;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    const auto board =
        picture_of(extent, [](auto y, auto x) { return (x + y) % 2 == 0 ? 1. : 0.; });
    std::vector<test::Image<double>> pictures{board, test::rolled(board, {0, 1})};
    std::vector<Pair> pairs{{0, 0}, {1, 0}};
    const auto add_with_moved = [&](const test::Image<double>& picture, PixelOffset by) {
      pairs.emplace_back(pictures.size() + 1, pictures.size());
      pictures.push_back(picture);
      pictures.push_back(test::rolled(picture, by));
    };
    // Finer than the grids, as fine as them, and coarser.
    const auto bar = [](std::size_t at, std::size_t period) {
      return at % period < (period + 1) / 2 ? 1.0 : -1.0;
    };
    add_with_moved(picture_of(extent, [&](auto y, auto) { return bar(y, 4); }), {3, 5});
    add_with_moved(picture_of(extent, [&](auto, auto x) { return bar(x, 8); }), {-2, 70});
    add_with_moved(picture_of(extent, [&](auto y, auto) { return bar(y, 27); }), {-11, 1});
    (void)compare(pictures, pairs);
  }
}

TEST_CASE("Of frames that hold next to nothing coarse to fine gives the full-size bits",
          "[coarse]") {
  const std::uint64_t seed = 125;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    const test::Image<double> flat(extent, 0.5);
    auto point = flat;
    point(extent.height / 3, extent.width / 2) = 3.0;
    // A pattern that is still, seen by itself.
    const auto still = test::white(extent, random);
    const auto scene = test::texture(extent, 3, random);
    const PixelOffset by = whole(far_move(extent, random));
    (void)compare({flat, point, test::rolled(point, by), still, scene},
                  {{0, 0}, {0, 4}, {4, 0}, {1, 1}, {2, 1}, {0, 1}, {1, 4}, {3, 3}});
    // Every displacement of a flat frame ties.
    const auto counts = compare_as<std::uint8_t>({flat, scene}, {{0, 1}, {1, 0}, {0, 0}});
    CHECK(counts.fallbacks == 0);
    CHECK(counts.windows == 0);
  }
}

TEST_CASE("Of a scene behind a fixed pattern coarse to fine gives the full-size bits", "[coarse]") {
  const std::uint64_t seed = 126;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    const auto scene = test::texture(extent, 4, random);
    const auto pixels = test::white(extent, random);
    const auto columns = test::white({1, extent.width}, random);
    const auto stripes = picture_of(extent, [&](auto, auto x) { return columns(0, x); });
    // Up to where the pattern, which does not move, is what is found.
    for (const double strength : {0.1, 0.5, 1.0}) {
      CAPTURE(extent, strength);
      const auto seen = [&](const test::Image<double>& pattern, Shift move) {
        const auto frame = test::sum_of(test::moved(scene, move), strength, pattern);
        return test::sum_of(frame, 0.05, test::white(extent, random));
      };
      const Shift move{random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)};
      (void)compare({seen(pixels, {}), seen(pixels, move), seen(stripes, {}), seen(stripes, move)},
                    {{1, 0}, {2, 3}});
    }
  }
}

TEST_CASE("Of band-passed frames coarse to fine gives the full-size bits", "[coarse]") {
  const std::uint64_t seed = 127;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    for (const double noise : {0.0, 1.0}) {
      CAPTURE(extent, noise);
      const auto scene = test::texture(extent, 3, random);
      const auto seen = [&](Shift move) {
        const auto frame =
            test::sum_of(test::moved(scene, move), noise, test::white(extent, random));
        // What is finer and what is coarser goes, as before many an estimate.
        return test::normalised(
            test::sum_of(test::smoothed(frame, 1), -1.0, test::smoothed(frame, 12)));
      };
      (void)compare({seen({}), seen({random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)})},
                    {{1, 0}, {0, 1}});
    }
  }
}

TEST_CASE("Threads change no bit of what coarse to fine finds", "[coarse]") {
  const std::uint64_t seed = 128;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{257, 263};
  const auto scene = test::texture(extent, 3, random);
  const auto noise = test::white(extent, random);
  const std::vector<test::Image<double>> pictures{
      scene, test::sum_of(test::moved(scene, {2.3, -4.6}), 1.0, test::white(extent, random)), noise,
      test::rolled(noise, {40, -90})};
  for (const std::size_t threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    (void)compare(pictures, {{1, 0}, {0, 2}, {3, 2}}, test::ThreadExecutor(threads));
  }
}

TEST_CASE("Frames that were released or cleared are registered anew to the same bits", "[coarse]") {
  const std::uint64_t seed = 129;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{256, 256};
  const auto scene = test::stored<float>(test::texture(extent, 3, random));
  const auto noise = test::stored<float>(test::white(extent, random));
  const auto other = test::stored<float>(test::white(extent, random));
  CoarseToFineRegistrar<float> registrar(extent);
  const auto shift = [&](const test::Image<float>& src, const test::Image<float>& dst) {
    return registrar.shift_to_register(make_frame_ref(src.view(), 0),
                                       make_frame_ref(dst.view(), 1));
  };
  const Shift first = shift(scene, noise);
  registrar.release(0);
  const Shift second = shift(other, noise);  // with the same key, in the same memory
  registrar.clear();
  const Shift third = shift(noise, other);
  for (const auto& [found, pair] : {std::pair{first, std::pair{&scene, &noise}},
                                    {second, {&other, &noise}},
                                    {third, {&noise, &other}}}) {
    FftRegistrar<float> full(extent);
    CHECK(same_bits(found, full.shift_to_register(make_frame_ref(pair.first->view(), 0),
                                                  make_frame_ref(pair.second->view(), 1))));
  }
  // One of each frame at the first grid: 2, 1 after the release, 2 after clearing.
  CHECK(registrar.counts().spectra == 5);
}

TEMPLATE_TEST_CASE("A movie's shifts and template are the full-size registrar's, bit for bit",
                   "[coarse]", std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 130;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{256, 271};
  const auto scene = test::texture(extent, 3, random);
  const auto pattern = test::white(extent, random);
  test::Movie<TestType> movie(10, extent);
  for (std::size_t t = 0; t < movie.frames; ++t) {
    auto frame = test::moved(scene, {random.uniform(-5.0, 5.0), random.uniform(-5.0, 5.0)});
    frame = test::sum_of(frame, 0.2, pattern);
    movie.set(t, test::stored<TestType>(test::sum_of(frame, 0.3, test::white(extent, random))));
  }
  for (const std::size_t chunk : {0, 4}) {
    CAPTURE(chunk);
    EstimateSettings settings = EstimateSettings::tree_alone({}, chunk);
    const auto fast = estimate_motion<TestType>(movie.view(), settings, SerialExecutor());
    settings.tree.registrar = RegistrarKind::fft;
    const auto full = estimate_motion<TestType>(movie.view(), settings, SerialExecutor());
    REQUIRE(fast.shifts.size() == movie.frames);
    CHECK(std::memcmp(fast.shifts.data(), full.shifts.data(), movie.frames * sizeof(Shift)) == 0);
    CHECK(std::memcmp(fast.merged[first_slot].data(), full.merged[first_slot].data(),
                      3 * extent.area() * sizeof(float)) == 0);
    // Where pixels are far from 0, templates have an edge where they were moved; measured 0 or 1.
    constexpr std::size_t most_fallbacks = 2;
    CHECK(fast.counts.fallbacks <= most_fallbacks);
    CHECK(fast.counts.registrations == full.counts.registrations);
    CHECK(fast.counts.spectra == full.counts.spectra);
    CHECK(fast.counts.warps == full.counts.warps);
  }
}

}  // namespace
}  // namespace stillscope
