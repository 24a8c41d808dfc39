// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "stillscope/movie/apply_deformation.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/nonrigid/banded_matrix.hpp"
#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_field.hpp"
#include "support/catch.hpp"
#include "support/fields.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// px, of fields of up to 10 px; measured 2.4e-6 (float32's rounding).
constexpr double field_tolerance = 1e-5;
// Share of the pixels' range; measured 3e-6 (positions in float32).
constexpr double warp_tolerance = 2e-5;

// px, root mean square over positions inside; measured 0.056, of 16 frames.
constexpr double estimate_tolerance = 0.08;
// Relative; measured 1e-12.
constexpr double solve_tolerance = 1e-9;

using test::naive_field;
using test::random_coefficients;

/// Keys' kernel by its definition.
double keys_kernel(double u) {
  u = std::fabs(u);
  if (u < 1.0) return 1.0 + u * u * (1.5 * u - 2.5);
  if (u < 2.0) return 2.0 + u * (-4.0 + u * (2.5 - 0.5 * u));
  return 0.0;
}

double hat_kernel(double u) { return std::fmax(0.0, 1.0 - std::fabs(u)); }

/// A frame sampled at (y, x), from all pixels whose weight is not 0.
template <Pixel T>
double naive_sample(const test::Image<T>& image, double y, double x, bool is_cubic,
                    SampleBorder border, double fill) {
  const auto height = static_cast<double>(image.extent.height);
  const auto width = static_cast<double>(image.extent.width);
  if (border == SampleBorder::half_pixel &&
      (y < -0.5 || y > height - 0.5 || x < -0.5 || x > width - 0.5)) {
    return fill;
  }
  const auto kernel = is_cubic ? keys_kernel : hat_kernel;
  double sum = 0.0;
  for (double row = std::floor(y) - 1.0; row <= std::floor(y) + 2.0; row += 1.0) {
    for (double column = std::floor(x) - 1.0; column <= std::floor(x) + 2.0; column += 1.0) {
      const double weight = kernel(y - row) * kernel(x - column);
      if (weight == 0.0) continue;
      const bool is_inside = row >= 0.0 && row < height && column >= 0.0 && column < width;
      const auto at = [&](double r, double c) {
        return static_cast<double>(
            image(static_cast<std::size_t>(std::clamp(r, 0.0, height - 1.0)),
                  static_cast<std::size_t>(std::clamp(c, 0.0, width - 1.0))));
      };
      sum += weight * (is_inside || border != SampleBorder::constant ? at(row, column) : fill);
    }
  }
  return sum;
}

TEST_CASE("A control grid is that of ITK's BSplineTransformInitializer", "[nonrigid]") {
  // Fixed parameters that SimpleITK 2.5 states for (x, y) = (101, 77) and a mesh of (3, 2).
  const ControlGrid grid = ControlGrid::over({77, 101}, {2, 3});
  CHECK(grid.width.points() == 6);
  CHECK(grid.height.points() == 5);
  CHECK(grid.width.origin == -34.375);
  CHECK(grid.height.origin == -39.25);
  CHECK(grid.width.spacing == 33.75);
  CHECK(grid.height.spacing == 38.625);
  CHECK(grid.coefficients() == 60);
}

TEST_CASE("A grid by spacing has the nearest number of cells, at least 1", "[nonrigid]") {
  const ControlGrid grid = ControlGrid::with_spacing({608, 752}, 75.0);
  CHECK(grid.height.cells == 8);
  CHECK(grid.width.cells == 10);
  CHECK(ControlGrid::with_spacing({20, 5}, 75.0).height.cells == 1);
  CHECK(ControlGrid::with_spacing({4, 4}, 0.001).height.cells == 4);
}

