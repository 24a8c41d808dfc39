// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "stillscope/register/coarse_to_fine.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/register/peak.hpp"
#include "stillscope/register/spectra.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

// Pixels. Integers: the parabola's rounding, measured 4e-15. Floats are summed in float32: measured
// 7.7e-7.
template <class T>
constexpr double shift_tolerance = std::is_integral_v<T> ? 1e-12 : 1e-5;

const std::vector<Extent>& sizes() {
  static const std::vector<Extent> list{{1, 1},  {1, 2},  {2, 1},  {2, 2},  {1, 3},   {3, 1},
                                        {1, 17}, {17, 1}, {1, 16}, {16, 1}, {2, 9},   {3, 3},
                                        {8, 8},  {7, 11}, {12, 9}, {9, 12}, {13, 13}, {16, 20}};
  return list;
}

double distance(const Shift& a, const Shift& b) {
  return std::max(std::abs(a.height - b.height), std::abs(a.width - b.width));
}

/// A registration by a fresh registrar.
template <Pixel T>
Shift registered(const FrameView<const T>& src, const FrameView<const T>& dst,
                 FftPlanning planning = FftPlanning::quick) {
  FftRegistrar<T> registrar(src.extent(), planning);
  return registrar.shift_to_register(make_frame_ref(src, 0), make_frame_ref(dst, 1));
}

/// The frame less `offset`, which is not taken from bytes.
template <Pixel T>
test::Image<double> less(const test::Image<T>& image, double offset) {
  test::Image<double> result(image.extent);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    result.pixels[i] =
        static_cast<double>(image.pixels[i]) - (std::is_same_v<T, std::uint8_t> ? 0.0 : offset);
  }
  return result;
}

double energy_of(const test::Image<double>& image) {
  double energy = 0.0;
  for (const double pixel : image.pixels) energy += pixel * pixel;
  return energy;
}

/// Exact sums at these displacements against the direct correlation of the frames less offsets.
template <Pixel T>
void check_sums(const test::Image<T>& src, const test::Image<T>& dst,
                const std::vector<PixelOffset>& centres) {
  // Share of sqrt(energy energy); measured 1.1e-7 for floats. Integers: equal, as long as doubles
  // hold the sums.
  constexpr double sum_tolerance = 5e-7;
  const auto src_ref = make_frame_ref(src.view(), 0);
  const auto dst_ref = make_frame_ref(dst.view(), 1);
  const auto a = less(src, src_ref.source_offset());
  const auto b = less(dst, dst_ref.offset);
  const auto expected = test::direct_correlation(a, b);
  const double tolerance =
      std::is_integral_v<T> ? 0.0 : sum_tolerance * std::sqrt(energy_of(a) * energy_of(b)) + 1e-30;
  std::vector<typename ExactCorrelation<T>::Request> requests;
  for (const PixelOffset centre : centres) {
    requests.push_back({centre});
    requests.push_back({centre, false});
  }
  ExactCorrelation<T> exact;
  exact(src_ref, dst_ref, requests);
  for (std::size_t k = 0; k < requests.size(); k += 2) {
    CAPTURE(src.extent, requests[k].centre);
    const auto point = requests[k + 1].values[1][1] - requests[k].values[1][1];
    CHECK(std::abs(static_cast<double>(point)) <= tolerance);
    for (std::ptrdiff_t dy = -1; dy <= 1; ++dy) {
      for (std::ptrdiff_t dx = -1; dx <= 1; ++dx) {
        const std::size_t y = wrap_index(requests[k].centre.height + dy, src.extent.height);
        const std::size_t x = wrap_index(requests[k].centre.width + dx, src.extent.width);
        const auto sum = static_cast<double>(
            requests[k].values[static_cast<std::size_t>(dy + 1)][static_cast<std::size_t>(dx + 1)]);
        CHECK(std::abs(sum - expected[y * src.extent.width + x]) <= tolerance);
      }
    }
  }
}

TEMPLATE_TEST_CASE("The exact sums are those of the direct correlation", "[register]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 31;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : sizes()) {
    const auto height = static_cast<std::ptrdiff_t>(extent.height);
    const auto width = static_cast<std::ptrdiff_t>(extent.width);
    check_sums(test::noise<TestType>(extent, random), test::noise<TestType>(extent, random),
               {{0, 0},
                {1, -1},
                {-1, 1},
                {height - 1, width - 1},
                {-height, -width},
                {height / 2, width / 2},
                {-3 * height - 1, 2 * width + 1}});
  }
}

