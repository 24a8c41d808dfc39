// SPDX-License-Identifier: GPL-3.0-or-later
/// The estimate of a chunk and of a movie against the plain recursion of
/// support/reference_tree.hpp.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/quality/circularity.hpp"
#include "support/catch.hpp"
#include "support/reference_tree.hpp"

namespace stillscope {
namespace {

// Pixels. The reference works in double, the library's templates have 14 bits: measured 4.4e-4 on
// these frames of 270 pixels (the error falls with their number's root). Where integers truncate, a
// rounding may cross a whole number: measured 2.1e-3.
template <class T>
constexpr double shift_tolerance = std::is_integral_v<T> ? 6e-3 : 1.5e-3;
// Grey levels of 255, mean over a template: measured 1.5e-2.
constexpr double template_tolerance = 5e-2;

constexpr Extent extent{15, 18};

template <Pixel T>
test::Image<double> in_double(const FrameView<const T>& frame) {
  test::Image<double> image(frame.extent());
  for (std::size_t y = 0; y < frame.height(); ++y) {
    for (std::size_t x = 0; x < frame.width(); ++x) image(y, x) = static_cast<double>(frame(y, x));
  }
  return image;
}

template <Pixel T>
std::vector<test::ReferenceTree::Item> items_of(const MovieView<const T>& movie,
                                                const std::vector<ShiftList>& incoming = {}) {
  std::vector<test::ReferenceTree::Item> items;
  for (std::size_t i = 0; i < movie.size(); ++i) {
    items.push_back({{in_double(movie[i])}, incoming.empty() ? ShiftList(1) : incoming[i]});
  }
  return items;
}

template <Pixel T>
std::vector<test::ReferenceTree::Item> items_of(const StackView<const T>& stack,
                                                const std::vector<ShiftList>& incoming = {}) {
  std::vector<test::ReferenceTree::Item> items;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    items.push_back({{in_double(stack(i, 0)), in_double(stack(i, 1)), in_double(stack(i, 2))},
                     incoming.empty() ? ShiftList(1) : incoming[i]});
  }
  return items;
}

/// Lists of 0, 1, 2, 3, 0, ... shifts.
std::vector<ShiftList> incoming_lists(std::size_t items) {
  test::Random random(70);
  std::vector<ShiftList> lists(items);
  for (std::size_t i = 0; i < items; ++i) {
    for (std::size_t k = 0; k < i % 4; ++k) {
      lists[i].push_back({random.uniform(-9.0, 9.0), random.uniform(-9.0, 9.0)});
    }
  }
  return lists;
}

template <Pixel T>
void check_equal(const MotionEstimate& found, const test::ReferenceTree::Item& expected) {
  REQUIRE(found.shifts.size() == expected.shifts.size());
  double worst = 0.0;
  for (std::size_t i = 0; i < found.shifts.size(); ++i) {
    const Shift difference = found.shifts[i] - expected.shifts[i];
    worst = std::max({worst, std::abs(difference.height), std::abs(difference.width)});
  }
  CHECK(worst < shift_tolerance<T>);
  REQUIRE(found.merged.slots() == expected.planes.size());
  for (const Slot slot : {first_slot, aggregate_slot, last_slot}) {
    const auto& plane = expected.planes[std::min<std::size_t>(slot, expected.planes.size() - 1)];
    const auto merged = in_double<float>(found.merged[slot]);
    double sum = 0.0;
    for (std::size_t i = 0; i < plane.pixels.size(); ++i) {
      sum += std::abs(merged.pixels[i] - plane.pixels[i]);
    }
    CAPTURE(slot);
    CHECK(sum / static_cast<double>(plane.pixels.size()) < template_tolerance);
  }
}

/// Every combination of the options that change the tree, at `npart`.
std::vector<ChunkSettings> variants(std::size_t npart) {
  std::vector<ChunkSettings> list;
  for (const std::optional<double> alt_error :
       {std::optional<double>(0.3), std::optional<double>(5.0), std::optional<double>()}) {
    for (const Aggregation aggregation : {Aggregation::mean, Aggregation::max}) {
      for (const SlotLast slot_last : {SlotLast::second, SlotLast::last}) {
        if (!alt_error && slot_last == SlotLast::last) continue;
        list.push_back({.npart = npart,
                        .alt_error = alt_error,
                        .aggregation = aggregation,
                        .slot_last = slot_last});
      }
    }
  }
  return list;
}

std::string description(const ChunkSettings& settings) {
  return "npart " + std::to_string(settings.npart) + ", alt_error " +
         (settings.alt_error ? std::to_string(*settings.alt_error) : "none") + ", " +
         (settings.aggregation == Aggregation::mean ? "mean" : "max") + ", slot_last " +
         (settings.slot_last == SlotLast::last ? "last" : "second");
}

TEMPLATE_TEST_CASE("A chunk of frames is reduced as by the plain recursion", "[tree]", std::uint8_t,
                   std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 71;
  CAPTURE(seed);
  std::size_t alternatives = 0;
  for (const std::size_t frames : {1, 2, 3, 4, 10, 19}) {
    const auto movie = test::moving_scene<TestType>(frames, extent, 2.5, 40.0, seed);
    for (const std::size_t npart : {2, 3, 5}) {
      for (const ChunkSettings& settings : variants(npart)) {
        CAPTURE(frames, description(settings));
        test::ReferenceTree tree(settings, std::is_integral_v<TestType>);
        const auto expected = tree.chunk(items_of(movie.view()));
        check_equal<TestType>(est_motion_chunk<TestType>(movie.view(), settings), expected);
        alternatives += tree.alternatives_taken();
      }
    }
  }
  CHECK(alternatives > 0);  // else the touching slots were not tested
}

TEMPLATE_TEST_CASE("A stack of templates is reduced as by the plain recursion", "[tree]",
                   std::uint8_t, float, double) {
  const std::uint64_t seed = 72;
  CAPTURE(seed);
  std::size_t alternatives = 0;
  for (const std::size_t nodes : {1, 2, 3, 7, 10}) {
    const auto planes = test::moving_scene<TestType>(3 * nodes, extent, 2.5, 6.0, seed);
    const StackView<const TestType> stack(planes.pixels.data(), nodes, extent);
    for (const std::size_t npart : {2, 3, 5}) {
      for (const ChunkSettings& settings : variants(npart)) {
        CAPTURE(nodes, description(settings));
        test::ReferenceTree tree(settings, std::is_integral_v<TestType>);
        const auto expected = tree.chunk(items_of(stack));
        check_equal<TestType>(est_motion_chunk<TestType>(stack, settings), expected);
        alternatives += tree.alternatives_taken();
      }
    }
  }
  CHECK(alternatives > 0);
}

TEST_CASE("Frames of a row, a column or a pixel are reduced as by the plain recursion", "[tree]") {
  const std::uint64_t seed = 77;
  CAPTURE(seed);
  for (const Extent size :
       {Extent{1, 1}, Extent{1, 2}, Extent{2, 2}, Extent{1, 17}, Extent{16, 1}, Extent{3, 5}}) {
    test::Random random(seed);
    test::Movie<double> movie(10, size);
    for (std::size_t t = 0; t < 10; ++t) movie.set(t, test::noise<double>(size, random));
    for (const ChunkSettings& settings : variants(3)) {
      CAPTURE(size, description(settings));
      test::ReferenceTree tree(settings, false);
      check_equal<double>(est_motion_chunk<double>(movie.view(), settings),
                          tree.chunk(items_of(movie.view())));
    }
  }
}

TEST_CASE("Integers in floats and booleans in bytes are warped as what they are", "[tree]") {
  const std::uint64_t seed = 78;
  CAPTURE(seed);
  const auto bytes = test::moving_scene<std::uint8_t>(11, extent, 2.5, 20.0, seed);
  test::Movie<float> floats(11, extent);
  std::copy(bytes.pixels.begin(), bytes.pixels.end(), floats.pixels.begin());
  auto booleans = bytes;
  for (std::uint8_t& pixel : booleans.pixels) pixel = pixel > 60 ? 1 : 0;
  for (ChunkSettings settings : variants(3)) {
    CAPTURE(description(settings));
    settings.warped_values = WarpedValues::whole;
    test::ReferenceTree whole(settings, true);
    check_equal<std::uint8_t>(est_motion_chunk<float>(floats.view(), settings),
                              whole.chunk(items_of(floats.view())));
    settings.warped_values = WarpedValues::binary;
    // Maxima of zeros and ones have many equal peaks, which rounding decides: there, one group
    // alone.
    const std::size_t frames = settings.aggregation == Aggregation::max ? 3 : 11;
    const MovieView<const std::uint8_t> view(booleans.pixels.data(), frames, extent);
    test::ReferenceTree binary(settings, false);
    check_equal<std::uint8_t>(est_motion_chunk<std::uint8_t>(view, settings),
                              binary.chunk(items_of(view)));
  }
}

TEST_CASE("Incoming shifts are added to and returned flat", "[tree]") {
  const std::uint64_t seed = 73;
  CAPTURE(seed);
  const auto movie = test::moving_scene<float>(11, extent, 2.0, 4.0, seed);
  const StackView<const float> stack(movie.pixels.data(), 3, extent);
  for (const std::size_t npart : {2, 3}) {
    const ChunkSettings settings{.npart = npart};
    const auto lists = incoming_lists(11);
    test::ReferenceTree tree(settings, false);
    check_equal<float>(est_motion_chunk<float>(movie.view(), settings, SerialExecutor(), lists),
                       tree.chunk(items_of(movie.view(), lists)));
    const auto few = incoming_lists(3);
    check_equal<float>(est_motion_chunk<float>(stack, settings, SerialExecutor(), few),
                       tree.chunk(items_of(stack, few)));
  }
}

TEST_CASE("A movie in chunks is reduced as by the plain recursion", "[tree]") {
  const std::uint64_t seed = 74;
  CAPTURE(seed);
  const auto movie = test::moving_scene<float>(23, extent, 2.5, 5.0, seed);
  for (const std::size_t chunk : {0, 1, 4, 5, 9, 23, 50}) {
    for (const ChunkSettings& settings : variants(3)) {
      CAPTURE(chunk, description(settings));
      test::ReferenceTree tree(settings, false);
      check_equal<float>(
          estimate_motion<float>(movie.view(), EstimateSettings::tree_alone(settings, chunk),
                                 SerialExecutor()),
          tree.movie(items_of(movie.view()), chunk == 0 ? movie.frames : chunk));
    }
  }
}

TEST_CASE("Chunks by hand and their results by hand are the movie's estimate", "[tree]") {
  const std::uint64_t seed = 75;
  CAPTURE(seed);
  const auto movie = test::moving_scene<float>(27, extent, 2.0, 5.0, seed);
  const ChunkSettings settings;
  std::vector<float> stack;
  std::vector<ShiftList> shifts;
  for (std::size_t chunk = 0; chunk < 3; ++chunk) {
    const MovieView<const float> part(movie.pixels.data() + 9 * chunk * extent.area(), 9, extent);
    const MotionEstimate estimate = est_motion_chunk<float>(part, settings);
    const float* merged = estimate.merged[first_slot].data();
    stack.insert(stack.end(), merged, merged + 3 * extent.area());
    shifts.push_back(estimate.shifts);
  }
  const MotionEstimate top = est_motion_chunk<float>(
      StackView<const float>(stack.data(), 3, extent), settings, SerialExecutor(), shifts);
  const MotionEstimate whole = estimate_motion<float>(
      movie.view(), EstimateSettings::tree_alone(settings, 9), SerialExecutor());
  // The chunks' own templates have full precision, nodes within a tree 14 bits.
  REQUIRE(top.shifts.size() == whole.shifts.size());
  for (std::size_t i = 0; i < top.shifts.size(); ++i) {
    const Shift difference = top.shifts[i] - whole.shifts[i];
    CHECK(std::abs(difference.height) < shift_tolerance<float>);
    CHECK(std::abs(difference.width) < shift_tolerance<float>);
  }
}

TEST_CASE("Frames that are not circular enough are no templates", "[tree]") {
  const std::uint64_t seed = 76;
  CAPTURE(seed);
  auto movie = test::moving_scene<float>(14, extent, 2.0, 3.0, seed);
  test::Random random(seed);
  for (const std::size_t bad : {0, 4, 5, 9, 10, 11, 13}) {  // a group of three without a good one
    movie.set(bad, test::noise<float>(extent, random));
  }
  const std::size_t max_sh = 6;
  std::size_t bad_seen = 0;
  for (const double threshold : {0.3, 0.55, 1.0, 99.0}) {
    for (const std::size_t npart : {2, 3, 5}) {
      for (ChunkSettings settings : variants(npart)) {
        settings.circ_thres = threshold;
        settings.max_sh = max_sh;
        CAPTURE(threshold, description(settings));
        const auto is_good = [&](const test::Image<double>& image) {
          return circularity(image.view(), max_sh) > threshold;
        };
        test::ReferenceTree tree(settings, false, is_good);
        const auto expected = tree.chunk(items_of(movie.view()));
        const MotionEstimate found = est_motion_chunk<float>(movie.view(), settings);
        check_equal<float>(found, expected);
        bad_seen += tree.bad_items();
        if (threshold == 99.0) CHECK_FALSE(found.few_good.empty());
      }
    }
  }
  CHECK(bad_seen > 0);
}

}  // namespace
}  // namespace stillscope