TEST_CASE("Rows of a field are the sum over all control points", "[nonrigid]") {
  const std::uint64_t seed = 711;
  CAPTURE(seed);
  test::Random random(seed);
  double worst = 0.0;
  for (const Extent extent : {Extent{1, 1}, Extent{7, 5}, Extent{40, 33}, Extent{61, 100}}) {
    for (const Extent cells : {Extent{1, 1}, Extent{2, 3}, Extent{5, 1}, Extent{6, 9}}) {
      ControlGrid grid = ControlGrid::over(extent, cells);
      for (int variant = 0; variant < 3; ++variant) {
        // A mesh that does not cover the frame; binned positions.
        if (variant == 1) grid.width.origin += 3.3;
        const double step = variant == 2 ? 2.0 : 1.0;
        const Positions rows{0.5 * (step - 1.0), step,
                             static_cast<std::size_t>(static_cast<double>(extent.height) / step)};
        const Positions columns{0.5 * (step - 1.0), step,
                                static_cast<std::size_t>(static_cast<double>(extent.width) / step)};
        const auto c = random_coefficients(grid, 10.0, random);
        FieldRows field(grid, rows, columns);
        field.begin(c.data());
        for (std::size_t y = 0; y < rows.count; ++y) {
          field(y);
          for (std::size_t x = 0; x < columns.count; ++x) {
            const Displacement expected = naive_field(grid, c, rows[y], columns[x]);
            const Displacement single = field_at(grid, c.data(), rows[y], columns[x]);
            worst = std::fmax(
                worst, std::fabs(step * static_cast<double>(field.height()[x]) - expected.height));
            worst = std::fmax(
                worst, std::fabs(step * static_cast<double>(field.width()[x]) - expected.width));
            worst = std::fmax(worst, std::fabs(single.height - expected.height));
            worst = std::fmax(worst, std::fabs(single.width - expected.width));
          }
        }
      }
    }
  }
  CAPTURE(worst);
  CHECK(worst < field_tolerance);
}

TEMPLATE_TEST_CASE("A deformed frame is sampled where its field says", "[nonrigid]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 712;
  CAPTURE(seed);
  test::Random random(seed);
  const double range = std::is_same_v<TestType, std::uint16_t>  ? 65535.0
                       : std::is_same_v<TestType, std::int16_t> ? 32768.0
                                                                : 255.0;
  const double tolerance = warp_tolerance * range + (std::is_integral_v<TestType> ? 0.5 : 0.0);
  double worst = 0.0;
  for (const Extent extent :
       {Extent{1, 1}, Extent{1, 9}, Extent{9, 1}, Extent{13, 17}, Extent{40, 61}}) {
    const auto image = test::noise<TestType>(extent, random);
    // Cells of a pixel, too, whose small fields are calm and yet other at every pixel.
    for (const auto& [cells, size] : std::vector<std::pair<Extent, double>>{{{2, 3}, 0.0},
                                                                            {{2, 3}, 0.05},
                                                                            {{2, 3}, 0.3},
                                                                            {{2, 3}, 3.0},
                                                                            {{2, 3}, 30.0},
                                                                            {extent, 0.06},
                                                                            {extent, 0.3}}) {
      const ControlGrid grid = ControlGrid::over(extent, cells);
      const auto c = random_coefficients(grid, size, random);
      for (const bool is_cubic : {false, true}) {
        for (const auto border :
             {SampleBorder::constant, SampleBorder::nearest, SampleBorder::half_pixel}) {
          DeformSettings settings;
          settings.fill = 17.0;
          settings.interpolation = is_cubic ? Interpolation::cubic : Interpolation::linear;
          settings.border = border;
          test::Image<TestType> out(extent);
          apply_deformation<TestType>({image.pixels.data(), 1, extent}, grid, c,
                                      {out.pixels.data(), 1, extent}, settings, SerialExecutor());
          for (std::size_t y = 0; y < extent.height; ++y) {
            for (std::size_t x = 0; x < extent.width; ++x) {
              const double row = static_cast<double>(y);
              const double column = static_cast<double>(x);
              const Displacement u = naive_field(grid, c, row, column);
              double expected = naive_sample(image, row + u.height, column + u.width, is_cubic,
                                             border, settings.fill);
              if constexpr (std::is_integral_v<TestType>) {
                expected = std::clamp(expected,
                                      static_cast<double>(std::numeric_limits<TestType>::lowest()),
                                      static_cast<double>(std::numeric_limits<TestType>::max()));
              }
              worst =
                  std::fmax(worst, std::fabs(static_cast<double>(out(y, x)) - expected) / range);
              if (std::fabs(static_cast<double>(out(y, x)) - expected) > tolerance) {
                CAPTURE(extent, cells, size, is_cubic, static_cast<int>(border), y, x, u.height,
                        u.width);
                CHECK(static_cast<double>(out(y, x)) == expected);
              }
            }
          }
        }
      }
    }
  }
  CAPTURE(worst);
  CHECK(worst * range <= tolerance);
}