TEMPLATE_TEST_CASE("The exact sums hold wherever a row's seam falls among the registers",
                   "[register]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 45;
  CAPTURE(seed);
  test::Random random(seed);
  for (const std::size_t width : {31, 32, 33, 47, 48, 64, 65, 79}) {
    std::vector<PixelOffset> centres;
    for (std::size_t x = 0; x < width; ++x) centres.push_back({1, static_cast<std::ptrdiff_t>(x)});
    check_sums(test::noise<TestType>({6, width}, random), test::noise<TestType>({6, width}, random),
               centres);
  }
}

TEMPLATE_TEST_CASE("Sums of the largest and smallest integers do not overflow", "[register]",
                   std::uint8_t, std::uint16_t, std::int16_t) {
  const std::uint64_t seed = 46;
  CAPTURE(seed);
  test::Random random(seed);
  constexpr TestType lowest = std::numeric_limits<TestType>::lowest();
  constexpr TestType highest = std::numeric_limits<TestType>::max();
  // Rare outliers leave the offset far from the middle; with even chances it is the middle.
  for (const double share : {0.5, 0.01}) {
    test::Image<TestType> src({7, 165});
    test::Image<TestType> dst({7, 165});
    for (TestType& pixel : src.pixels) pixel = random.uniform() < share ? highest : lowest;
    for (TestType& pixel : dst.pixels) pixel = random.uniform() < share ? lowest : highest;
    check_sums(src, dst, {{0, 0}, {3, 20}, {-2, 164}});
  }
  // A long row of the brightest bytes, whose sums need more than 32 bits.
  if constexpr (std::is_same_v<TestType, std::uint8_t>) {
    const test::Image<TestType> image({1, 70001}, 255);
    ExactCorrelation<TestType> exact;
    const auto window =
        exact(make_frame_ref(image.view(), 0), make_frame_ref(image.view(), 1), PixelOffset{});
    for (const auto& row : window) {
      for (const std::int64_t sum : row) CHECK(sum == 70001LL * 255 * 255);
    }
  }
}

TEMPLATE_TEST_CASE("Threads change no bit of the exact sums", "[register]", std::uint16_t, float) {
  const std::uint64_t seed = 47;
  CAPTURE(seed);
  test::Random random(seed);
  for (const std::size_t height : {1, 31, 32, 97}) {
    const auto src = test::noise<TestType>({height, 50}, random);
    const auto dst = test::noise<TestType>({height, 50}, random);
    const auto src_ref = make_frame_ref(src.view(), 0);
    const auto dst_ref = make_frame_ref(dst.view(), 1);
    ExactCorrelation<TestType> exact;
    const auto serial = exact(src_ref, dst_ref, PixelOffset{2, -3});
    for (const std::size_t threads : {1, 2, 7}) {
      CHECK(exact(src_ref, dst_ref, PixelOffset{2, -3}, test::ThreadExecutor(threads)) == serial);
    }
  }
}

TEMPLATE_TEST_CASE("A shift is minus the refined first maximum of the direct correlation",
                   "[register]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 32;
  CAPTURE(seed);
  test::Random random(seed);
  double worst = 0.0;
  for (const Extent extent : sizes()) {
    for (int repeat = 0; repeat < 4; ++repeat) {
      const auto src = test::noise<TestType>(extent, random);
      const auto dst = test::noise<TestType>(extent, random);
      const Shift found = registered(src.view(), dst.view());
      const Shift expected = test::direct_shift(src, dst);
      CAPTURE(extent, repeat, found, expected);
      worst = std::max(worst, distance(found, expected));
      CHECK(distance(found, expected) < shift_tolerance<TestType>);
    }
  }
  INFO("largest difference " << worst << " px");
  CHECK(worst < shift_tolerance<TestType>);
}

