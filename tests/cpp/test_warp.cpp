// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <opencv2/core/version.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/warp/translation.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

namespace stillscope {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

// Share of the pixels' range; measured 1.1e-7 (float32's rounding).
constexpr double naive_tolerance = 5e-7;
// Grey levels of 255; measured 3.1e-5 (OpenCV 4 multiplies the two axes' weights first).
constexpr double opencv4_tolerance = 1e-4;
// Grey levels of 255; OpenCV 5 is exact to 1e-3.
constexpr double opencv5_tolerance = 5e-3;

template <Pixel T>
test::Image<float> warped(const FrameView<const T>& frame, Shift shift, float fill,
                          SamplingGrid grid = SamplingGrid::exact) {
  test::Image<float> out(frame.extent());
  const Translation translation(shift, frame.extent(), grid);
  RowWarper<T> warper;
  warper.begin(frame, translation, fill);
  for (std::size_t y = 0; y < frame.height(); ++y) {
    warper(y, out.pixels.data() + y * frame.width());
  }
  return out;
}

/// Largest difference; infinite where only one of two pixels is NaN.
double difference(const test::Image<float>& a, const test::Image<double>& b) {
  double worst = 0.0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    if (std::isnan(a.pixels[i]) && std::isnan(b.pixels[i])) continue;
    const double d = std::abs(static_cast<double>(a.pixels[i]) - b.pixels[i]);
    worst = std::isnan(d) ? std::numeric_limits<double>::infinity() : std::max(worst, d);
  }
  return worst;
}

std::vector<Shift> shifts_for(Extent extent, test::Random& random) {
  const auto height = static_cast<double>(extent.height);
  const auto width = static_cast<double>(extent.width);
  std::vector<Shift> shifts{{0.0, 0.0},         {1.0, -2.0},         {-3.0, 1.0},
                            {0.5, 0.5},         {-0.25, 0.75},       {height, 0.0},
                            {0.0, -width},      {height - 0.5, 0.0}, {0.5 - height, width - 0.25},
                            {1e-9, -1e-9},      {-1e-30, 1e-30},     {0.015625, -0.015625},
                            {0.99999, -0.99999}};
  for (int k = 0; k < 12; ++k) {
    shifts.push_back({random.uniform(-0.6, 0.6) * height, random.uniform(-0.6, 0.6) * width});
  }
  return shifts;
}

TEMPLATE_TEST_CASE("A row-wise translation is the naive one on both grids", "[warp]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 51;
  CAPTURE(seed);
  test::Random random(seed);
  const double range = std::is_same_v<TestType, std::uint16_t>  ? 65535.0
                       : std::is_same_v<TestType, std::int16_t> ? 32768.0
                                                                : 255.0;
  for (const Extent extent : {Extent{1, 1}, Extent{1, 9}, Extent{9, 1}, Extent{2, 2}, Extent{7, 5},
                              Extent{8, 12}, Extent{13, 17}}) {
    const auto image = test::noise<TestType>(extent, random);
    for (const Shift shift : shifts_for(extent, random)) {
      for (const float fill : {0.0F, 100.0F, nan}) {
        CAPTURE(extent, shift, fill);
        CHECK(difference(warped(image.view(), shift, fill),
                         test::direct_translation(image, shift, static_cast<double>(fill))) <=
              naive_tolerance * range);
        CHECK(difference(warped(image.view(), shift, fill, SamplingGrid::cv2),
                         test::direct_translation(image, shift, static_cast<double>(fill),
                                                  1.0 / 32.0)) <= naive_tolerance * range);
      }
    }
  }
}

