// SPDX-License-Identifier: GPL-3.0-or-later
/// Periodic pictures for registrars: cheap to make at full size, and to move by any amount.
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "support/images.hpp"

namespace stillscope::test {

/// The mean of each pixel's neighbours within `radius`, along the rows and then the columns, three
/// times: nearly a Gaussian of standard deviation `radius`, and periodic.
inline Image<double> smoothed(Image<double> image, std::size_t radius) {
  const auto [height, width] = image.extent;
  const auto reach = static_cast<std::ptrdiff_t>(radius);
  const double share = 1.0 / static_cast<double>(2 * radius + 1);
  for (int pass = 0; pass < 3; ++pass) {
    Image<double> along(image.extent);
    for (std::size_t y = 0; y < height; ++y) {
      double sum = 0.0;
      const auto row = static_cast<std::ptrdiff_t>(y);
      for (std::ptrdiff_t x = -reach; x <= reach; ++x) sum += image.wrapped(row, x);
      for (std::size_t x = 0; x < width; ++x) {
        along(y, x) = share * sum;
        const auto column = static_cast<std::ptrdiff_t>(x);
        sum += image.wrapped(row, column + reach + 1) - image.wrapped(row, column - reach);
      }
    }
    for (std::size_t x = 0; x < width; ++x) {
      double sum = 0.0;
      const auto column = static_cast<std::ptrdiff_t>(x);
      for (std::ptrdiff_t y = -reach; y <= reach; ++y) sum += along.wrapped(y, column);
      for (std::size_t y = 0; y < height; ++y) {
        image(y, x) = share * sum;
        const auto row = static_cast<std::ptrdiff_t>(y);
        sum += along.wrapped(row + reach + 1, column) - along.wrapped(row - reach, column);
      }
    }
  }
  return image;
}

/// Pixels less their mean, divided by their standard deviation.
inline Image<double> normalised(Image<double> image) {
  const auto area = static_cast<double>(image.pixels.size());
  double sum = 0.0;
  double squares = 0.0;
  for (const double pixel : image.pixels) sum += pixel;
  for (const double pixel : image.pixels) squares += (pixel - sum / area) * (pixel - sum / area);
  for (double& pixel : image.pixels) pixel = (pixel - sum / area) / std::sqrt(squares / area);
  return image;
}

/// Independent pixels of mean 0 and standard deviation 1.
inline Image<double> white(Extent extent, Random& random) {
  Image<double> image(extent);
  for (double& pixel : image.pixels) pixel = std::sqrt(3.0) * random.uniform(-1.0, 1.0);
  return image;
}

/// A periodic scene of mean 0 and standard deviation 1 with details of about `radius` px.
inline Image<double> texture(Extent extent, std::size_t radius, Random& random) {
  return normalised(smoothed(white(extent, random), radius));
}

/// a + factor b.
inline Image<double> sum_of(Image<double> a, double factor, const Image<double>& b) {
  for (std::size_t i = 0; i < a.pixels.size(); ++i) a.pixels[i] += factor * b.pixels[i];
  return a;
}

/// The content of a periodic picture moved by `by` [px], bilinearly.
inline Image<double> moved(const Image<double>& image, Shift by) {
  const double top = std::floor(-by.height);
  const double left = std::floor(-by.width);
  const double wy = -by.height - top;
  const double wx = -by.width - left;
  Image<double> result(image.extent);
  for (std::size_t y = 0; y < image.extent.height; ++y) {
    const auto row = static_cast<std::ptrdiff_t>(y) + static_cast<std::ptrdiff_t>(top);
    for (std::size_t x = 0; x < image.extent.width; ++x) {
      const auto column = static_cast<std::ptrdiff_t>(x) + static_cast<std::ptrdiff_t>(left);
      const double upper =
          (1.0 - wx) * image.wrapped(row, column) + wx * image.wrapped(row, column + 1);
      const double lower =
          (1.0 - wx) * image.wrapped(row + 1, column) + wx * image.wrapped(row + 1, column + 1);
      result(y, x) = (1.0 - wy) * upper + wy * lower;
    }
  }
  return result;
}

/// A picture of about -4 to 4 as a camera, or a program, would store it.
template <Pixel T>
Image<T> stored(const Image<double>& image) {
  // Level and contrast: bytes that hardly saturate, 16 bits far from their middle, small floats.
  constexpr double level = std::is_same_v<T, std::uint8_t>    ? 120.0
                           : std::is_same_v<T, std::uint16_t> ? 41000.0
                           : std::is_same_v<T, std::int16_t>  ? -9000.0
                                                              : 0.7;
  constexpr double contrast = std::is_same_v<T, std::uint8_t> ? 30.0
                              : std::is_integral_v<T>         ? 1500.0
                                                              : 0.2;
  Image<T> result(image.extent);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    result.pixels[i] = as_pixel<T>(level + contrast * image.pixels[i]);
  }
  return result;
}

}  // namespace stillscope::test