TEMPLATE_TEST_CASE("A circular roll by whole pixels is recovered exactly", "[register]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 33;
  CAPTURE(seed);
  // Float sums run over the same products in another order; measured 1.6e-9.
  constexpr double tolerance = std::is_integral_v<TestType> ? 0.0 : 1e-7;
  test::Random random(seed);
  for (const Extent extent : {Extent{1, 15}, Extent{15, 1}, Extent{16, 20}, Extent{31, 37}}) {
    const auto dst = test::noise<TestType>(extent, random);
    const auto half = PixelOffset{static_cast<std::ptrdiff_t>(extent.height / 2),
                                  static_cast<std::ptrdiff_t>(extent.width / 2)};
    for (const PixelOffset by : {PixelOffset{0, 0}, PixelOffset{1, 0}, PixelOffset{0, -1},
                                 PixelOffset{3, 5}, PixelOffset{-4, 6}}) {
      if (std::abs(by.height) >= half.height && by.height != 0) continue;
      if (std::abs(by.width) >= half.width && by.width != 0) continue;
      const auto src = test::rolled(dst, by);
      const Shift found = registered(src.view(), dst.view());
      const Shift expected{static_cast<double>(-by.height), static_cast<double>(-by.width)};
      CAPTURE(extent, by, found);
      CHECK(distance(found, expected) <= tolerance);
    }
  }
}

TEMPLATE_TEST_CASE("Swapping source and destination turns the shift round", "[register]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 34;
  CAPTURE(seed);
  test::Random random(seed);
  for (int repeat = 0; repeat < 10; ++repeat) {
    const Extent extent{21, 24};
    const test::Scene scene(extent, random);
    const auto a = scene.frame<TestType>(extent, {1.3, -0.6}, 4.0, random);
    const auto b = scene.frame<TestType>(extent, {-2.2, 1.9}, 4.0, random);
    const Shift forward = registered(a.view(), b.view());
    const Shift backward = registered(b.view(), a.view());
    CHECK(distance(forward, -backward) < shift_tolerance<TestType>);
    CHECK(distance(forward, {0.0, 0.0}) > 0.5);
  }
}

TEMPLATE_TEST_CASE("Adding a constant to the frames does not move the shift", "[register]",
                   std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const std::uint64_t seed = 35;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{21, 24};
  test::Image<TestType> a(extent);
  test::Image<TestType> b(extent);
  for (TestType& pixel : a.pixels) pixel = static_cast<TestType>(random.uniform(0.0, 128.0));
  for (TestType& pixel : b.pixels) pixel = static_cast<TestType>(random.uniform(0.0, 128.0));
  const Shift before = registered(a.view(), b.view());
  for (TestType& pixel : a.pixels) pixel = static_cast<TestType>(pixel + 100);
  for (TestType& pixel : b.pixels) pixel = static_cast<TestType>(pixel + 27);
  const Shift after = registered(a.view(), b.view());
  // Integer sums change by one number, their differences not at all. Floats: measured 2.8e-8.
  constexpr double tolerance = std::is_integral_v<TestType> ? 0.0 : 1e-6;
  CHECK(distance(before, after) <= tolerance);
}

TEMPLATE_TEST_CASE("Scaling frames by a power of two does not change a bit of the shift",
                   "[register]", float, double) {
  const std::uint64_t seed = 36;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{18, 23};
  const auto a = test::noise<TestType>(extent, random);
  const auto b = test::noise<TestType>(extent, random);
  const Shift before = registered(a.view(), b.view());
  for (const double scale : {0x1p-20, 0x1p-8, 0x1p10, 0x1p20}) {
    auto scaled_a = a;
    auto scaled_b = b;
    for (TestType& pixel : scaled_a.pixels) pixel *= static_cast<TestType>(scale);
    for (TestType& pixel : scaled_b.pixels) pixel *= static_cast<TestType>(scale);
    CAPTURE(scale);
    CHECK(registered(scaled_a.view(), scaled_b.view()) == before);
  }
}

TEST_CASE("Planning quickly or thoroughly does not change a bit of the shift", "[register]") {
  const std::uint64_t seed = 37;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : {Extent{48, 75}, Extent{61, 64}, Extent{47, 94}, Extent{128, 96}}) {
    const test::Scene scene(extent, random);
    for (int repeat = 0; repeat < 5; ++repeat) {
      const Shift move{random.uniform(-4.0, 4.0), random.uniform(-4.0, 4.0)};
      const auto a = scene.frame<float>(extent, {}, 20.0, random);
      const auto b = scene.frame<float>(extent, move, 20.0, random);
      CAPTURE(extent, repeat);
      CHECK(registered(a.view(), b.view(), FftPlanning::quick) ==
            registered(a.view(), b.view(), FftPlanning::thorough));
    }
  }
}

