// SPDX-License-Identifier: GPL-3.0-or-later
/// What fields are fitted with, one class at a time: against dense matrices and direct sums.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "stillscope/nonrigid/banded_matrix.hpp"
#include "stillscope/nonrigid/deformation_fitter.hpp"
#include "stillscope/nonrigid/deformation_lattice.hpp"
#include "stillscope/nonrigid/deformation_prior.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/nonrigid/deformed_mean.hpp"
#include "stillscope/nonrigid/field_measures.hpp"
#include "stillscope/nonrigid/patch_search.hpp"
#include "support/catch.hpp"
#include "support/fields.hpp"
#include "support/images.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

// Relative to the largest entry: of matrices that are sums in another order. Measured 7e-13.
constexpr double matrix_tolerance = 1e-11;
// Relative to the largest unknown: of systems solved by another method. Measured 1.8e-13.
constexpr double solve_tolerance = 1e-10;
// Relative, of standard errors. Measured 1.1e-13.
constexpr double error_tolerance = 1e-10;
// px, px^2: of fields of up to 3 px at corners. Measured 2e-16.
constexpr double measure_tolerance = 1e-13;
// px, of a step of up to 1.8 px, from sums in double in place of float32. Measured 1.9e-6.
constexpr double step_tolerance = 2e-5;
// px, root mean square inside the template, of fields in noise. Measured 0.033 at whole pixels,
// 0.047 at pooled ones, 0.032 by way of patches.
constexpr double field_tolerance = 0.08;
// px, of patches alone. Measured 0.22.
constexpr double patches_tolerance = 0.35;
// px, between fields of the same frame with another gain and offset. Measured 3.5e-6.
constexpr double brightness_tolerance = 1e-4;
// Relative, and grey levels. Measured 0.059 and 0.02: between pixels, frames are smoothed.
constexpr double gain_tolerance = 0.08;
constexpr double offset_tolerance = 0.1;
// Measured 0.997.
constexpr double least_similarity = 0.99;
// Share of a pixel's value: of a frame sampled in float32. Measured 1.7e-7.
constexpr double sample_tolerance = 2e-6;
// px, of patches' places from sums in float32. Measured 1.8e-6.
constexpr double patch_tolerance = 1e-4;
// Relative: of means of eight planes at a time in float32. Measured 1.3e-7.
constexpr double mean_tolerance = 1e-6;
// Of the mean square of a field on which halves of the pixels agree: relative, and of none [px^2].
// Measured 0.087, 4e-5.
constexpr double agreed_tolerance = 0.15;
constexpr double still_tolerance = 1e-3;

// --- dense matrices ------------------------------------------------------------------------------

struct Dense {
  std::size_t n;
  std::vector<double> values;

  explicit Dense(std::size_t size) : n(size), values(size * size) {}
  double& operator()(std::size_t i, std::size_t j) { return values[i * n + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * n + j]; }

  void add(double factor, const BandedMatrix& other) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i - std::min(i, other.band()); j <= i; ++j) {
        (*this)(i, j) += factor * other(i, j);
        if (i != j) (*this)(j, i) += factor * other(i, j);
      }
    }
  }
  [[nodiscard]] double largest() const {
    double result = 0.0;
    for (const double value : values) result = std::fmax(result, std::fabs(value));
    return result;
  }
  /// By elimination with pivots.
  [[nodiscard]] std::vector<double> solve(std::vector<double> b) const {
    Dense a = *this;
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t top = k;
      for (std::size_t i = k + 1; i < n; ++i) {
        if (std::fabs(a(i, k)) > std::fabs(a(top, k))) top = i;
      }
      for (std::size_t j = 0; j < n; ++j) std::swap(a(k, j), a(top, j));
      std::swap(b[k], b[top]);
      for (std::size_t i = k + 1; i < n; ++i) {
        const double factor = a(i, k) / a(k, k);
        for (std::size_t j = k; j < n; ++j) a(i, j) -= factor * a(k, j);
        b[i] -= factor * b[k];
      }
    }
    for (std::size_t k = n; k-- > 0;) {
      for (std::size_t j = k + 1; j < n; ++j) b[k] -= a(k, j) * b[j];
      b[k] /= a(k, k);
    }
    return b;
  }
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The largest difference between two lists over the largest value of the second.
double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0.0;
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::fmax(worst, std::fabs(a[i] - b[i]));
    largest = std::fmax(largest, std::fabs(b[i]));
  }
  return worst / largest;
}

/// The largest difference between a banded matrix and a dense one over the largest entry; what lies
/// outside the band counts as 0.
double apart(const BandedMatrix& a, const Dense& b) {
  Dense dense(b.n);
  dense.add(1.0, a);
  return apart(dense.values, b.values);
}

// --- what they are made of -----------------------------------------------------------------------

/// Of control points, from their shares along both axes.
std::vector<double> products(const std::vector<double>& down, const std::vector<double>& along) {
  std::vector<double> shares;
  for (const double a : down) {
    for (const double b : along) shares.push_back(a * b);
  }
  return shares;
}

/// Of the unknowns along one axis, at a corner of the mesh's cells: shares of the control points.
std::vector<double> corner_shares(const ControlGrid& grid, std::size_t row, std::size_t column) {
  const auto down = test::shares_at(
      grid.height, grid.height.origin + grid.height.spacing * static_cast<double>(row + 1));
  const auto along = test::shares_at(
      grid.width, grid.width.origin + grid.width.spacing * static_cast<double>(column + 1));
  return products(down, along);
}

/// The differences of a plane, (rows, columns), `order` times along its rows or its columns.
std::vector<double> differences(std::vector<double> plane, Extent& size, bool is_down,
                                std::size_t order) {
  for (; order > 0; --order) {
    const Extent less{size.height - (is_down ? 1 : 0), size.width - (is_down ? 0 : 1)};
    std::vector<double> result(less.area());
    for (std::size_t y = 0; y < less.height; ++y) {
      for (std::size_t x = 0; x < less.width; ++x) {
        const std::size_t at = y * size.width + x;
        result[y * less.width + x] = plane[at + (is_down ? size.width : 1)] - plane[at];
      }
    }
    plane = std::move(result);
    size = less;
  }
  return plane;
}

/// The energy of the prior before it is scaled, of one axis' control points: docs/algorithm.md.
double plain_energy(const std::vector<double>& plane, Extent size) {
  constexpr std::array<double, 4> weights = {0.002, 0.03, 0.1, 1.0};
  constexpr double binomials[4][4] = {{1.0}, {1.0, 1.0}, {1.0, 2.0, 1.0}, {1.0, 3.0, 3.0, 1.0}};
  double energy = 0.0;
  for (std::size_t order = 0; order < 4; ++order) {
    for (std::size_t down = 0; down <= order; ++down) {
      if (size.height <= down || size.width <= order - down) continue;
      Extent left = size;
      auto rest = differences(plane, left, true, down);
      rest = differences(std::move(rest), left, false, order - down);
      energy += weights[order] * binomials[order][down] * dot(rest, rest);
    }
  }
  return energy;
}