TEST_CASE("A translation is cv::warpAffine's of the OpenCV that is linked", "[warp][tbb]") {
  const std::uint64_t seed = 52;
  CAPTURE(seed, CV_VERSION);
  test::Random random(seed);
  constexpr SamplingGrid grid = CV_VERSION_MAJOR >= 5 ? SamplingGrid::exact : SamplingGrid::cv2;
  constexpr double tolerance = CV_VERSION_MAJOR >= 5 ? opencv5_tolerance : opencv4_tolerance;
  double worst = 0.0;
  for (const Extent extent : {Extent{1, 9}, Extent{9, 1}, Extent{7, 5}, Extent{13, 17},
                              Extent{61, 130}, Extent{96, 128}}) {
    auto image = test::noise<float>(extent, random);
    const int height = static_cast<int>(extent.height);
    const int width = static_cast<int>(extent.width);
    const cv::Mat1f source(height, width, image.pixels.data());
    for (const Shift shift : shifts_for(extent, random)) {
      for (const float fill : {0.0F, 80.0F}) {
        const cv::Matx23f matrix(1.0F, 0.0F, static_cast<float>(shift.width), 0.0F, 1.0F,
                                 static_cast<float>(shift.height));
        cv::Mat1f moved;
        cv::warpAffine(source, moved, matrix, source.size(), cv::INTER_LINEAR, cv::BORDER_CONSTANT,
                       cv::Scalar(static_cast<double>(fill)));
        test::Image<double> expected(extent);
        std::copy(moved.begin(), moved.end(), expected.pixels.begin());
        CAPTURE(extent, shift, fill);
        const double error = difference(warped(image.view(), shift, fill, grid), expected);
        worst = std::max(worst, error);
        CHECK(error <= tolerance);
      }
    }
  }
  INFO("largest difference " << worst << " grey levels");
  CHECK(worst <= tolerance);
}

TEST_CASE("At no shift a fill of NaN loses nothing", "[warp]") {
  test::Random random(53);
  const auto image = test::noise<float>({6, 7}, random);
  for (const SamplingGrid grid : {SamplingGrid::exact, SamplingGrid::cv2}) {
    CHECK(warped(image.view(), {}, nan, grid).pixels == image.pixels);
    CHECK(warped(image.view(), {-0.0, -0.0}, nan, grid).pixels == image.pixels);
  }
}

TEST_CASE("A shift by whole pixels reads no neighbour", "[warp]") {
  test::Random random(54);
  auto image = test::noise<float>({8, 9}, random);
  image(3, 4) = nan;
  for (const SamplingGrid grid : {SamplingGrid::exact, SamplingGrid::cv2}) {
    for (const PixelOffset by : {PixelOffset{0, 0}, PixelOffset{2, -3}, PixelOffset{-1, 4}}) {
      CAPTURE(by);
      const auto out =
          warped(image.view(), {static_cast<double>(by.height), static_cast<double>(by.width)},
                 5.0F, grid);
      std::size_t missing = 0;
      bool is_moved = true;
      for (std::size_t y = 0; y < 8; ++y) {
        for (std::size_t x = 0; x < 9; ++x) {
          const auto sy = static_cast<std::ptrdiff_t>(y) - by.height;
          const auto sx = static_cast<std::ptrdiff_t>(x) - by.width;
          const bool inside = sy >= 0 && sy < 8 && sx >= 0 && sx < 9;
          const float expected =
              inside ? image(static_cast<std::size_t>(sy), static_cast<std::size_t>(sx)) : 5.0F;
          if (std::isnan(out(y, x))) ++missing;
          is_moved = is_moved &&
                     (out(y, x) == expected || (std::isnan(out(y, x)) && std::isnan(expected)));
        }
      }
      CHECK(missing == 1);
      CHECK(is_moved);
    }
  }
  // Half a pixel along one axis reads two samples, not four.
  const auto half = warped(image.view(), {0.5, 0.0}, 0.0F);
  CHECK(std::count_if(half.pixels.begin(), half.pixels.end(),
                      [](float value) { return std::isnan(value); }) == 2);
}

TEST_CASE("A shift that is not finite or leaves the frame gives nothing but fill", "[warp]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const test::Image<std::uint8_t> image({5, 6}, 9);
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  for (const Shift shift : {Shift{unknown, 0.0}, Shift{0.0, unknown}, Shift{infinity, 0.0},
                            Shift{0.0, -infinity}, Shift{5.0, 0.0}, Shift{0.0, 6.0},
                            Shift{-77.3, 0.0}, Shift{1e300, 0.0}, Shift{0.0, -1e19}}) {
    for (const SamplingGrid grid : {SamplingGrid::exact, SamplingGrid::cv2}) {
      CAPTURE(shift);
      const auto out = warped(image.view(), shift, 3.0F, grid);
      CHECK(out.pixels == std::vector<float>(30, 3.0F));
    }
  }
}

