// SPDX-License-Identifier: GPL-3.0-or-later
/// Fields by their definition, and pictures that are deformed by them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "stillscope/nonrigid/control_grid.hpp"
#include "stillscope/nonrigid/spline_field.hpp"
#include "support/images.hpp"

namespace stillscope::test {

/// B-spline of order 3 centred at 0, from its definition.
inline double cubic_spline(double u) {
  u = std::fabs(u);
  if (u < 1.0) return 2.0 / 3.0 - u * u + u * u * u / 2.0;
  if (u < 2.0) return (2.0 - u) * (2.0 - u) * (2.0 - u) / 6.0;
  return 0.0;
}

/// The shares of all control points of an axis at a position [px] on the mesh.
inline std::vector<double> shares_at(const GridAxis& axis, double position) {
  std::vector<double> shares(axis.points());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    shares[i] = cubic_spline((position - axis.origin) / axis.spacing - static_cast<double>(i));
  }
  return shares;
}

/// The field by its definition: the sum over all control points.
inline Displacement naive_field(const ControlGrid& grid, const std::vector<double>& c, double y,
                                double x) {
  const auto on_mesh = [](const GridAxis& axis, double at) {
    const double u = (at - axis.origin) / axis.spacing;
    return u >= 1.0 && u <= static_cast<double>(axis.cells) + 1.0;
  };
  if (!on_mesh(grid.height, y) || !on_mesh(grid.width, x)) return {};
  const auto down = shares_at(grid.height, y);
  const auto along = shares_at(grid.width, x);
  Displacement d;
  for (std::size_t i = 0; i < down.size(); ++i) {
    for (std::size_t j = 0; j < along.size(); ++j) {
      const double share = down[i] * along[j];
      d.width += share * c[i * along.size() + j];
      d.height += share * c[grid.points() + i * along.size() + j];
    }
  }
  return d;
}

inline std::vector<double> random_coefficients(const ControlGrid& grid, double size,
                                               Random& random) {
  std::vector<double> c(grid.coefficients());
  for (double& value : c) value = random.uniform(-size, size);
  return c;
}

/// A picture that can be sampled anywhere: waves of 7 to 30 px in all directions. Its mean is 100,
/// its standard deviation 20.
class Waves {
 public:
  explicit Waves(Random& random) {
    for (Wave& wave : waves_) {
      const double angle = random.uniform(0.0, 2.0 * std::numbers::pi);
      const double turns = 2.0 * std::numbers::pi / random.uniform(7.0, 30.0);
      wave = {turns * std::sin(angle), turns * std::cos(angle),
              random.uniform(0.0, 2.0 * std::numbers::pi)};
    }
  }

  [[nodiscard]] double operator()(double y, double x) const {
    double sum = 0.0;
    for (const Wave& wave : waves_) sum += std::cos(wave.height * y + wave.width * x + wave.phase);
    return 100.0 + 20.0 * std::sqrt(2.0 / static_cast<double>(waves_.size())) * sum;
  }

  /// As a frame of whose content the field says where it is sampled: frame(q + u(q)) = this(q).
  template <Pixel T>
  [[nodiscard]] Image<T> frame(Extent extent, const ControlGrid& grid, const std::vector<double>& c,
                               double noise, Random& random, double gain = 1.0,
                               double offset = 0.0) const {
    Image<T> image(extent);
    const auto bottom = static_cast<double>(extent.height - 1);
    const auto right = static_cast<double>(extent.width - 1);
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        auto row = static_cast<double>(y);
        auto column = static_cast<double>(x);
        for (int k = 0; k < 12; ++k) {  // by fixed point
          const Displacement u = field_at(grid, c.data(), std::clamp(row, 0.0, bottom),
                                          std::clamp(column, 0.0, right));
          row = static_cast<double>(y) - u.height;
          column = static_cast<double>(x) - u.width;
        }
        image(y, x) = as_pixel<T>(gain * (*this)(row, column) + offset + noise * random.normal());
      }
    }
    return image;
  }

  /// At the pixels of a template, the means of side x side pixels.
  [[nodiscard]] Image<float> pooled(Extent extent, std::size_t side) const {
    Image<float> image({extent.height / side, extent.width / side});
    for (std::size_t y = 0; y < image.extent.height; ++y) {
      for (std::size_t x = 0; x < image.extent.width; ++x) {
        double sum = 0.0;
        for (std::size_t k = 0; k < side * side; ++k) {
          sum += (*this)(static_cast<double>(y * side + k / side),
                         static_cast<double>(x * side + k % side));
        }
        image(y, x) = static_cast<float>(sum / static_cast<double>(side * side));
      }
    }
    return image;
  }

 private:
  struct Wave {
    double height, width, phase;
  };
  std::array<Wave, 48> waves_{};
};

}  // namespace stillscope::test