/// The matrix of `plain_energy`.
Dense plain_prior(Extent size) {
  Dense matrix(size.area());
  const auto energy_of = [&](std::size_t i, std::size_t j) {
    std::vector<double> plane(size.area());
    plane[i] += 1.0;
    plane[j] += 1.0;
    return plain_energy(plane, size);
  };
  for (std::size_t i = 0; i < matrix.n; ++i) {
    for (std::size_t j = 0; j < matrix.n; ++j) {
      // The energy of e_i + e_j is R_ii + 2 R_ij + R_jj; that of 2 e_i is 4 R_ii.
      matrix(i, j) = 0.5 * (energy_of(i, j) - 0.25 * (energy_of(i, i) + energy_of(j, j)));
    }
  }
  return matrix;
}

/// A lattice, its prior, and a template of waves on it that is believed but for a border
/// [pooled px].
struct Ready {
  static constexpr double highpass = 16.0;
  static constexpr double lowpass = 1.0;

  ControlGrid grid;
  DeformationLattice lattice;
  DeformationPrior prior;
  test::Random random;
  test::Waves scene;
  test::Image<float> mean;
  Area believed;
  std::vector<float> weights;
  DeformationTemplate reference;

  Ready(Extent frame, Extent cells, std::size_t pooling, double noise, std::uint64_t seed,
        std::ptrdiff_t border = 0, bool has_weights = false)
      : grid(ControlGrid::over(frame, cells)),
        lattice(frame, grid, pooling),
        prior(lattice),
        random(seed),
        scene(random),
        mean(scene.pooled(frame, pooling)),
        believed(Area::of(lattice.pooled()).inset(border)),
        weights(has_weights ? some_weights() : std::vector<float>{}),
        reference(lattice, prior, mean.view(), believed, weights, highpass, lowpass, noise,
                  SerialExecutor()) {}

  std::vector<float> some_weights() {
    std::vector<float> result(lattice.pooled().area());
    for (float& weight : result) weight = static_cast<float>(random.uniform());
    return result;
  }

  /// The unknowns of coefficients.
  [[nodiscard]] std::vector<double> unknowns(const std::vector<double>& c) const {
    std::vector<double> result(c.size());
    for (std::size_t i = 0; i < grid.points(); ++i) {
      result[2 * i] = c[i];
      result[2 * i + 1] = c[grid.points() + i];
    }
    return result;
  }

  /// The shares of all control points in a block, at its middle.
  [[nodiscard]] std::vector<double> block_shares(std::size_t row, std::size_t column) const {
    const auto middle = [&](std::size_t i, std::size_t pixels) {
      const std::size_t begin = i * lattice.block();
      const std::size_t end = std::min(begin + lattice.block(), pixels);
      // Pixel k of those that are pooled covers the pixels from k pooling on.
      return 0.5 * (static_cast<double>(begin * lattice.pooling()) +
                    static_cast<double>(end * lattice.pooling() - 1));
    };
    const auto down = test::shares_at(grid.height, middle(row, lattice.pooled().height));
    const auto along = test::shares_at(grid.width, middle(column, lattice.pooled().width));
    return products(down, along);
  }

  /// The pixels of a block that are compared.
  [[nodiscard]] Area block_area(std::size_t row, std::size_t column) const {
    const auto side = static_cast<std::ptrdiff_t>(lattice.block());
    const auto i = static_cast<std::ptrdiff_t>(row);
    const auto j = static_cast<std::ptrdiff_t>(column);
    return Area{i * side, (i + 1) * side, j * side, (j + 1) * side} & reference.area();
  }

  /// The normal matrix of the blocks of one colour of a chessboard, or of all (2), whose gradients
  /// are the template's.
  [[nodiscard]] Dense normal(std::size_t colour) const {
    Dense matrix(lattice.unknowns());
    const ReferenceTemplate plain(mean.view(), believed, weights,
                                  highpass / static_cast<double>(lattice.pooling()),
                                  lowpass / static_cast<double>(lattice.pooling()));
    for (std::size_t i = 0; i < lattice.blocks().height; ++i) {
      for (std::size_t j = 0; j < lattice.blocks().width; ++j) {
        const Area area = block_area(i, j);
        if (area.is_empty() || (colour < 2 && (i + j) % 2 != colour)) continue;
        // Of gradients a pixel, not a pooled one.
        const double unit = 1.0 / static_cast<double>(lattice.pooling() * lattice.pooling());
        Normal sums = plain.normal(area);
        for (double* sum : {&sums.hh, &sums.hw, &sums.wh, &sums.ww}) *sum *= unit;
        double mixed = 0.5 * (sums.hw + sums.wh);
        // Along its axes, no less than nothing.
        const double angle = 0.5 * std::atan2(2.0 * mixed, sums.hh - sums.ww);
        const double c = std::cos(angle);
        const double s = std::sin(angle);
        const double high = std::fmax(c * c * sums.hh + 2.0 * c * s * mixed + s * s * sums.ww, 0.0);
        const double low = std::fmax(s * s * sums.hh - 2.0 * c * s * mixed + c * c * sums.ww, 0.0);
        sums.hh = c * c * high + s * s * low;
        sums.ww = s * s * high + c * c * low;
        mixed = c * s * (high - low);
        const auto shares = block_shares(i, j);
        for (std::size_t a = 0; a < shares.size(); ++a) {
          for (std::size_t b = 0; b < shares.size(); ++b) {
            const double share = shares[a] * shares[b];
            matrix(2 * a, 2 * b) += share * sums.ww;
            matrix(2 * a, 2 * b + 1) += share * mixed;
            matrix(2 * a + 1, 2 * b) += share * mixed;
            matrix(2 * a + 1, 2 * b + 1) += share * sums.hh;
          }
        }
      }
    }
    return matrix;
  }
  /// The matrix of Eq. (12).
  [[nodiscard]] Dense system(std::size_t step) const {
    Dense matrix = normal(2);
    matrix.add(reference.weight(step), prior.energy());
    return matrix;
  }