TEMPLATE_TEST_CASE("Rows may lie anywhere, in any order", "[register]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 38;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{14, 19};
  const auto big = test::noise<TestType>({40, 60}, random);
  const auto dst = test::noise<TestType>(extent, random);
  const TestType* data = big.pixels.data();
  const std::vector<FrameView<const TestType>> views{
      {data, extent, 60, 1},             // a crop
      {data + 1, extent, 120, 1},        // every other row
      {data + 13 * 60, extent, -60, 1},  // upside down
      {data + 5 * 60, extent, 0, 1}};    // one row again and again
  for (std::size_t k = 0; k < views.size(); ++k) {
    CAPTURE(k);
    test::Image<TestType> copy(extent);
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) copy(y, x) = views[k](y, x);
    }
    CHECK(registered(views[k], dst.view()) == registered(copy.view(), dst.view()));
    CHECK(registered(dst.view(), views[k]) == registered(dst.view(), copy.view()));
  }
}

TEMPLATE_TEST_CASE("A flat frame has no shift", "[register]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 39;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{9, 12};
  const auto other = test::noise<TestType>(extent, random);
  // 0.1 is no float: its mean may miss it by a rounding.
  for (const double value : {0.0, 7.0, 100.1}) {
    const test::Image<TestType> flat(extent, static_cast<TestType>(value));
    CHECK(registered(flat.view(), other.view()) == Shift{});
    CHECK(registered(other.view(), flat.view()) == Shift{});
    CHECK(registered(flat.view(), flat.view()) == Shift{});
  }
}

TEMPLATE_TEST_CASE("Of equal peaks the first in C order is taken", "[register]",
                   STILLSCOPE_PIXELS) {
  // A checkerboard resembles itself at every other displacement, the first of them being none;
  // moved by one pixel to the right, the first is (0, 1). A peak's neighbours on an axis are equal.
  const Extent extent{10, 14};
  test::Image<TestType> board(extent);
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      board(y, x) = static_cast<TestType>((x + y) % 2 * 100);
    }
  }
  const auto moved = test::rolled(board, {0, 1});
  CHECK(registered(board.view(), board.view()) == Shift{});
  CHECK(registered(moved.view(), board.view()) == Shift{0.0, -1.0});
  // Stripes of period 5 along the height.
  test::Image<TestType> stripes({15, 8});
  for (std::size_t y = 0; y < 15; ++y) {
    for (std::size_t x = 0; x < 8; ++x) stripes(y, x) = static_cast<TestType>(y % 5 == 0 ? 64 : 0);
  }
  // Float sums are rounded; measured 1.3e-9 px.
  constexpr double tolerance = std::is_integral_v<TestType> ? 0.0 : 1e-8;
  CHECK(distance(registered(stripes.view(), stripes.view()), {}) <= tolerance);
  CHECK(distance(registered(test::rolled(stripes, {2, 3}).view(), stripes.view()), {-2.0, 0.0}) <=
        tolerance);
}

TEST_CASE("The direct correlation decides what the transforms can't tell apart", "[register]") {
  // Two peaks whose heights differ by 1 in 10^9: float transforms do not see which is higher.
  const Extent extent{32, 32};
  test::Image<std::uint16_t> dst(extent);
  test::Image<std::uint16_t> src(extent);
  dst(0, 0) = 40000;
  dst(5, 9) = 1;
  src(3, 4) = 40000;
  src(20, 7) = 40000;
  src(25, 16) = 1;  // makes the later peak the higher one, by one
  CHECK(registered(src.view(), dst.view()) == test::direct_shift(src, dst));
  CHECK(std::abs(registered(src.view(), dst.view()).height) > 10.0);
}

TEST_CASE("Every registration is counted, every spectrum once a key", "[register]") {
  test::Random random(40);
  const Extent extent{8, 9};
  const auto a = test::noise<float>(extent, random);
  const auto b = test::noise<float>(extent, random);
  FftRegistrar<float> registrar(extent);
  const auto ref_a = make_frame_ref(a.view(), 5);
  const auto ref_b = make_frame_ref(b.view(), 6);
  const Shift first = registrar.shift_to_register(ref_a, ref_b);
  CHECK(registrar.shift_to_register(ref_a, ref_b) == first);
  CHECK(registrar.counts().registrations == 2);
  CHECK(registrar.counts().spectra == 2);
  registrar.release(5);
  CHECK(registrar.shift_to_register(ref_a, ref_b) == first);
  CHECK(registrar.counts().spectra == 3);
  registrar.clear();
  CHECK(registrar.shift_to_register(ref_a, ref_b) == first);
  CHECK(registrar.counts().spectra == 5);
  CHECK(registrar.counts().fallbacks == 0);
}

