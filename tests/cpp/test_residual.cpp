// SPDX-License-Identifier: GPL-3.0-or-later
/// Optical flow, and the residual motion that is made of it.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "stillscope/movie/residual_motion.hpp"
#include "stillscope/quality/optical_flow.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

// Pixels, for textures moved by whole ones, up to 13: of any pixel, and of the root mean square.
// Measured 0.33 and 0.056.
constexpr double flow_tolerance = 0.5;
constexpr double length_tolerance = 0.12;
// Pixels, for frames that are the template, or that are moved onto it. Measured 0.0077.
constexpr double still = 0.02;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// Crops of a scene that is larger than the frame, moved by whole pixels.
class MovingTexture {
 public:
  static constexpr std::size_t margin = 16;

  MovingTexture(Extent extent, std::uint64_t seed) : extent_(extent) {
    test::Random random(seed);
    canvas_ = test::texture({extent.height + 2 * margin, extent.width + 2 * margin}, 3, random);
  }

  template <Pixel T>
  [[nodiscard]] test::Image<T> frame(PixelOffset by) const {
    const auto moved = test::stored<T>(test::rolled(canvas_, by));
    test::Image<T> image(extent_);
    for (std::size_t y = 0; y < extent_.height; ++y) {
      for (std::size_t x = 0; x < extent_.width; ++x) image(y, x) = moved(y + margin, x + margin);
    }
    return image;
  }

  template <Pixel T>
  [[nodiscard]] test::Movie<T> movie(const std::vector<PixelOffset>& path) const {
    test::Movie<T> movie(path.size(), extent_);
    for (std::size_t t = 0; t < path.size(); ++t) movie.set(t, frame<T>(path[t]));
    return movie;
  }

 private:
  Extent extent_;
  test::Image<double> canvas_;
};

const std::vector<PixelOffset> path{{0, 0}, {1, 0}, {0, -2}, {3, 4}, {-6, 2}, {9, -9}, {-2, -1}};