  /// Root mean square over the believed part of the difference of a fit's field and another [px].
  [[nodiscard]] double error(const DeformationFit& fit, const std::vector<double>& c) const {
    std::vector<double> found(c.size());
    lattice.to_coefficients(fit.deviation, fit.shift, found);
    double squares = 0.0;
    double count = 0.0;
    for (double y = 24.0; y < static_cast<double>(lattice.frame().height) - 24.0; y += 8.0) {
      for (double x = 24.0; x < static_cast<double>(lattice.frame().width) - 24.0; x += 8.0) {
        const Displacement a = test::naive_field(grid, found, y, x);
        const Displacement b = test::naive_field(grid, c, y, x);
        squares += (a.height - b.height) * (a.height - b.height) +
                   (a.width - b.width) * (a.width - b.width);
        count += 2.0;
      }
    }
    return std::sqrt(squares / count);
  }

  /// What a frame is where a field says [pooled px], bilinearly, less the level; NaN outside.
  [[nodiscard]] double sampled(const test::Image<float>& frame, const std::vector<double>& c,
                               std::size_t y, std::size_t x) const {
    const auto side = static_cast<double>(lattice.pooling());
    const auto centre = [&](std::size_t i) {
      return side * static_cast<double>(i) + 0.5 * (side - 1.0);
    };
    const Displacement u = test::naive_field(grid, c, centre(y), centre(x));
    const double row = static_cast<double>(y) + u.height / side;
    const double column = static_cast<double>(x) + u.width / side;
    const double top = std::floor(row);
    const double left = std::floor(column);
    double sum = 0.0;
    for (double i = top; i <= top + 1.0; i += 1.0) {
      for (double j = left; j <= left + 1.0; j += 1.0) {
        const double share = (1.0 - std::fabs(row - i)) * (1.0 - std::fabs(column - j));
        if (share == 0.0) continue;
        const bool is_inside = i >= 0.0 && i < static_cast<double>(frame.extent.height) &&
                               j >= 0.0 && j < static_cast<double>(frame.extent.width);
        if (!is_inside) return std::numeric_limits<double>::quiet_NaN();
        sum +=
            share *
            (static_cast<double>(frame(static_cast<std::size_t>(i), static_cast<std::size_t>(j))) -
             reference.level());
      }
    }
    return sum;
  }
};

/// A frame's pixels as a lattice pools them.
test::Image<float> pooled(const test::Image<float>& frame, std::size_t side) {
  test::Image<float> result({frame.extent.height / side, frame.extent.width / side});
  for (std::size_t y = 0; y < result.extent.height; ++y) {
    for (std::size_t x = 0; x < result.extent.width; ++x) {
      double sum = 0.0;
      for (std::size_t k = 0; k < side * side; ++k) {
        sum += static_cast<double>(frame(y * side + k / side, x * side + k % side));
      }
      result(y, x) = static_cast<float>(sum / static_cast<double>(side * side));
    }
  }
  return result;
}

// --- matrices, prior, template -------------------------------------------------------------------

TEST_CASE("A banded factor solves what elimination solves", "[nonrigid][deformation]") {
  const std::uint64_t seed = 731;
  CAPTURE(seed);
  test::Random random(seed);
  double worst = 0.0;
  for (const std::size_t n : {1U, 2U, 9U, 33U}) {
    for (const std::size_t band : {0U, 1U, 4U, 40U}) {
      BandedMatrix matrix(n, band);
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i - std::min(i, matrix.band()); j < i; ++j) {
          matrix(i, j) = random.uniform(-1.0, 1.0);
        }
        matrix(i, i) = 1.0 + 2.0 * static_cast<double>(matrix.band());
      }
      Dense dense(n);
      dense.add(1.0, matrix);
      std::vector<double> b(n);
      for (double& value : b) value = random.normal();
      std::vector<double> x = b;
      const BandedCholesky factor(matrix);
      factor.solve(x);
      worst = std::fmax(worst, apart(x, dense.solve(b)));
      // |L^-1 b|^2 = b^t A^-1 b.
      std::vector<double> half = b;
      factor.solve_lower(half);
      worst = std::fmax(worst, std::fabs(dot(half, half) / dot(b, x) - 1.0));
    }
  }
  CAPTURE(worst);
  CHECK(worst < solve_tolerance);
}

TEST_CASE("An unknown that a banded matrix says nothing of is 0", "[nonrigid][deformation]") {
  BandedMatrix matrix(3, 1);
  matrix(0, 0) = 4.0;
  matrix(2, 2) = 2.0;
  std::vector<double> x = {8.0, 5.0, 6.0};
  BandedCholesky(matrix).solve(x);
  CHECK(apart(x, {2.0, 0.0, 3.0}) < solve_tolerance);
  CHECK(x[1] == 0.0);
}

TEST_CASE("Fields are measured at the corners of the mesh's cells", "[nonrigid][deformation]") {
  const std::uint64_t seed = 743;
  CAPTURE(seed);
  test::Random random(seed);
  double worst = 0.0;
  for (const Extent cells : {Extent{1, 1}, Extent{3, 2}, Extent{4, 7}}) {
    const ControlGrid grid = ControlGrid::over({90, 130}, cells);
    const DeformationLattice lattice({90, 130}, grid, 2);
    // As unknowns, from coefficients: two a control point.
    const auto a = test::random_coefficients(grid, 3.0, random);
    const auto b = test::random_coefficients(grid, 3.0, random);
    const auto unknowns = [&](const std::vector<double>& c) {
      std::vector<double> result(c.size());
      for (std::size_t k = 0; k < c.size(); ++k) {
        result[2 * (k % grid.points()) + k / grid.points()] = c[k];
      }
      std::vector<double> back(c.size());
      lattice.to_coefficients(result, back);
      CHECK(back == c);
      return result;
    };
    const auto in_a = unknowns(a);
    const auto in_b = unknowns(b);
    double longest = 0.0;
    double squares = 0.0;
    double highest = 0.0;
    double products = 0.0;
    Displacement mean_a;
    Displacement mean_b;
    const Extent corners = lattice.corners();
    const auto count = static_cast<double>(corners.area());
    for (std::size_t row = 0; row < corners.height; ++row) {
      for (std::size_t column = 0; column < corners.width; ++column) {
        const double y = grid.height.origin + grid.height.spacing * static_cast<double>(row + 1);
        const double x = grid.width.origin + grid.width.spacing * static_cast<double>(column + 1);
        // Not beyond the mesh by rounding.
        const auto inside = [](double at, double size) { return std::clamp(at, -0.625, size); };
        const Displacement u = test::naive_field(grid, a, inside(y, 89.625), inside(x, 129.625));
        const Displacement v = test::naive_field(grid, b, inside(y, 89.625), inside(x, 129.625));
        worst = std::fmax(worst, std::fabs(lattice.at_corner(in_a, row, column, 0) - u.width));
        worst = std::fmax(worst, std::fabs(lattice.at_corner(in_a, row, column, 1) - u.height));
        longest = std::fmax(longest, std::fmax(std::fabs(u.height), std::fabs(u.width)));
        squares += 0.5 * (u.height * u.height + u.width * u.width) / count;
        const double product = 0.5 * (u.height * v.height + u.width * v.width);
        highest = std::fmax(highest, product);
        products += product / count;
        mean_a = {mean_a.height + u.height / count, mean_a.width + u.width / count};
        mean_b = {mean_b.height + v.height / count, mean_b.width + v.width / count};
      }
    }
    products -= 0.5 * (mean_a.height * mean_b.height + mean_a.width * mean_b.width);
    const FieldLength length = length_of(lattice, in_a);
    worst = std::fmax(worst, std::fabs(length.longest - longest));
    worst = std::fmax(worst, std::fabs(length.usual - std::sqrt(squares)));
    worst = std::fmax(worst, std::fabs(mean_product(lattice, in_a, in_b) - products));
    worst = std::fmax(worst, std::fabs(highest_product(lattice, in_a, in_b) - highest));
  }
  CAPTURE(worst);
  CHECK(worst < measure_tolerance);
}