TEST_CASE("Shifting there and back gives the frame where nothing was lost", "[warp]") {
  test::Random random(55);
  const auto image = test::noise<float>({20, 21}, random);
  const auto there = warped(image.view(), {3.0, -4.0}, 0.0F);
  const auto back = warped(there.view(), {-3.0, 4.0}, 0.0F);
  bool is_same = true;
  for (std::size_t y = 0; y < 17; ++y) {
    for (std::size_t x = 4; x < 21; ++x) is_same = is_same && back(y, x) == image(y, x);
  }
  CHECK(is_same);
}

TEST_CASE("A linear ramp is moved by exactly the shift", "[warp]") {
  test::Image<double> ramp({16, 18});
  for (std::size_t y = 0; y < 16; ++y) {
    for (std::size_t x = 0; x < 18; ++x) ramp(y, x) = 3.0 * double(y) - 2.0 * double(x);
  }
  const Shift shift{1.3, -2.6};
  const auto out = warped(ramp.view(), shift, 0.0F);
  double worst = 0.0;
  for (std::size_t y = 2; y < 16; ++y) {
    for (std::size_t x = 0; x < 15; ++x) {
      const double expected = 3.0 * (double(y) - shift.height) - 2.0 * (double(x) - shift.width);
      worst = std::max(worst, std::abs(double(out(y, x)) - expected));
    }
  }
  constexpr double tolerance = 1e-5;  // grey levels; measured 2.3e-6
  CHECK(worst < tolerance);
}

TEMPLATE_TEST_CASE("Strided views are warped to the bits of a copy in C order", "[warp]",
                   STILLSCOPE_PIXELS) {
  test::Random random(56);
  const Extent extent{9, 11};
  const auto big = test::noise<TestType>({30, 40}, random);
  const TestType* data = big.pixels.data();
  for (const FrameView<const TestType> view :
       {FrameView<const TestType>(data, extent, 80, 3),
        FrameView<const TestType>(data + 29 * 40 + 39, extent, -40, -1),
        FrameView<const TestType>(data, extent, 1, 40)}) {
    test::Image<TestType> copy(extent);
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) copy(y, x) = view(y, x);
    }
    for (const Shift shift : {Shift{0.0, 0.0}, Shift{1.4, -2.7}, Shift{-3.0, 0.5}}) {
      CHECK(warped(view, shift, 1.0F).pixels == warped(copy.view(), shift, 1.0F).pixels);
    }
  }
}

// --- apply_motion
// ---------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("apply_motion rounds to the nearest integer or truncates, and saturates",
                   "[warp]", STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 57;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{9, 10};
  test::Movie<TestType> movie(6, extent);
  ShiftList shifts;
  for (std::size_t t = 0; t < movie.frames; ++t) {
    movie.set(t, test::noise<TestType>(extent, random));
    shifts.push_back({random.uniform(-4.0, 4.0), random.uniform(-4.0, 4.0)});
  }
  const auto before = movie.pixels;
  for (const Rounding rounding : {Rounding::nearest, Rounding::truncate}) {
    for (const SamplingGrid grid : {SamplingGrid::exact, SamplingGrid::cv2}) {
      const double fill = 7.0;
      auto out = movie;
      apply_motion<TestType>(movie.view(), shifts, out.target(),
                             {.fill = fill, .grid = grid, .rounding = rounding}, SerialExecutor());
      bool is_equal = true;
      for (std::size_t t = 0; t < movie.frames; ++t) {
        const auto row = warped(movie[t], shifts[t], static_cast<float>(fill), grid);
        for (std::size_t i = 0; i < extent.area(); ++i) {
          auto value = static_cast<double>(row.pixels[i]);
          if constexpr (std::is_integral_v<TestType>) {
            value = rounding == Rounding::nearest ? std::nearbyint(value) : std::trunc(value);
          }
          is_equal =
              is_equal && out.pixels[t * extent.area() + i] == test::as_pixel<TestType>(value);
        }
      }
      CHECK(is_equal);
    }
  }
  CHECK(movie.pixels == before);
}

