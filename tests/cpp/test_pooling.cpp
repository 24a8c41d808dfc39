// SPDX-License-Identifier: GPL-3.0-or-later
/// Pooling: the kernels against their formulas, the grid against a naive mean over areas.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "stillscope/register/coarse_grid.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"

namespace stillscope {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
// Share of the sum of the terms' absolute values; measured 2.2e-7, for energies 4.8e-7.
constexpr double sum_tolerance = 1e-6;

TEMPLATE_TEST_CASE("Rows are pooled by their weights, and counted once", "[pooling]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 151;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  double worst_energy = 0.0;
  for (std::size_t n = 1; n <= 70; ++n) {
    for (const std::size_t count : {1, 2, 5, 10}) {
      // Rows at odd distances.
      const auto memory = test::noise<TestType>({count, n + 5}, random);
      std::vector<const TestType*> rows;
      std::vector<float> weights;
      for (std::size_t k = 0; k < count; ++k) {
        rows.push_back(memory.pixels.data() + k * (n + 5) + k % 5);
        weights.push_back(static_cast<float>(random.uniform(0.0, 1.0)));
      }
      const double offset = 100.0;
      for (const std::size_t counted : {std::size_t{0}, std::size_t{1}, count}) {
        std::vector<float> out(n + 1, 77.0F);
        PoolTally tally{3.0, infinity, -infinity};
        pixel_kernels<TestType>().pool_rows({rows.data(), weights.data(), count, counted, 0}, n,
                                            offset, out.data(), &tally);
        double energy = 0.0;
        double lowest = std::numeric_limits<double>::infinity();
        double highest = -lowest;
        for (std::size_t x = 0; x < n; ++x) {
          double sum = 0.0;
          double size = 1e-30;
          for (std::size_t k = 0; k < count; ++k) {
            const double value = static_cast<double>(rows[k][x]) - offset;
            sum += static_cast<double>(weights[k]) * value;
            size += std::abs(static_cast<double>(weights[k]) * value);
            if (k < counted) continue;
            energy += value * value;
            lowest = std::min(lowest, value);
            highest = std::max(highest, value);
          }
          worst = std::max(worst, std::abs(static_cast<double>(out[x]) - sum) / size);
        }
        CHECK(out[n] == 77.0F);
        worst_energy =
            std::max(worst_energy, std::abs(tally.energy - 3.0 - energy) / (energy + 3.0));
        if constexpr (std::is_floating_point_v<TestType>) {
          CAPTURE(n, count, counted);
          CHECK(tally.lowest == static_cast<float>(lowest));
          CHECK(tally.highest == static_cast<float>(highest));
        }
      }
    }
  }
  CAPTURE(worst, worst_energy);
  CHECK(worst <= sum_tolerance);
  CHECK(worst_energy <= sum_tolerance);
}

TEST_CASE("Columns are pooled by the axis' weights", "[pooling]") {
  const std::uint64_t seed = 152;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  for (const std::size_t stride : {8, 16, 24}) {
    for (std::size_t cells = 1; cells <= 70; ++cells) {
      std::vector<std::int32_t> first;
      std::vector<float> weights;
      std::int32_t at = 0;
      for (std::size_t cell = 0; cell < cells; ++cell) {
        first.push_back(at);
        at += static_cast<std::int32_t>(random.uniform(0.0, 9.0));
        for (std::size_t k = 0; k < stride; ++k) {
          weights.push_back(static_cast<float>(random.uniform(-1.0, 1.0)));
        }
      }
      // Just as much as may be read.
      std::vector<float> row(static_cast<std::size_t>(first.back()) + stride);
      for (float& value : row) value = static_cast<float>(random.uniform(-50.0, 50.0));
      std::vector<float> out(cells + 9, 77.0F);
      float_kernels().pool_columns(row.data(), {cells, first.data(), stride, weights.data()},
                                   out.data());
      for (std::size_t cell = 0; cell < cells; ++cell) {
        double sum = 0.0;
        double size = 0.0;
        for (std::size_t k = 0; k < stride; ++k) {
          const double term = static_cast<double>(weights[cell * stride + k]) *
                              static_cast<double>(row[static_cast<std::size_t>(first[cell]) + k]);
          sum += term;
          size += std::abs(term);
        }
        worst = std::max(worst, std::abs(static_cast<double>(out[cell]) - sum) / size);
      }
      CHECK(std::all_of(out.begin() + static_cast<std::ptrdiff_t>(cells), out.end(),
                        [](float value) { return value == 77.0F; }));
    }
  }
  CAPTURE(worst);
  CHECK(worst <= sum_tolerance);
}

/// The share of pixel `pixel` that lies in cell `cell` of `cells` over `pixels`.
double share(std::size_t pixel, std::size_t cell, std::size_t pixels, std::size_t cells) {
  const double scale = static_cast<double>(pixels) / static_cast<double>(cells);
  const double begin = std::max(scale * static_cast<double>(cell), static_cast<double>(pixel));
  const double end =
      std::min(scale * static_cast<double>(cell + 1), static_cast<double>(pixel + 1));
  return std::max(0.0, end - begin);
}

TEMPLATE_TEST_CASE("A pooled frame holds the means over its cells' areas", "[pooling]",
                   STILLSCOPE_PIXELS) {
  const std::uint64_t seed = 153;
  CAPTURE(seed, instruction_set());
  test::Random random(seed);
  double worst = 0.0;
  for (const Extent extent : {Extent{32, 32}, Extent{37, 53}, Extent{70, 91}, Extent{128, 41}}) {
    for (const std::size_t pooling : {4, 8}) {
      const auto image = test::stored<TestType>(test::white(extent, random));
      const auto frame = make_frame_ref(image.view(), 0);
      CoarseGrid grid(extent, pooling);
      const Extent cells = grid.extent();
      CAPTURE(extent, pooling, cells);
      std::vector<float> out(cells.area());
      const PoolTally tally = grid.pool(frame, out.data());
      const double area = grid.row_scale() * grid.column_scale();
      double energy = 0.0;
      double total = 0.0;
      double deviation = 0.0;
      for (const TestType pixel : image.pixels) {
        const double value = static_cast<double>(pixel) - frame.offset;
        energy += value * value;
        total += value;
        deviation = std::max(deviation, std::abs(value));
      }
      double pooled_total = 0.0;
      for (std::size_t v = 0; v < cells.height; ++v) {
        for (std::size_t u = 0; u < cells.width; ++u) {
          double sum = 0.0;
          for (std::size_t y = 0; y < extent.height; ++y) {
            const double rows = share(y, v, extent.height, cells.height);
            for (std::size_t x = 0; rows > 0.0 && x < extent.width; ++x) {
              sum += rows * share(x, u, extent.width, cells.width) *
                     (static_cast<double>(image(y, x)) - frame.offset);
            }
          }
          const auto found = static_cast<double>(out[v * cells.width + u]);
          worst = std::max(worst, std::abs(found - sum / area) / deviation);
          pooled_total += area * found;
        }
      }
      CHECK(std::abs(tally.energy - energy) <= sum_tolerance * energy);
      // Every pixel is in the cells once.
      CHECK(std::abs(pooled_total - total) <=
            sum_tolerance * deviation * static_cast<double>(extent.area()));
      // About as many pixels a cell as were asked for, or somewhat fewer.
      CHECK(grid.row_scale() <= 1.03 * static_cast<double>(pooling));
      CHECK(grid.column_scale() <= 1.03 * static_cast<double>(pooling));
    }
  }
  CAPTURE(worst);
  CHECK(worst <= sum_tolerance);
}

TEST_CASE("Pooling finds what is not finite", "[pooling]") {
  test::Random random(154);
  const Extent extent{45, 61};
  auto image = test::noise<float>(extent, random);
  CoarseGrid grid(extent, 4);
  std::vector<float> out(grid.extent().area());
  CHECK(std::isfinite(grid.pool(make_frame_ref(image.view(), 0), out.data()).energy));
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity}) {
    for (const std::size_t index : {std::size_t{0}, extent.area() / 2, extent.area() - 1}) {
      auto bad = image;
      bad.pixels[index] = value;
      FrameRef<float> frame = make_frame_ref(image.view(), 0);  // its offset
      frame.view = bad.view();
      CAPTURE(value, index);
      CHECK_FALSE(std::isfinite(grid.pool(frame, out.data()).energy));
    }
  }
}

}  // namespace
}  // namespace stillscope