TEST_CASE("A constant field is a translation", "[nonrigid]") {
  const std::uint64_t seed = 713;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{45, 58};
  const auto image = test::noise<float>(extent, random);
  const ControlGrid grid = ControlGrid::over(extent, {2, 2});
  double worst = 0.0;
  for (const Shift shift : {Shift{0.0, 0.0}, Shift{3.0, -2.0}, Shift{-1.25, 0.75}}) {
    std::vector<double> c(grid.coefficients());
    std::fill_n(c.begin(), grid.points(), -shift.width);
    std::fill_n(c.begin() + static_cast<std::ptrdiff_t>(grid.points()), grid.points(),
                -shift.height);
    for (const Interpolation interpolation : {Interpolation::linear, Interpolation::cubic}) {
      for (const bool repeats : {false, true}) {
        ApplySettings rigid;
        rigid.interpolation = interpolation;
        rigid.border = repeats ? Border::nearest : Border::constant;
        DeformSettings local;
        local.interpolation = interpolation;
        local.border = repeats ? SampleBorder::nearest : SampleBorder::constant;
        test::Image<float> a(extent);
        test::Image<float> b(extent);
        apply_motion<float>({image.pixels.data(), 1, extent}, std::array{shift},
                            {a.pixels.data(), 1, extent}, rigid, SerialExecutor());
        apply_deformation<float>({image.pixels.data(), 1, extent}, grid, c,
                                 {b.pixels.data(), 1, extent}, local, SerialExecutor());
        for (std::size_t i = 0; i < a.pixels.size(); ++i) {
          worst = std::fmax(worst, std::fabs(static_cast<double>(a.pixels[i] - b.pixels[i])));
        }
      }
    }
  }
  CAPTURE(worst);
  CHECK(worst < 255.0 * warp_tolerance);
}

TEMPLATE_TEST_CASE("What is constant stays exactly so when it is deformed", "[nonrigid]",
                   STILLSCOPE_PIXELS) {
  const Extent extent{30, 41};
  const test::Image<TestType> image(extent, static_cast<TestType>(100));
  test::Random random(714);
  const ControlGrid grid = ControlGrid::over(extent, {3, 2});
  const auto c = random_coefficients(grid, 4.0, random);
  DeformSettings settings;
  settings.border = SampleBorder::nearest;
  settings.rounding = Rounding::truncate;
  test::Image<TestType> out(extent);
  apply_deformation<TestType>({image.pixels.data(), 1, extent}, grid, c,
                              {out.pixels.data(), 1, extent}, settings, SerialExecutor());
  CHECK(out.pixels == image.pixels);
}

TEST_CASE("A pixel that is no number spreads no further than its neighbours", "[nonrigid]") {
  const Extent extent{32, 32};
  test::Image<float> image(extent, 5.0F);
  image(16, 16) = static_cast<float>(nan);
  const ControlGrid grid = ControlGrid::over(extent, {2, 2});
  const auto holes = [&](double by) {
    const std::vector<double> c(grid.coefficients(), by);
    test::Image<float> out(extent);
    DeformSettings settings;
    settings.fill = nan;
    apply_deformation<float>({image.pixels.data(), 1, extent}, grid, c,
                             {out.pixels.data(), 1, extent}, settings, SerialExecutor());
    return std::count_if(out.pixels.begin(), out.pixels.end(),
                         [](float pixel) { return std::isnan(pixel); });
  };
  CHECK(holes(0.0) == 1);
  CHECK(holes(0.5) == 4 + 32 + 31);  // and the last row and column, which blend with fill
}