TEMPLATE_TEST_CASE("A movie that no cache holds is applied to the bits of its frames", "[warp]",
                   float, double) {
  const std::uint64_t seed = 63;
  CAPTURE(seed);
  test::Random random(seed);
  // Rows begin anywhere in a line of the cache.
  const Extent extent{201, 263};
  const std::size_t frames = (std::size_t{9} << 20) / (extent.area() * sizeof(TestType)) + 1;
  test::Movie<TestType> movie(frames, extent);
  ShiftList shifts;
  for (std::size_t t = 0; t < frames; ++t) {
    movie.set(t, test::noise<TestType>(extent, random));
    shifts.push_back({random.uniform(-4.0, 4.0), random.uniform(-4.0, 4.0)});
  }
  for (const Interpolation interpolation : {Interpolation::linear, Interpolation::cubic}) {
    const ApplySettings settings{.interpolation = interpolation};
    test::Movie<TestType> out(frames, extent);
    apply_motion<TestType>(movie.view(), shifts, out.target(), settings, SerialExecutor());
    bool is_equal = true;
    for (std::size_t t = 0; t < frames; ++t) {
      test::Movie<TestType> alone(1, extent);
      test::Movie<TestType> frame(1, extent);
      frame.set(0, movie.image(t));
      apply_motion<TestType>(frame.view(), ShiftList{shifts[t]}, alone.target(), settings,
                             SerialExecutor());
      is_equal = is_equal && alone.image(0).pixels == out.image(t).pixels;
    }
    CHECK(is_equal);
  }
}

TEST_CASE("apply_motion fills what an unknown or too large shift leaves", "[warp]") {
  const test::Movie<std::int16_t> movie(3, {4, 5}, 12);
  test::Movie<std::int16_t> out(3, {4, 5}, 99);
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  const ShiftList shifts{{unknown, unknown}, {0.0, 0.0}, {0.0, 50.0}};
  apply_motion<std::int16_t>(movie.view(), shifts, out.target(), {.fill = -3.0}, SerialExecutor());
  CHECK(out.image(0).pixels == std::vector<std::int16_t>(20, -3));
  CHECK(out.image(1).pixels == std::vector<std::int16_t>(20, 12));
  CHECK(out.image(2).pixels == std::vector<std::int16_t>(20, -3));
}

TEST_CASE("apply_motion writes through any strides and nowhere else", "[warp]") {
  test::Random random(58);
  const Extent extent{4, 5};
  test::Movie<float> movie(2, extent);
  for (float& pixel : movie.pixels) pixel = static_cast<float>(random.uniform());
  const ShiftList shifts{{0.5, -1.25}, {-1.0, 0.75}};
  test::Movie<float> plain(2, extent);
  apply_motion<float>(movie.view(), shifts, plain.target(), {}, SerialExecutor());
  std::vector<float> wide(2 * 4 * 5 * 3, -1.0F);  // every third element is a pixel
  const MovieView<float> target(wide.data() + wide.size() - 3, 2, extent, -60, -15, -3);
  apply_motion<float>(movie.view(), shifts, target, {}, SerialExecutor());
  bool is_equal = true;
  for (std::size_t t = 0; t < 2; ++t) {
    for (std::size_t y = 0; y < 4; ++y) {
      for (std::size_t x = 0; x < 5; ++x) {
        is_equal = is_equal && target[t](y, x) == plain[t](y, x);
      }
    }
  }
  CHECK(is_equal);
  CHECK(std::count(wide.begin(), wide.end(), -1.0F) >= 80);
}