ShiftList corrections() {
  ShiftList shifts;
  for (const PixelOffset& by : path) {
    shifts.push_back({-static_cast<double>(by.height), -static_cast<double>(by.width)});
  }
  return shifts;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

TEST_CASE("The flow is where the reference's content lies in the frame", "[residual]") {
  const Extent extent{150, 190};
  const MovingTexture texture(extent, 201);
  const auto scaled = [](test::Image<float> image) {
    for (float& pixel : image.pixels) pixel *= 250.0F;
    return image;
  };
  const auto reference = scaled(texture.frame<float>({}));
  test::Image<float> rows(extent);
  test::Image<float> columns(extent);
  for (const PixelOffset by : {PixelOffset{0, 0}, PixelOffset{2, 0}, PixelOffset{0, 3},
                               PixelOffset{-5, 4}, PixelOffset{8, -9}}) {
    CAPTURE(by);
    const auto frame = scaled(texture.frame<float>(by));
    optical_flow(reference.view(), frame.view(), rows.target(), columns.target());
    double worst = 0.0;
    for (std::size_t y = 20; y + 20 < extent.height; ++y) {
      for (std::size_t x = 20; x + 20 < extent.width; ++x) {
        worst = std::max({worst, std::abs(double(rows(y, x)) - static_cast<double>(by.height)),
                          std::abs(double(columns(y, x)) - static_cast<double>(by.width))});
      }
    }
    CAPTURE(worst);
    CHECK(worst < flow_tolerance);
  }
}

TEST_CASE("The flow refuses what does not fit, by name", "[residual][errors]") {
  const test::Image<float> image({40, 50});
  const test::Image<float> other({40, 51});
  const test::Image<float> none({0, 50});
  test::Image<float> rows({40, 50});
  test::Image<float> columns({40, 50});
  test::Image<float> wrong({41, 50});
  const auto flow = [&](const auto& a, const auto& b, auto& c, auto& d, FlowSettings settings) {
    optical_flow(a.view(), b.view(), c.target(), d.target(), settings);
  };
  CHECK_REFUSES("reference", flow(none, image, rows, columns, {}));
  CHECK_REFUSES("frame", flow(image, other, rows, columns, {}));
  CHECK_REFUSES("rows", flow(image, image, wrong, columns, {}));
  CHECK_REFUSES("columns", flow(image, image, rows, wrong, {}));
  CHECK_REFUSES("window", flow(image, image, rows, columns, {.window = 20}));
  CHECK_REFUSES("iterations", flow(image, image, rows, columns, {.iterations = 0}));
}

TEMPLATE_TEST_CASE("Residual motion is how far a frame lies from the template", "[residual][truth]",
                   std::uint8_t, std::uint16_t, std::int16_t, float, double) {
  const Extent extent{160, 200};
  const MovingTexture texture(extent, 202);
  const auto movie = texture.movie<TestType>(path);
  const auto still_frame = texture.frame<float>({});
  for (const std::size_t binning : {0, 1, 2, 3}) {
    CAPTURE(binning);
    const ResidualSettings settings{.binning = binning, .reference = still_frame.view()};
    const auto before = residual_motion<TestType>(movie.view(), {}, settings, SerialExecutor());
    const auto after =
        residual_motion<TestType>(movie.view(), corrections(), settings, SerialExecutor());
    double worst = 0.0;
    double left = 0.0;
    for (std::size_t t = 0; t < path.size(); ++t) {
      const double length =
          std::hypot(static_cast<double>(path[t].height), static_cast<double>(path[t].width));
      worst = std::max(worst, std::abs(before[t] - length));
      left = std::max(left, after[t]);
    }
    CAPTURE(worst, left);
    CHECK(worst < length_tolerance);
    CHECK(left < still);
  }
}

TEST_CASE("Without a template it is the mean of the moved frames", "[residual]") {
  const MovingTexture texture({160, 200}, 203);
  const auto movie = texture.movie<float>(path);
  const auto shifts = corrections();
  const auto after = residual_motion<float>(movie.view(), shifts, {}, SerialExecutor());
  CHECK(*std::max_element(after.begin(), after.end()) < still);
  const auto before = residual_motion<float>(movie.view(), {}, {}, SerialExecutor());
  CHECK(*std::max_element(before.begin(), before.end()) > 1.0);
}

TEST_CASE("A gain, an offset and a factor of the movie change no residual motion", "[residual]") {
  const MovingTexture texture({120, 130}, 204);
  auto movie = texture.movie<float>(path);
  const auto reference = texture.frame<float>({});
  const ResidualSettings settings{.binning = 2, .reference = reference.view()};
  const auto plain = residual_motion<float>(movie.view(), {}, settings, SerialExecutor());
  for (float& pixel : movie.pixels) pixel = 3000.0F * pixel + 512.0F;
  const auto scaled = residual_motion<float>(movie.view(), {}, settings, SerialExecutor());
  constexpr double rounding = 1e-3;  // px
  for (std::size_t t = 0; t < path.size(); ++t) CHECK(std::abs(plain[t] - scaled[t]) < rounding);
}

TEST_CASE("Residual motion has the same bits on any executor", "[residual][tbb]") {
  const MovingTexture texture({90, 100}, 205);
  std::vector<PixelOffset> longer;
  for (std::size_t k = 0; k < 5; ++k) longer.insert(longer.end(), path.begin(), path.end());
  const auto movie = texture.movie<std::uint8_t>(longer);
  const auto serial = residual_motion<std::uint8_t>(movie.view(), {}, {}, SerialExecutor());
  for (const std::size_t threads : {1, 2, 7}) {
    CHECK(same_bits(serial,
                    residual_motion<std::uint8_t>(movie.view(), {}, {}, TbbExecutor(threads))));
  }
}

TEST_CASE("Residual motion has the same bits on plain threads", "[residual]") {
  const MovingTexture texture({90, 100}, 206);
  const auto movie = texture.movie<float>(path);
  const auto shifts = corrections();
  const auto serial = residual_motion<float>(movie.view(), shifts, {}, SerialExecutor());
  for (const std::size_t threads : {2, 7}) {
    CHECK(same_bits(
        serial, residual_motion<float>(movie.view(), shifts, {}, test::ThreadExecutor(threads))));
  }
}

TEST_CASE("Residual motion of strided views is that of a copy", "[residual]") {
  const MovingTexture texture({96, 110}, 207);
  const auto movie = texture.movie<float>(path);
  const MovieView<const float> turned(movie.pixels.data(), movie.frames, {110, 96}, 96 * 110, 1,
                                      110);
  test::Movie<float> copy(movie.frames, {110, 96});
  for (std::size_t t = 0; t < movie.frames; ++t) {
    for (std::size_t y = 0; y < 110; ++y) {
      for (std::size_t x = 0; x < 96; ++x) copy.target()[t](y, x) = turned[t](y, x);
    }
  }
  CHECK(same_bits(residual_motion<float>(turned, {}, {}, SerialExecutor()),
                  residual_motion<float>(copy.view(), {}, {}, SerialExecutor())));
}

TEST_CASE("Pixels that are not finite do not count", "[residual]") {
  const Extent extent{120, 140};
  const MovingTexture texture(extent, 208);
  auto movie = texture.movie<float>(path);
  auto reference = texture.frame<float>({});
  const ResidualSettings settings{.binning = 2, .reference = reference.view()};
  const auto whole = residual_motion<float>(movie.view(), {}, settings, SerialExecutor());
  for (std::size_t t = 0; t < path.size(); ++t) {
    for (std::size_t y = 30; y < 40; ++y) {
      for (std::size_t x = 50; x < 60; ++x) movie.target()[t](y, x) = static_cast<float>(unknown);
    }
  }
  for (std::size_t x = 0; x < extent.width; ++x) {
    reference(0, x) = reference(119, x) = std::numeric_limits<float>::infinity();
  }
  const auto holed = residual_motion<float>(movie.view(), {}, settings, SerialExecutor());
  constexpr double harm = 0.4;  // px; measured 0.22, for a motion of 13
  for (std::size_t t = 0; t < path.size(); ++t) CHECK(std::abs(whole[t] - holed[t]) < harm);
}

TEST_CASE("Where nothing can be compared there is no residual motion", "[residual]") {
  const Extent extent{60, 70};
  const MovingTexture texture(extent, 209);
  auto movie = texture.movie<float>(path);
  movie.set(2, test::Image<float>(extent, 5.0F));
  movie.set(3, test::Image<float>(extent, static_cast<float>(unknown)));
  ShiftList shifts(path.size());
  shifts[4] = {unknown, unknown};
  shifts[5] = {50.0, 0.0};
  const auto reference = texture.frame<float>({});
  const auto lengths = residual_motion<float>(
      movie.view(), shifts, {.binning = 1, .reference = reference.view()}, SerialExecutor());
  for (std::size_t t = 0; t < path.size(); ++t) {
    CAPTURE(t);
    CHECK(std::isnan(lengths[t]) == (t >= 2 && t <= 5));
  }
  const test::Image<float> nothing(extent, static_cast<float>(unknown));
  for (const double length :
       residual_motion<float>(movie.view(), {}, {.reference = nothing.view()}, SerialExecutor())) {
    CHECK(std::isnan(length));
  }
}

TEST_CASE("Residual motion refuses what does not fit, by name", "[residual][errors]") {
  const test::Movie<float> movie(3, {40, 50});
  const test::Movie<float> none(0, {40, 50});
  const test::Movie<float> small(3, {15, 50});
  const test::Image<float> reference({40, 51});
  const auto run = [](const test::Movie<float>& frames, std::size_t shifts,
                      const ResidualSettings& settings) {
    (void)residual_motion<float>(frames.view(), ShiftList(shifts), settings, SerialExecutor());
  };
  CHECK_REFUSES("movie", run(none, 0, {}));
  CHECK_REFUSES("shifts", run(movie, 2, {}));
  CHECK_REFUSES("binning", run(movie, 3, {.binning = 3}));
  CHECK_REFUSES("binning", run(small, 3, {}));
  CHECK_REFUSES("template", run(movie, 3, {.reference = reference.view()}));
}

}  // namespace
}  // namespace stillscope