TEST_CASE("A frame without a finite field is fill throughout", "[nonrigid]") {
  const Extent extent{12, 10};
  const test::Image<float> image(extent, 5.0F);
  const ControlGrid grid = ControlGrid::over(extent, {1, 1});
  for (const double bad : {nan, std::numeric_limits<double>::infinity()}) {
    std::vector<double> c(grid.coefficients(), 0.0);
    c[7] = bad;
    test::Image<float> out(extent);
    DeformSettings settings;
    settings.fill = -3.0;
    apply_deformation<float>({image.pixels.data(), 1, extent}, grid, c,
                             {out.pixels.data(), 1, extent}, settings, SerialExecutor());
    CHECK(std::all_of(out.pixels.begin(), out.pixels.end(),
                      [](float pixel) { return pixel == -3.0F; }));
  }
}

TEST_CASE("Deforming honours strides and does not depend on the threads", "[nonrigid]") {
  const std::uint64_t seed = 715;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{37, 50};
  constexpr std::size_t frames = 9;
  const ControlGrid grid = ControlGrid::over(extent, {2, 3});
  test::Movie<float> movie(frames, extent);
  for (std::size_t i = 0; i < frames; ++i) movie.set(i, test::noise<float>(extent, random));
  std::vector<double> c;
  for (std::size_t i = 0; i < frames; ++i) {
    const auto one = random_coefficients(grid, 2.0, random);
    c.insert(c.end(), one.begin(), one.end());
  }
  test::Movie<float> serial(frames, extent);
  apply_deformation<float>(movie.view(), grid, c, serial.target(), {}, SerialExecutor());
  for (const std::size_t threads : {2U, 7U}) {
    test::Movie<float> other(frames, extent);
    apply_deformation<float>(movie.view(), grid, c, other.target(), {},
                             test::ThreadExecutor(threads));
    CHECK(other.pixels == serial.pixels);
  }
  // Columns along the slow axis, of input and output.
  std::vector<float> turned(movie.pixels.size());
  std::vector<float> result(movie.pixels.size());
  const auto stride = static_cast<std::ptrdiff_t>(extent.height);
  const auto area = static_cast<std::ptrdiff_t>(extent.area());
  const MovieView<float> from(turned.data(), frames, extent, area, 1, stride);
  const MovieView<float> to(result.data(), frames, extent, area, 1, stride);
  for (std::size_t i = 0; i < frames; ++i) {
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) from[i](y, x) = movie[i](y, x);
    }
  }
  apply_deformation<float>(from, grid, c, to, {}, SerialExecutor());
  bool is_same = true;
  for (std::size_t i = 0; i < frames; ++i) {
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        is_same = is_same && to[i](y, x) == serial[i](y, x);
      }
    }
  }
  CHECK(is_same);
}

TEST_CASE("Deforming refuses what does not fit", "[nonrigid]") {
  const Extent extent{12, 10};
  const test::Movie<std::uint8_t> movie(2, extent);
  test::Movie<std::uint8_t> out(2, extent);
  test::Movie<std::uint8_t> less(1, extent);
  const ControlGrid grid = ControlGrid::over(extent, {1, 1});
  const std::vector<double> c(2 * grid.coefficients());
  const auto apply = [&](const ControlGrid& g, std::size_t size, test::Movie<std::uint8_t>& to,
                         const DeformSettings& settings) {
    apply_deformation<std::uint8_t>(movie.view(), g, std::span(c).first(size), to.target(),
                                    settings, SerialExecutor());
  };
  CHECK_REFUSES("coefficients", apply(grid, c.size() - 1, out, {}));
  CHECK_REFUSES("out", apply(grid, c.size(), less, {}));
  DeformSettings settings;
  settings.fill = 256.0;
  CHECK_REFUSES("fill", apply(grid, c.size(), out, settings));
  settings = {};
  settings.binning.width = 0.0;
  CHECK_REFUSES("binning", apply(grid, c.size(), out, settings));
  ControlGrid bad = grid;
  bad.width.spacing = 0.0;
  CHECK_REFUSES("grid", apply(bad, c.size(), out, {}));
}