TEST_CASE("The prior is the energy of differences, of fields of 1 px", "[nonrigid][deformation]") {
  double worst = 0.0;
  for (const Extent cells : {Extent{1, 1}, Extent{1, 4}, Extent{2, 3}, Extent{5, 4}}) {
    CAPTURE(cells);
    const ControlGrid grid = ControlGrid::over({160, 200}, cells);
    const DeformationLattice lattice({160, 200}, grid, 1);
    const DeformationPrior prior(lattice);
    const Dense plain = plain_prior({grid.height.points(), grid.width.points()});
    // Fields of which the energy is minus twice the log probability have the covariance R^-1.
    std::vector<std::vector<double>> maps;
    std::vector<double> mean(plain.n);
    for (std::size_t row = 0; row <= cells.height; ++row) {
      for (std::size_t column = 0; column <= cells.width; ++column) {
        maps.push_back(corner_shares(grid, row, column));
        for (std::size_t i = 0; i < plain.n; ++i) mean[i] += maps.back()[i];
      }
    }
    double variance = 0.0;
    for (auto& map : maps) {
      const auto count = static_cast<double>(maps.size());
      for (std::size_t i = 0; i < plain.n; ++i) map[i] -= mean[i] / count;
      variance += dot(map, plain.solve(map)) / count;
    }
    Dense expected(lattice.unknowns());
    for (std::size_t i = 0; i < plain.n; ++i) {
      for (std::size_t j = 0; j < plain.n; ++j) {
        expected(2 * i, 2 * j) = variance * plain(i, j);
        expected(2 * i + 1, 2 * j + 1) = variance * plain(i, j);
      }
    }
    worst = std::fmax(worst, apart(prior.energy(), expected));
  }
  CAPTURE(worst);
  CHECK(worst < matrix_tolerance);
}

TEST_CASE("A template's normal matrix is the sum over its blocks", "[nonrigid][deformation]") {
  const std::uint64_t seed = 732;
  CAPTURE(seed);
  test::Random random(seed);
  double matrices = 0.0;
  double solutions = 0.0;
  double errors = 0.0;
  for (const bool has_weights : {false, true}) {
    for (const std::size_t pooling : {1U, 2U}) {
      // Not whole numbers of blocks, nor of pooled pixels.
      const Ready ready({101, 135}, {2, 3}, pooling, 3.0, seed + pooling, 9, has_weights);
      CAPTURE(has_weights, pooling);
      for (const std::size_t colour : {0U, 1U}) {
        matrices = std::fmax(matrices, apart(ready.reference.half(colour), ready.normal(colour)));
      }
      for (const std::size_t step : {0U, 5U, 8U}) {
        const Dense system = ready.system(step);
        std::vector<double> b(ready.lattice.unknowns());
        for (double& value : b) value = random.normal();
        std::vector<double> x = b;
        ready.reference.factor(step).solve(x);
        solutions = std::fmax(solutions, apart(x, system.solve(b)));
        const std::vector<double> found = ready.reference.errors(step, SerialExecutor());
        const Extent corners = ready.lattice.corners();
        REQUIRE(found.size() == corners.area());
        for (std::size_t k = 0; k < found.size(); ++k) {
          const auto shares = corner_shares(ready.grid, k / corners.width, k % corners.width);
          double variance = 0.0;
          for (std::size_t axis = 0; axis < 2; ++axis) {
            std::vector<double> map(ready.lattice.unknowns());
            for (std::size_t i = 0; i < shares.size(); ++i) map[2 * i + axis] = shares[i];
            variance += 0.5 * dot(map, system.solve(map));
          }
          errors = std::fmax(errors, std::fabs(found[k] / (3.0 * std::sqrt(variance)) - 1.0));
        }
      }
    }
  }
  CAPTURE(matrices, solutions, errors);
  CHECK(matrices < matrix_tolerance);
  CHECK(solutions < solve_tolerance);
  CHECK(errors < error_tolerance);
}

TEST_CASE("A template's detail counts where it is believed alone", "[nonrigid][deformation]") {
  const Ready ready({96, 112}, {2, 2}, 1, 1.0, 733, 7);
  const Area& area = ready.reference.area();
  CHECK(area == (ready.believed & Area::of(ready.lattice.pooled()).inset(2)));
  const Extent blocks = ready.lattice.blocks();
  std::vector<DeformationTemplate::BlockDetail> sums(blocks.area());
  for (std::size_t y = 0; y < ready.mean.extent.height; ++y) {
    for (std::size_t x = 0; x < ready.mean.extent.width; ++x) {
      const auto row = static_cast<std::ptrdiff_t>(y);
      const auto column = static_cast<std::ptrdiff_t>(x);
      const bool is_in =
          row >= area.top && row < area.bottom && column >= area.left && column < area.right;
      const double detail = static_cast<double>(ready.reference.detail(y)[x]);
      const double height = static_cast<double>(ready.reference.gradient_height(y)[x]);
      const double width = static_cast<double>(ready.reference.gradient_width(y)[x]);
      if (!is_in) {
        CHECK(detail == 0.0);
        CHECK(height == 0.0);
        CHECK(width == 0.0);
        continue;
      }
      CHECK(ready.reference.prediction(y)[x] ==
            ready.mean(y, x) - static_cast<float>(ready.reference.level()));
      auto& sum = sums[y / 16 * blocks.width + x / 16];
      sum.square += detail * detail;
      sum.height += detail * height;
      sum.width += detail * width;
    }
  }
  const auto found = ready.reference.block_details();
  REQUIRE(found.size() == sums.size());
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const double scale = matrix_tolerance * (1.0 + sums[k].square);
    CHECK(std::fabs(found[k].square - sums[k].square) <= scale);
    CHECK(std::fabs(found[k].height - sums[k].height) <= scale);
    CHECK(std::fabs(found[k].width - sums[k].width) <= scale);
  }
}