TEST_CASE("apply_motion divides shifts by the binning, exactly", "[warp]") {
  test::Random random(59);
  const Extent extent{30, 35};
  test::Movie<float> movie(8, extent);
  ShiftList shifts;
  ShiftList divided;
  const PixelSize binning{2.0, 0.3};
  for (std::size_t t = 0; t < movie.frames; ++t) {
    movie.set(t, test::noise<float>(extent, random));
    shifts.push_back({random.uniform(-9.0, 9.0), random.uniform(-3.0, 3.0)});
    divided.push_back({shifts[t].height / 2.0, shifts[t].width / 0.3});
  }
  test::Movie<float> expected(8, extent);
  auto out = expected;
  apply_motion<float>(movie.view(), divided, expected.target(), {}, SerialExecutor());
  apply_motion<float>(movie.view(), shifts, out.target(), {.binning = binning}, SerialExecutor());
  CHECK(out.pixels == expected.pixels);
}

TEST_CASE("Moved and then binned is binned and then moved, for whole binned pixels", "[warp]") {
  test::Random random(60);
  const Extent extent{24, 30};
  test::Movie<float> movie(1, extent);
  movie.set(0, test::noise<float>(extent, random));
  const auto binned = [](const test::Movie<float>& frames) {
    const auto [height, width] = frames.extent;
    test::Movie<float> half(1, {height / 2, width / 3});
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        half.target()[0](y / 2, x / 3) += frames[0](y, x) / 6.0F;
      }
    }
    return half;
  };
  const ShiftList shifts{{4.0, -9.0}};
  test::Movie<float> moved(1, extent);
  apply_motion<float>(movie.view(), shifts, moved.target(), {}, SerialExecutor());
  const auto expected = binned(moved);
  const auto small = binned(movie);
  test::Movie<float> out(1, small.extent);
  apply_motion<float>(small.view(), shifts, out.target(), {.binning = {2.0, 3.0}},
                      SerialExecutor());
  CHECK(out.pixels == expected.pixels);
}

TEST_CASE("apply_motion refuses what does not fit, by name", "[warp][errors]") {
  const test::Movie<std::uint8_t> movie(3, {4, 5});
  test::Movie<std::uint8_t> out(3, {4, 5});
  test::Movie<std::uint8_t> short_out(2, {4, 5});
  test::Movie<std::uint8_t> wide_out(3, {4, 6});
  const ShiftList shifts(3);
  const ShiftList few(2);
  const auto apply = [&](const ShiftList& moves, test::Movie<std::uint8_t>& target, double fill) {
    apply_motion<std::uint8_t>(movie.view(), moves, target.target(), {.fill = fill},
                               SerialExecutor());
  };
  CHECK_REFUSES("shifts", apply(few, out, 0.0));
  CHECK_REFUSES("out", apply(shifts, short_out, 0.0));
  CHECK_REFUSES("out", apply(shifts, wide_out, 0.0));
  CHECK_REFUSES("fill", apply(shifts, out, 256.0));
  CHECK_REFUSES("fill", apply(shifts, out, -1.0));
  CHECK_REFUSES("fill", apply(shifts, out, std::numeric_limits<double>::quiet_NaN()));
  for (const double side : {0.0, -2.0, std::numeric_limits<double>::infinity(),
                            std::numeric_limits<double>::quiet_NaN()}) {
    CAPTURE(side);
    CHECK_REFUSES("binning",
                  apply_motion<std::uint8_t>(movie.view(), shifts, out.target(),
                                             {.binning = {1.0, side}}, SerialExecutor()));
  }
  test::Movie<std::int16_t> signed_movie(1, {2, 2});
  auto signed_out = signed_movie;
  CHECK_REFUSES("fill",
                apply_motion<std::int16_t>(signed_movie.view(), ShiftList(1), signed_out.target(),
                                           {.fill = 40000.0}, SerialExecutor()));
  test::Movie<float> float_movie(1, {2, 2});
  auto float_out = float_movie;
  apply_motion<float>(float_movie.view(), ShiftList{{9.0, 9.0}}, float_out.target(),
                      {.fill = std::numeric_limits<double>::quiet_NaN()}, SerialExecutor());
  CHECK(std::isnan(float_out.pixels[0]));
}

}  // namespace
}  // namespace stillscope
