// SPDX-License-Identifier: GPL-3.0-or-later
/// The method once more, as plainly as it can be said: direct sums, one pixel at a time, in double.
/// Shares nothing with the library but its types.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include "support/images.hpp"

namespace stillscope::test {

/// R(d) = sum over x of src(x + d) dst(x), circular, for every displacement in C order; the exact
/// integers for integer frames.
template <Pixel T>
std::vector<ProductSum<T>> direct_correlation(const Image<T>& src, const Image<T>& dst) {
  using Sum = ProductSum<T>;
  const auto [height, width] = src.extent;
  std::vector<Sum> result(src.extent.area());
  for (std::size_t dy = 0; dy < height; ++dy) {
    for (std::size_t dx = 0; dx < width; ++dx) {
      Sum sum{};
      for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          sum += static_cast<Sum>(src((y + dy) % height, (x + dx) % width)) *
                 static_cast<Sum>(dst(y, x));
        }
      }
      result[dy * width + dx] = sum;
    }
  }
  return result;
}

/// The vertex of the parabola through the peak of a circular axis, wrapped to a signed position.
inline double direct_peak(double before, double peak, double after, std::size_t index,
                          std::size_t n) {
  const double denominator = before - 2.0 * peak + after;
  const double delta = denominator == 0.0 ? 0.0 : 0.5 * (before - after) / denominator;
  const double position = static_cast<double>(index) + delta;
  return position > static_cast<double>(n / 2) ? position - static_cast<double>(n) : position;
}

/// The shift that brings `src` onto `dst`: minus the first maximum of the correlation, refined.
template <Pixel T>
Shift direct_shift(const Image<T>& src, const Image<T>& dst) {
  const auto correlation = direct_correlation(src, dst);
  const auto [height, width] = src.extent;
  const auto index = static_cast<std::size_t>(
      std::max_element(correlation.begin(), correlation.end()) - correlation.begin());
  const std::size_t y = index / width;
  const std::size_t x = index % width;
  const auto value = [&](std::size_t row, std::size_t column) {
    // Relative to the peak, so that large integers lose nothing in double.
    return static_cast<double>(correlation[(row % height) * width + column % width] -
                               correlation[index]);
  };
  return {-direct_peak(value(y + height - 1, x), 0.0, value(y + 1, x), y, height),
          -direct_peak(value(y, x + width - 1), 0.0, value(y, x + 1), x, width)};
}

/// A frame translated bilinearly, sample by sample. `step`: the grid's [px]; 0: no grid.
template <Pixel T>
Image<double> direct_translation(const Image<T>& image, Shift shift, double fill,
                                 double step = 0.0) {
  Image<double> result(image.extent, fill);
  const auto [height, width] = image.extent;
  if (!shift.is_finite()) return result;
  const auto position = [&](double move) {
    const double p = -static_cast<double>(static_cast<float>(move));
    if (step == 0.0) return p;
    return std::floor(std::nearbyint(p * 1024.0) / 1024.0 / step + 0.5) * step;
  };
  const auto sample = [&](std::ptrdiff_t y, std::ptrdiff_t x) {
    const bool inside = y >= 0 && x >= 0 && y < static_cast<std::ptrdiff_t>(height) &&
                        x < static_cast<std::ptrdiff_t>(width);
    return inside ? static_cast<double>(
                        image(static_cast<std::size_t>(y), static_cast<std::size_t>(x)))
                  : fill;
  };
  const double top = std::floor(position(shift.height));
  const double left = std::floor(position(shift.width));
  // Weights in single precision: what rounds to 0 or 1 there reads one sample alone.
  const double wy = static_cast<float>(position(shift.height) - top);
  const double wx = static_cast<float>(position(shift.width) - left);
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      double value = 0.0;
      for (int i = 0; i < 2; ++i) {
        for (int j = 0; j < 2; ++j) {
          const double weight = (i == 0 ? 1.0 - wy : wy) * (j == 0 ? 1.0 - wx : wx);
          if (weight == 0.0) continue;
          value += weight *
                   sample(static_cast<std::ptrdiff_t>(y) + static_cast<std::ptrdiff_t>(top) + i,
                          static_cast<std::ptrdiff_t>(x) + static_cast<std::ptrdiff_t>(left) + j);
        }
      }
      result(y, x) = value;
    }
  }
  return result;
}

/// The unnormalised discrete Fourier transform, (height, width / 2 + 1), by its definition.
inline std::vector<std::complex<double>> direct_rfft2(const Image<double>& image) {
  const auto [height, width] = image.extent;
  std::vector<std::complex<double>> spectrum;
  for (std::size_t v = 0; v < height; ++v) {
    for (std::size_t u = 0; u < width / 2 + 1; ++u) {
      std::complex<double> sum;
      for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < width; ++x) {
          const double turns = static_cast<double>(v * y) / static_cast<double>(height) +
                               static_cast<double>(u * x) / static_cast<double>(width);
          sum += image(y, x) * std::polar(1.0, -2.0 * std::numbers::pi * turns);
        }
      }
      spectrum.push_back(sum);
    }
  }
  return spectrum;
}

}  // namespace stillscope::test