// --- the fit -------------------------------------------------------------------------------------

/// A random deviation of a fit, and the field that it makes with a shift.
struct Field {
  std::vector<double> deviation;  // as coefficients
  Shift shift;
  std::vector<double> coefficients;

  Field(const ControlGrid& grid, double size, Shift by, test::Random& random)
      : deviation(test::random_coefficients(grid, size, random)), shift(by) {
    coefficients = deviation;
    for (std::size_t i = 0; i < grid.points(); ++i) {
      coefficients[i] -= shift.width;
      coefficients[grid.points() + i] -= shift.height;
    }
  }
};

/// A frame fitted from where a fit is, where deformations of 1 px are expected.
template <Pixel T>
DeformationFit fitted(const Ready& ready, const test::Image<T>& frame, DeformationFit fit) {
  DeformationFitSettings settings;
  settings.most_steps = 12;
  DeformationFitter<T> fitter(ready.lattice, settings);
  fitter.load(frame.view(), ready.reference.level());
  std::vector<float> warped(ready.lattice.stride() * ready.lattice.pooled().height);
  fitter(ready.reference, ExpectedSize::nearest(1.0), fit, warped.data());
  return fit;
}
DeformationFit from(Shift shift) {
  DeformationFit fit;
  fit.shift = shift;
  return fit;
}

TEST_CASE("A step of the fit is Eq. (12)", "[nonrigid][deformation]") {
  const std::uint64_t seed = 734;
  CAPTURE(seed);
  constexpr std::size_t step = 5;
  Ready ready({101, 135}, {2, 3}, 1, 2.0, seed, 12);
  const DeformationLattice& lattice = ready.lattice;
  const Field start(ready.grid, 0.5, {1.3, -0.7}, ready.random);
  const Field truth(ready.grid, 0.8, {1.2, -0.5}, ready.random);
  const auto frame =
      ready.scene.frame<float>({101, 135}, ready.grid, truth.coefficients, 2.0, ready.random);
  DeformationFit fit;
  fit.shift = start.shift;
  fit.deviation = ready.unknowns(start.deviation);
  fit.offset = 0.4;

  // Residuals, by blocks, and how the contrast round each block differs.
  struct Sums {
    double height = 0.0, width = 0.0, detail = 0.0;
  };
  const Extent blocks = lattice.blocks();
  std::vector<Sums> sums(blocks.area());
  for (std::size_t i = 0; i < blocks.height; ++i) {
    for (std::size_t j = 0; j < blocks.width; ++j) {
      const Area area = ready.block_area(i, j);
      for (std::ptrdiff_t row = area.top; row < area.bottom; ++row) {
        for (std::ptrdiff_t column = area.left; column < area.right; ++column) {
          const auto y = static_cast<std::size_t>(row);
          const auto x = static_cast<std::size_t>(column);
          const double residual =
              ready.sampled(frame, start.coefficients, y, x) -
              (static_cast<double>(ready.reference.prediction(y)[x]) + fit.offset);
          Sums& sum = sums[i * blocks.width + j];
          sum.height += residual * static_cast<double>(ready.reference.gradient_height(y)[x]);
          sum.width += residual * static_cast<double>(ready.reference.gradient_width(y)[x]);
          sum.detail += residual * static_cast<double>(ready.reference.detail(y)[x]);
        }
      }
    }
  }
  std::vector<double> move(lattice.unknowns());
  const auto details = ready.reference.block_details();
  for (std::size_t i = 0; i < blocks.height; ++i) {
    for (std::size_t j = 0; j < blocks.width; ++j) {
      double above = 0.0;
      double below = 0.0;
      for (std::size_t k = i - std::min<std::size_t>(i, 2); k < std::min(i + 3, blocks.height);
           ++k) {
        for (std::size_t l = j - std::min<std::size_t>(j, 2); l < std::min(j + 3, blocks.width);
             ++l) {
          above += sums[k * blocks.width + l].detail;
          below += details[k * blocks.width + l].square;
        }
      }
      const std::size_t at = i * blocks.width + j;
      const double contrast = above / below;
      const auto shares = ready.block_shares(i, j);
      for (std::size_t a = 0; a < shares.size(); ++a) {
        move[2 * a] -= shares[a] * (sums[at].width - contrast * details[at].width);
        move[2 * a + 1] -= shares[a] * (sums[at].height - contrast * details[at].height);
      }
    }
  }
  Dense energy(lattice.unknowns());
  energy.add(ready.reference.weight(step), ready.prior.energy());
  for (std::size_t i = 0; i < move.size(); ++i) {
    for (std::size_t j = 0; j < move.size(); ++j) move[i] -= energy(i, j) * fit.deviation[j];
  }
  move = ready.system(step).solve(move);

  DeformationFitSettings settings;
  settings.has_brightness = false;
  settings.robust = 0.0;
  settings.most_steps = 1;
  DeformationFitter<float> fitter(lattice, settings);
  fitter.load(frame.view(), ready.reference.level());
  std::vector<float> warped(lattice.stride() * lattice.pooled().height);
  std::vector<double> expected = fit.deviation;
  for (std::size_t i = 0; i < move.size(); ++i) expected[i] += move[i];
  fitter(ready.reference, step, fit, warped.data());
  CHECK(fit.steps == 1);
  double worst = 0.0;
  double longest = 0.0;
  for (std::size_t i = 0; i < move.size(); ++i) {
    worst = std::fmax(worst, std::fabs(fit.deviation[i] - expected[i]));
    longest = std::fmax(longest, std::fabs(move[i]));
  }
  CAPTURE(worst, longest);
  CHECK(longest > 0.1);
  CHECK(worst < step_tolerance);
}