/// Frames of a texture that is deformed by fields, which it knows at the template's positions.
struct DeformingMovie {
  static constexpr std::size_t frames = 16;
  Extent extent{176, 192};
  ControlGrid grid = ControlGrid::over(extent, {2, 2});
  std::vector<double> coefficients;
  test::Movie<float> movie{frames, extent};

  explicit DeformingMovie(double size) {
    test::Random random(721);
    const auto scene = test::texture(extent, 2, random);
    std::vector<double> mean(grid.coefficients());
    for (std::size_t i = 0; i < frames; ++i) {
      const auto one = random_coefficients(grid, size, random);
      for (std::size_t k = 0; k < one.size(); ++k) {
        mean[k] += one[k] / static_cast<double>(frames);
      }
      coefficients.insert(coefficients.end(), one.begin(), one.end());
    }
    for (std::size_t i = 0; i < frames; ++i) {
      double* c = &coefficients[i * mean.size()];
      for (std::size_t k = 0; k < mean.size(); ++k) c[k] -= mean[k];
      const Shift shift{random.uniform(-3.0, 3.0), random.uniform(-3.0, 3.0)};
      test::Image<float> frame(extent);
      for (std::size_t y = 0; y < extent.height; ++y) {
        for (std::size_t x = 0; x < extent.width; ++x) {
          // frame(p) = scene(q) where p = q + u(q), by fixed point.
          double row = static_cast<double>(y);
          double column = static_cast<double>(x);
          for (int k = 0; k < 6; ++k) {
            const Displacement u =
                field_at(grid, c, std::clamp(row, 0.0, 175.0), std::clamp(column, 0.0, 191.0));
            row = static_cast<double>(y) - u.height + shift.height;
            column = static_cast<double>(x) - u.width + shift.width;
          }
          frame(y, x) =
              static_cast<float>(10.0 * periodic(scene, row, column) + 100.0 + random.normal());
        }
      }
      for (std::size_t k = 0; k < grid.points(); ++k) {
        c[k] -= shift.width;
        c[grid.points() + k] -= shift.height;
      }
      movie.set(i, frame);
    }
  }

  /// By Keys' kernel, circular.
  static double periodic(const test::Image<double>& image, double y, double x) {
    const auto top = static_cast<std::ptrdiff_t>(std::floor(y));
    const auto left = static_cast<std::ptrdiff_t>(std::floor(x));
    double sum = 0.0;
    for (std::ptrdiff_t j = top - 1; j <= top + 2; ++j) {
      for (std::ptrdiff_t k = left - 1; k <= left + 2; ++k) {
        sum += keys_kernel(y - static_cast<double>(j)) * keys_kernel(x - static_cast<double>(k)) *
               image.wrapped(j, k);
      }
    }
    return sum;
  }

  /// Root mean square error of fields inside, the mean over frames removed [px].
  double error(const Deformation& found) const {
    double squares = 0.0;
    double count = 0.0;
    for (double y = 32.0; y < 144.0; y += 16.0) {
      for (double x = 32.0; x < 160.0; x += 16.0) {
        std::array<Displacement, frames> apart;
        Displacement mean;
        for (std::size_t i = 0; i < frames; ++i) {
          const Displacement a =
              field_at(found.grid, &found.coefficients[i * found.grid.coefficients()], y, x);
          const Displacement b = field_at(grid, &coefficients[i * grid.coefficients()], y, x);
          apart[i] = {a.height - b.height, a.width - b.width};
          mean.height += apart[i].height / static_cast<double>(frames);
          mean.width += apart[i].width / static_cast<double>(frames);
        }
        for (const Displacement& d : apart) {
          squares += (d.height - mean.height) * (d.height - mean.height) +
                     (d.width - mean.width) * (d.width - mean.width);
          count += 2.0;
        }
      }
    }
    return std::sqrt(squares / count);
  }
};