TEST_CASE("A parabola's vertex is that of the three values", "[register]") {
  // v(x) = 10 - 3 (x - 0.2)^2 about the peak at 0.
  const auto v = [](double x) { return 10.0 - 3.0 * (x - 0.2) * (x - 0.2); };
  CHECK(std::abs(parabola_vertex(v(-1) - v(0), v(1) - v(0)) - 0.2) < 1e-12);
  CHECK(parabola_vertex(0.0, 0.0) == 0.0);
  CHECK(parabola_vertex(-1.0, 1.0) == 0.0);
}

TEST_CASE("A position beyond half the axis, rounded down, is negative", "[register]") {
  CHECK(wrap_position(4.0, 8) == 4.0);
  CHECK(wrap_position(4.01, 8) == 4.01 - 8.0);
  CHECK(wrap_position(4.0, 9) == 4.0);
  CHECK(wrap_position(5.0, 9) == -4.0);
  CHECK(wrap_position(-0.3, 9) == -0.3);
  CHECK(wrap_position(0.0, 1) == 0.0);
}

// --- coarse to fine
// -------------------------------------------------------------------------------

template <Pixel T>
Shift registered_coarsely(const test::Image<T>& src, const test::Image<T>& dst,
                          std::size_t& fallbacks) {
  CoarseToFineRegistrar<T> registrar(src.extent);
  const Shift shift =
      registrar.shift_to_register(make_frame_ref(src.view(), 0), make_frame_ref(dst.view(), 1));
  fallbacks += registrar.counts().fallbacks;
  return shift;
}

TEMPLATE_TEST_CASE("Coarse to fine gives the bits of the full-size registrar", "[register][coarse]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 42;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : {Extent{32, 32}, Extent{47, 61}, Extent{97, 128}, Extent{170, 190}}) {
    const test::Scene scene(extent, random);
    std::size_t fallbacks = 0;
    for (const double noise : {0.0, 2.0, 20.0}) {
      for (int repeat = 0; repeat < 5; ++repeat) {
        const Shift move{random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)};
        const auto src = scene.frame<TestType>(extent, move, noise, random);
        const auto dst = scene.frame<TestType>(extent, {}, noise, random);
        CAPTURE(extent, noise, repeat, move);
        CHECK(registered_coarsely(src, dst, fallbacks) == registered(src.view(), dst.view()));
      }
    }
    // Small frames that lose much by pooling go to the full size at once; of the 15 larger ones
    // none or one did.
    if (extent.area() > 160 * 160) CHECK(fallbacks <= 1);
  }
}

// As loud as the scene is bright, on small frames: one hill of the small correlation then holds
// several peaks of nearly the same height.
TEMPLATE_TEST_CASE("Coarse to fine gives the bits of the full-size registrar in loud noise",
                   "[register][coarse]", std::uint8_t, float) {
  const std::uint64_t seed = 44;
  CAPTURE(seed);
  test::Random random(seed);
  std::size_t fallbacks = 0;
  for (const Extent extent : {Extent{47, 61}, Extent{97, 128}}) {
    const test::Scene scene(extent, random);
    for (int repeat = 0; repeat < 10; ++repeat) {
      const Shift move{random.uniform(-6.0, 6.0), random.uniform(-6.0, 6.0)};
      const auto src = scene.frame<TestType>(extent, move, 80.0, random);
      const auto dst = scene.frame<TestType>(extent, {}, 80.0, random);
      CAPTURE(extent, repeat, move);
      CHECK(registered_coarsely(src, dst, fallbacks) == registered(src.view(), dst.view()));
    }
  }
}