TEMPLATE_TEST_CASE("A known field is found, and its brightness", "[nonrigid][deformation]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 735;
  CAPTURE(seed);
  for (const std::size_t pooling : {1U, 2U}) {
    CAPTURE(pooling);
    constexpr double noise = 2.0;
    const Extent extent{176, 208};
    Ready ready(extent, {2, 3}, pooling, noise / static_cast<double>(pooling), seed + pooling);
    const Field truth(ready.grid, 2.0, {1.5, -2.5}, ready.random);
    const auto frame = ready.scene.frame<TestType>(extent, ready.grid, truth.coefficients, noise,
                                                   ready.random, 1.2, -25.0);
    const DeformationFit fit = fitted(ready, frame, from(truth.shift));
    const double error = ready.error(fit, truth.coefficients);
    // The frame is gain * (template - level) + offset beyond the level.
    const double level = ready.reference.level();
    const double offset = 1.2 * level - 25.0 - level;
    CAPTURE(error, fit.gain, fit.offset, offset, fit.sigma, fit.steps, fit.similarity);
    CHECK(fit.has_converged);
    CHECK(fit.lost_cells == 0);
    CHECK_FALSE(fit.has_patches);
    CHECK(error < field_tolerance);
    CHECK(std::fabs(fit.gain / 1.2 - 1.0) < gain_tolerance);
    CHECK(std::fabs(fit.offset - offset) < offset_tolerance);
    CHECK(fit.similarity > least_similarity);
  }
}

TEST_CASE("A field does not depend on a frame's gain and offset", "[nonrigid][deformation]") {
  const std::uint64_t seed = 736;
  CAPTURE(seed);
  const Extent extent{176, 208};
  Ready ready(extent, {2, 3}, 2, 1.0, seed);
  const Field truth(ready.grid, 1.5, {0.5, -1.5}, ready.random);
  const auto frame =
      ready.scene.frame<float>(extent, ready.grid, truth.coefficients, 2.0, ready.random);
  const auto scaled = [&](double gain, double offset) {
    test::Image<float> other = frame;
    for (float& pixel : other.pixels) {
      pixel = static_cast<float>(gain * static_cast<double>(pixel) + offset);
    }
    DeformationFit start = from(truth.shift);
    start.gain = gain;
    start.offset = gain * ready.reference.level() + offset - ready.reference.level();
    return fitted(ready, other, start);
  };
  const DeformationFit plain = scaled(1.0, 0.0);
  const DeformationFit other = scaled(3.0, 40.0);
  double worst = 0.0;
  for (std::size_t i = 0; i < plain.deviation.size(); ++i) {
    worst = std::fmax(worst, std::fabs(plain.deviation[i] - other.deviation[i]));
  }
  CAPTURE(worst);
  CHECK(worst < brightness_tolerance);
  CHECK(other.steps == plain.steps);
}

TEST_CASE("Halves of the pixels agree on the size of a field", "[nonrigid][deformation]") {
  const std::uint64_t seed = 737;
  CAPTURE(seed);
  const Extent extent{352, 416};
  for (const auto& [pooling, size] : {std::pair{1U, 0.0}, {1U, 2.0}, {2U, 0.0}, {2U, 2.0}}) {
    Ready ready(extent, {2, 2}, pooling, 2.0 / pooling, seed);
    const Field truth(ready.grid, size, {0.5, -1.5}, ready.random);
    const auto frame =
        ready.scene.frame<float>(extent, ready.grid, truth.coefficients, 2.0, ready.random);
    const DeformationFit fit = fitted(ready, frame, from(truth.shift));
    const Extent corners = ready.lattice.corners();
    double square = 0.0;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      std::vector<double> values;
      for (std::size_t k = 0; k < corners.area(); ++k) {
        const auto shares = corner_shares(ready.grid, k / corners.width, k % corners.width);
        double value = 0.0;
        for (std::size_t i = 0; i < shares.size(); ++i) {
          value += shares[i] * truth.deviation[axis * shares.size() + i];
        }
        values.push_back(value);
      }
      double mean = 0.0;
      for (const double value : values) mean += value / static_cast<double>(values.size());
      for (const double value : values) {
        square += 0.5 * (value - mean) * (value - mean) / static_cast<double>(values.size());
      }
    }
    CAPTURE(pooling, size, square, fit.agreed_square);
    if (size > 0.0) {
      CHECK(std::fabs(fit.agreed_square / square - 1.0) < agreed_tolerance);
    } else {
      CHECK(std::fabs(fit.agreed_square) < still_tolerance);
    }
  }
}

TEST_CASE("A part of a frame that lies out of reach is found by patches",
          "[nonrigid][deformation]") {
  const std::uint64_t seed = 738;
  CAPTURE(seed);
  const Extent extent{256, 320};
  // A part of the frame is pushed away by up to 14 px on one axis, 10 px on the other; a wider
  // part, by less, so that at first nothing of the template is found.
  for (const auto& [highest, width] : {std::pair{18.0, 1.0}, {14.0, 1.5}}) {
    Ready ready(extent, {4, 5}, 2, 1.0, seed);
    std::vector<double> c(ready.grid.coefficients());
    for (std::size_t i = 0; i < ready.grid.height.points(); ++i) {
      for (std::size_t j = 0; j < ready.grid.width.points(); ++j) {
        const double away =
            std::hypot(static_cast<double>(i) - 3.0, static_cast<double>(j) - 3.0) / width;
        const double push = highest * std::exp(-0.5 * away * away);
        c[i * ready.grid.width.points() + j] = push;
        c[ready.grid.points() + i * ready.grid.width.points() + j] = -0.7 * push;
      }
    }
    const auto frame = ready.scene.frame<float>(extent, ready.grid, c, 2.0, ready.random);
    const DeformationFit fit = fitted(ready, frame, {});
    const double error = ready.error(fit, c);
    CAPTURE(width, error, fit.steps, fit.lost_cells);
    CHECK(fit.has_patches);
    CHECK(fit.has_converged);
    CHECK(fit.lost_cells == 0);
    CHECK(error < field_tolerance);
  }
}

TEST_CASE("A frame's brightness is that over the template's area", "[nonrigid][deformation]") {
  const std::uint64_t seed = 744;
  CAPTURE(seed);
  const Extent extent{176, 208};
  for (const std::ptrdiff_t border : {0, 12}) {
    Ready ready(extent, {2, 3}, 1, 2.0, seed, border);
    const Field truth(ready.grid, 1.0, {0.5, -1.5}, ready.random);
    const auto frame = ready.scene.frame<float>(extent, ready.grid, truth.coefficients, 2.0,
                                                ready.random, 1.2, -25.0);
    const DeformationFit fit = fitted(ready, frame, from(truth.shift));
    CAPTURE(border, fit.gain, fit.similarity);
    CHECK(std::fabs(fit.gain / 1.2 - 1.0) < gain_tolerance);
    CHECK(fit.similarity > least_similarity);
  }
}

// --- patches -------------------------------------------------------------------------------------