TEST_CASE("Fields of a deforming movie are found, on any number of threads", "[nonrigid]") {
  const DeformingMovie made(2.5);
  EstimateSettings settings;
  settings.nonrigid.method = NonrigidMethod::spline;
  const MovieMotion motion = estimate_motion<float>(made.movie.view(), settings, SerialExecutor());
  REQUIRE(motion.deformation);
  CHECK_FALSE(motion.deformation->is_rigid);
  const double error = made.error(*motion.deformation);
  CAPTURE(error);
  CHECK(error < estimate_tolerance);
  for (const std::size_t threads : {2U, 7U}) {
    const MovieMotion other =
        estimate_motion<float>(made.movie.view(), settings, test::ThreadExecutor(threads));
    CHECK(other.deformation->coefficients == motion.deformation->coefficients);
    CHECK(std::equal(other.mean.data(), other.mean.data() + made.extent.area(), motion.mean.data(),
                     [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
  }
}

TEST_CASE("Fields of a movie that does not deform are its shifts", "[nonrigid]") {
  const DeformingMovie made(0.0);
  EstimateSettings settings;
  const MovieMotion rigid = estimate_motion<float>(made.movie.view(), settings, SerialExecutor());
  settings.nonrigid.method = NonrigidMethod::spline;
  const MovieMotion motion = estimate_motion<float>(made.movie.view(), settings, SerialExecutor());
  REQUIRE(motion.deformation);
  CHECK(motion.deformation->is_rigid);
  CHECK(motion.shifts == rigid.shifts);
  const std::size_t points = motion.deformation->grid.points();
  for (std::size_t i = 0; i < motion.shifts.size(); ++i) {
    CHECK(motion.deformation->coefficients[2 * i * points] == -rigid.shifts[i].width);
    CHECK(motion.deformation->coefficients[(2 * i + 1) * points] == -rigid.shifts[i].height);
  }
}

TEST_CASE("A banded factor solves what the matrix multiplies", "[nonrigid]") {
  test::Random random(722);
  for (const std::size_t n : {1U, 2U, 7U, 40U}) {
    for (const std::size_t band : {0U, 1U, 5U}) {
      BandedMatrix matrix(n, band);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i - std::min(i, matrix.band()); j < i; ++j) {
          matrix(i, j) = random.uniform(-1.0, 1.0);
        }
        matrix(i, i) = 12.0;
      }
      std::vector<double> x(n);
      for (double& value : x) value = random.normal();
      std::vector<double> b(n);
      matrix.multiply(1.0, x, b);
      BandedCholesky(matrix).solve(b);
      for (std::size_t i = 0; i < n; ++i) CHECK(std::fabs(b[i] - x[i]) < solve_tolerance);
    }
  }
}

TEST_CASE("Unusable options of the deformation are refused", "[nonrigid]") {
  const auto validate = [](auto&& change) {
    EstimateSettings settings;
    settings.nonrigid.method = NonrigidMethod::spline;
    change(settings);
    settings.validate(5, {40, 40});
  };
  CHECK_REFUSES("spacing", validate([](auto& s) { s.nonrigid.spacing = 2.0; }));
  CHECK_REFUSES("spacing", validate([](auto& s) { s.nonrigid.spacing = nan; }));
  CHECK_REFUSES("mesh_size", validate([](auto& s) { s.nonrigid.cells = Extent{0, 3}; }));
  CHECK_REFUSES("expected", validate([](auto& s) { s.nonrigid.expected = 0.0; }));
  CHECK_REFUSES("passes", validate([](auto& s) { s.nonrigid.passes = 0; }));
  CHECK_REFUSES("nonrigid", validate([](auto& s) { s.refine.passes = 0; }));
  CHECK_REFUSES("nonrigid", validate([](auto& s) { s.filter.region = Area{0, 20, 0, 20}; }));
}

}  // namespace
}  // namespace stillscope