TEMPLATE_TEST_CASE("Coarse to fine gives the full-size answer where pooling sees nothing",
                   "[register][coarse]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 43;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent : {Extent{32, 32}, Extent{45, 53}}) {
    CAPTURE(extent);
    CoarseToFineRegistrar<TestType> coarse(extent);
    FftRegistrar<TestType> full(extent);
    test::Image<TestType> board(extent);
    test::Image<TestType> stripes(extent);
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        board(y, x) = static_cast<TestType>((x + y) % 2 * 100);
        stripes(y, x) = static_cast<TestType>(x % 4 == 0 ? 50 : 0);
      }
    }
    test::Image<TestType> pixel(extent);
    pixel(5, 7) = 100;
    const test::Image<TestType> flat(extent, 7);
    const auto noise = test::noise<TestType>(extent, random);
    const std::vector<test::Image<TestType>> frames{board,
                                                    stripes,
                                                    pixel,
                                                    flat,
                                                    noise,
                                                    test::rolled(board, {0, 1}),
                                                    test::rolled(stripes, {3, 2}),
                                                    test::rolled(pixel, {9, -4}),
                                                    test::rolled(noise, {11, 13})};
    for (std::size_t i = 0; i < frames.size(); ++i) {
      for (std::size_t j = 0; j < frames.size(); ++j) {
        CAPTURE(i, j);
        const auto src = make_frame_ref(frames[i].view(), i);
        const auto dst = make_frame_ref(frames[j].view(), j);
        CHECK(coarse.shift_to_register(src, dst) == full.shift_to_register(src, dst));
      }
    }
  }
}

// --- what the transforms err by
// -------------------------------------------------------------------

constexpr double transform_margin = FftRegistrar<float>::transform_margin;

TEST_CASE("Float transforms err by less than the registrar's margin", "[register]") {
  const std::uint64_t seed = 41;
  CAPTURE(seed);
  test::Random random(seed);
  for (const Extent extent :
       {Extent{1, 127}, Extent{48, 75}, Extent{47, 94}, Extent{127, 131}, Extent{128, 128}}) {
    const test::Scene scene(extent, random);
    auto bright = scene.frame<float>(extent, {1.0, 2.0}, 1.0, random);
    for (float& pixel : bright.pixels) pixel += 60000.0F;
    auto moved = scene.frame<float>(extent, {2.5, -1.0}, 1.0, random);
    for (float& pixel : moved.pixels) pixel += 60000.0F;
    const std::vector<std::pair<test::Image<float>, test::Image<float>>> pairs{
        {test::noise<float>(extent, random), test::noise<float>(extent, random)},
        {scene.frame<float>(extent, {}, 0.0, random),
         scene.frame<float>(extent, {1.3, 0.4}, 0.0, random)},
        {scene.frame<float>(extent, {}, 8.0, random),
         scene.frame<float>(extent, {2.3, -1.7}, 8.0, random)},
        {bright, moved}};
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      const auto& [a, b] = pairs[k];
      const RealFft<float> fft(extent);
      const RealFft<double> exact_fft(extent);
      AlignedBuffer<float> plane(extent.area());
      AlignedBuffer<double> exact_plane(extent.area());
      AlignedBuffer<std::complex<float>> spectra[2] = {
          AlignedBuffer<std::complex<float>>(fft.spectrum_size()),
          AlignedBuffer<std::complex<float>>(fft.spectrum_size())};
      AlignedBuffer<std::complex<double>> exact_spectra[2] = {
          AlignedBuffer<std::complex<double>>(fft.spectrum_size()),
          AlignedBuffer<std::complex<double>>(fft.spectrum_size())};
      AlignedBuffer<std::complex<float>> product(fft.spectrum_size());
      AlignedBuffer<std::complex<double>> exact_product(fft.spectrum_size());
      double energy = 1.0;
      for (std::size_t i = 0; i < 2; ++i) {
        const test::Image<float>& image = i == 0 ? a : b;
        const FrameRef<float> ref = make_frame_ref(image.view(), i);
        energy *= std::sqrt(load_centred(ref.view, ref.offset, plane.data()));
        fft.forward(plane.data(), spectra[i].data());
        for (std::size_t p = 0; p < extent.area(); ++p) {
          exact_plane.data()[p] = static_cast<double>(image.pixels[p]) - ref.offset;
        }
        exact_fft.forward(exact_plane.data(), exact_spectra[i].data());
      }
      cross_power(spectra[0].data(), spectra[1].data(), fft.spectrum_size(), product.data());
      fft.inverse(product.data(), plane.data());
      cross_power(exact_spectra[0].data(), exact_spectra[1].data(), fft.spectrum_size(),
                  exact_product.data());
      exact_fft.inverse(exact_product.data(), exact_plane.data());
      double error = 0.0;
      for (std::size_t p = 0; p < extent.area(); ++p) {
        error =
            std::max(error, std::abs(static_cast<double>(plane.data()[p]) - exact_plane.data()[p]));
      }
      error /= energy * static_cast<double>(extent.area());
      CAPTURE(extent, k, error);
      CHECK(error < transform_margin);
    }
  }
}

}  // namespace
}  // namespace stillscope