TEST_CASE("A field from patches leaves the frame as its field samples it",
          "[nonrigid][deformation]") {
  const std::uint64_t seed = 739;
  CAPTURE(seed);
  double worst = 0.0;
  double error = 0.0;
  for (const std::size_t pooling : {1U, 2U}) {
    const Extent extent{177, 209};
    Ready ready(extent, {2, 3}, pooling, 1.0, seed);
    const Field truth(ready.grid, 3.0, {2.5, -1.5}, ready.random);
    const auto frame =
        ready.scene.frame<float>(extent, ready.grid, truth.coefficients, 1.0, ready.random);
    DeformationFitter<float> fitter(ready.lattice, {});
    fitter.load(frame.view(), ready.reference.level());
    DeformationFit fit;
    fit.shift = truth.shift;
    const std::size_t stride = ready.lattice.stride();
    std::vector<float> warped(stride * ready.lattice.pooled().height);
    fitter.by_patches(ready.reference, 7, true, fit, warped.data());
    CHECK(fit.has_patches);
    CHECK(fit.has_converged);
    error = std::fmax(error, ready.error(fit, truth.coefficients));
    std::vector<double> c(ready.grid.coefficients());
    ready.lattice.to_coefficients(fit.deviation, fit.shift, c);
    const test::Image<float> small = pooled(frame, pooling);
    for (std::size_t y = 0; y < small.extent.height; ++y) {
      for (std::size_t x = 0; x < small.extent.width; ++x) {
        const double expected = ready.sampled(small, c, y, x);
        const auto found = static_cast<double>(warped[y * stride + x]);
        if (std::isnan(expected) != std::isnan(found)) {
          CAPTURE(pooling, y, x, expected, found);
          CHECK(std::isnan(found) == std::isnan(expected));
        }
        if (!std::isnan(expected)) worst = std::fmax(worst, std::fabs(found - expected) / 100.0);
      }
      for (std::size_t x = small.extent.width; x < stride; ++x) {
        CHECK(std::isnan(warped[y * stride + x]));
      }
    }
  }
  CAPTURE(worst, error);
  CHECK(worst < sample_tolerance);
  CHECK(error < patches_tolerance);
}

TEST_CASE("Patches lie where the highest correlation is", "[nonrigid][deformation]") {
  const std::uint64_t seed = 740;
  CAPTURE(seed);
  constexpr std::size_t step = 6;
  double worst = 0.0;
  for (const std::size_t pooling : {1U, 2U}) {
    CAPTURE(pooling);
    const Extent extent{177 * pooling, 209 * pooling};
    Ready ready(extent, {2, 3}, pooling, 1.0, seed + pooling);
    const auto side = static_cast<double>(pooling);
    const Field truth(ready.grid, 3.0 * side, {0.0, 0.0}, ready.random);
    const Extent size = ready.lattice.pooled();
    const std::size_t stride = ready.lattice.stride();
    const auto frame =
        pooled(ready.scene.frame<float>(extent, ready.grid, truth.coefficients, 1.0, ready.random),
               pooling);
    constexpr double gain = 1.3;
    constexpr double offset = -4.0;
    std::vector<float> warped(stride * size.height, std::numeric_limits<float>::quiet_NaN());
    test::Image<double> plane(size);
    for (std::size_t y = 0; y < size.height; ++y) {
      for (std::size_t x = 0; x < size.width; ++x) {
        // A hole, as at a border: the template stands in for it.
        const bool is_hole = x < 5;
        const double pixel =
            gain * (static_cast<double>(frame(y, x)) - ready.reference.level()) + offset;
        if (!is_hole) warped[y * stride + x] = static_cast<float>(pixel);
        plane(y, x) =
            is_hole ? gain * static_cast<double>(ready.reference.prediction(y)[x]) : pixel - offset;
      }
    }
    DeformationFit fit;
    fit.gain = gain;
    fit.offset = offset;
    fit.deviation = ready.unknowns(test::random_coefficients(ready.grid, 0.3, ready.random));
    const std::vector<double> before = fit.deviation;
    const int reach = DeformationFitter<float>::wide;

    // All displacements of each patch, of 1.5 cells round the middle of each.
    struct Found {
      std::size_t row, column;
      double height, width, energy;
    };
    std::vector<Found> all;
    const auto window = [&](const GridAxis& axis, std::size_t cell, std::size_t pixels) {
      const double middle = (axis.origin + axis.spacing * (static_cast<double>(cell) + 1.5)) / side;
      const double half = 0.75 * axis.spacing / side;
      const auto even = [&](double at) {
        const double most = 2.0 * std::floor(static_cast<double>(pixels) / 2.0);
        return static_cast<std::ptrdiff_t>(2.0 * std::round(std::clamp(at, 0.0, most) / 2.0));
      };
      return std::pair{even(middle - half), even(middle + half)};
    };
    for (std::size_t i = 0; i < ready.grid.height.cells; ++i) {
      for (std::size_t j = 0; j < ready.grid.width.cells; ++j) {
        const auto [top, bottom] = window(ready.grid.height, i, size.height);
        const auto [left, right] = window(ready.grid.width, j, size.width);
        double energy = 0.0;
        const auto correlation = [&](int dy, int dx) {
          double sum = 0.0;
          for (std::ptrdiff_t y = top; y < bottom; ++y) {
            for (std::ptrdiff_t x = left; x < right; ++x) {
              const auto row = std::clamp<std::ptrdiff_t>(
                  y + dy, 0, static_cast<std::ptrdiff_t>(size.height) - 1);
              const auto column = std::clamp<std::ptrdiff_t>(
                  x + dx, 0, static_cast<std::ptrdiff_t>(size.width) - 1);
              sum += static_cast<double>(ready.reference.detail(static_cast<std::size_t>(y))[x]) *
                     plane(static_cast<std::size_t>(row), static_cast<std::size_t>(column));
            }
          }
          return sum;
        };
        for (std::ptrdiff_t y = top; y < bottom; ++y) {
          for (std::ptrdiff_t x = left; x < right; ++x) {
            const auto detail =
                static_cast<double>(ready.reference.detail(static_cast<std::size_t>(y))[x]);
            energy += detail * detail;
          }
        }
        int best_y = 0;
        int best_x = 0;
        double best = 0.0;
        for (int dy = -2 * reach; dy <= 2 * reach; ++dy) {
          for (int dx = -2 * reach; dx <= 2 * reach; ++dx) {
            const double value = correlation(dy, dx);
            if (value <= best) continue;
            best = value;
            best_y = dy;
            best_x = dx;
          }
        }
        const auto vertex = [&](double low, double high) {
          return 0.5 * (low - high) / (low - 2.0 * best + high);
        };
        REQUIRE(best > 0.7 * gain * energy);  // believed whatever its neighbours say
        all.push_back({i, j,
                       side * (best_y + vertex(correlation(best_y - 1, best_x),
                                               correlation(best_y + 1, best_x))),
                       side * (best_x + vertex(correlation(best_y, best_x - 1),
                                               correlation(best_y, best_x + 1))),
                       energy});
      }
    }

    // The smooth field nearest to them, by a dense matrix.
    double total = 0.0;
    for (const Found& found : all) total += found.energy;
    const double trace = 0.5 * (ready.reference.half(0).trace() + ready.reference.half(1).trace());
    Dense system(ready.lattice.unknowns());
    system.add(ready.reference.weight(step), ready.prior.energy());
    std::vector<double> move(system.n);
    for (std::size_t i = 0; i < system.n; ++i) {
      for (std::size_t j = 0; j < system.n; ++j) move[i] -= system(i, j) * before[j];
    }
    for (const Found& found : all) {
      const double weight = trace * found.energy / total;
      const auto middle = [](const GridAxis& axis, std::size_t cell) {
        return test::shares_at(axis,
                               axis.origin + axis.spacing * (static_cast<double>(cell) + 1.5));
      };
      const auto down = middle(ready.grid.height, found.row);
      const auto along = middle(ready.grid.width, found.column);
      const auto shares = products(down, along);
      for (std::size_t a = 0; a < shares.size(); ++a) {
        move[2 * a] += weight * shares[a] * found.width;
        move[2 * a + 1] += weight * shares[a] * found.height;
        for (std::size_t b = 0; b < shares.size(); ++b) {
          system(2 * a, 2 * b) += weight * shares[a] * shares[b];
          system(2 * a + 1, 2 * b + 1) += weight * shares[a] * shares[b];
        }
      }
    }
    move = system.solve(move);
    PatchSearch search(ready.lattice);
    REQUIRE(search(ready.reference, warped.data(), step, reach, fit));
    for (std::size_t i = 0; i < move.size(); ++i) {
      worst = std::fmax(worst, std::fabs(fit.deviation[i] - before[i] - move[i]));
    }
    CHECK(*std::max_element(move.begin(), move.end()) > 1.0);
  }
  CAPTURE(worst);
  CHECK(worst < patch_tolerance);
}

TEST_CASE("Patches of another scene, or of none, change nothing", "[nonrigid][deformation]") {
  const std::uint64_t seed = 741;
  CAPTURE(seed);
  Ready ready({176, 208}, {2, 3}, 1, 1.0, seed);
  const Extent size = ready.lattice.pooled();
  PatchSearch search(ready.lattice);
  for (const bool is_flat : {false, true}) {
    CAPTURE(is_flat);
    std::vector<float> warped(ready.lattice.stride() * size.height);
    for (float& pixel : warped) {
      pixel = is_flat ? 7.0F : static_cast<float>(20.0 * ready.random.normal());
    }
    DeformationFit fit;
    fit.deviation = ready.unknowns(test::random_coefficients(ready.grid, 1.0, ready.random));
    const std::vector<double> before = fit.deviation;
    CHECK_FALSE(search(ready.reference, warped.data(), 5, DeformationFitter<float>::wide, fit));
    CHECK(fit.deviation == before);
  }
}

// --- the mean ------------------------------------------------------------------------------------

TEST_CASE("A mean of deformed frames counts what is a number, on any threads",
          "[nonrigid][deformation]") {
  const std::uint64_t seed = 742;
  CAPTURE(seed);
  test::Random random(seed);
  const Extent extent{71, 37};
  constexpr std::size_t stride = 40;
  constexpr std::size_t planes = 19;
  std::vector<std::vector<float>> frames(planes);
  std::vector<double> sums(stride * extent.height);
  std::vector<double> counts(sums.size());
  for (auto& frame : frames) {
    frame.resize(sums.size());
    for (std::size_t i = 0; i < frame.size(); ++i) {
      // Some pixels are never there.
      const bool is_there = random.uniform() > 0.3 && i % 50 != 7;
      frame[i] = is_there ? static_cast<float>(random.uniform(100.0, 200.0))
                          : std::numeric_limits<float>::quiet_NaN();
      if (!is_there) continue;
      sums[i] += static_cast<double>(frame[i]);
      counts[i] += 1.0;
    }
  }
  const auto mean_by = [&](const Executor& executor) {
    DeformedMean mean(extent, stride);
    for (std::size_t begin = 0; begin < planes; begin += DeformedMean::group) {
      std::vector<const float*> group;
      for (std::size_t k = begin; k < std::min(begin + DeformedMean::group, planes); ++k) {
        group.push_back(frames[k].data());
      }
      mean.add(group, executor);
    }
    mean.add({}, executor);
    CHECK(mean.frames() == planes);
    std::vector<float> out(sums.size());
    mean.mean(out.data());
    return out;
  };
  const std::vector<float> serial = mean_by(SerialExecutor());
  double worst = 0.0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (counts[i] == 0.0) {
      CHECK(std::isnan(serial[i]));
      continue;
    }
    worst = std::fmax(worst, std::fabs(static_cast<double>(serial[i]) * counts[i] / sums[i] - 1.0));
  }
  CAPTURE(worst);
  CHECK(worst < mean_tolerance);
  for (const std::size_t threads : {2U, 7U}) {
    const std::vector<float> other = mean_by(test::ThreadExecutor(threads));
    CHECK(std::equal(other.begin(), other.end(), serial.begin(),
                     [](float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }));
  }
}

TEST_CASE("The common part of a mean is where a share of the frames lies",
          "[nonrigid][deformation]") {
  const Extent extent{40, 60};
  constexpr std::size_t stride = 64;
  // Frame k lies on the rows from k on and on the columns up to 60 - 2 k; the first, alone, on the
  // first columns of the last rows.
  constexpr std::size_t planes = 8;
  std::vector<std::vector<float>> frames(planes);
  DeformedMean mean(extent, stride);
  std::vector<const float*> group;
  for (std::size_t k = 0; k < planes; ++k) {
    frames[k].assign(stride * extent.height, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t y = k; y < extent.height; ++y) {
      std::fill_n(&frames[k][y * stride], extent.width - 2 * k, 1.0F);
    }
    for (std::size_t y = extent.height - 3; k > 0 && y < extent.height; ++y) {
      std::fill_n(&frames[k][y * stride], 20, std::numeric_limits<float>::quiet_NaN());
    }
    group.push_back(frames[k].data());
  }
  mean.add(group, SerialExecutor());
  CHECK(mean.common(1.0F) == Area{7, 37, 0, 46});
  CHECK(mean.common(0.5F) == Area{3, 37, 0, 54});
  CHECK(mean.common(0.0F) == Area{0, 40, 0, 60});  // at least one
}

}  // namespace
}  // namespace stillscope
