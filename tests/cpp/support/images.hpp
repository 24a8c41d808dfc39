// SPDX-License-Identifier: GPL-3.0-or-later
/// Frames and movies that own their pixels, and the pictures the tests are made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>
#include <type_traits>
#include <vector>

#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"

/// All pixel types, for typed test cases.
#define STILLSCOPE_PIXELS std::uint8_t, std::uint16_t, std::int16_t, float, double

namespace stillscope::test {

/// A frame in C order.
template <Pixel T>
struct Image {
  Extent extent;
  std::vector<T> pixels;

  Image() = default;
  explicit Image(Extent size, T value = T{}) : extent(size), pixels(size.area(), value) {}

  T& operator()(std::size_t y, std::size_t x) { return pixels[y * extent.width + x]; }
  T operator()(std::size_t y, std::size_t x) const { return pixels[y * extent.width + x]; }
  /// Circular indices.
  T wrapped(std::ptrdiff_t y, std::ptrdiff_t x) const {
    return (*this)(wrap_index(y, extent.height), wrap_index(x, extent.width));
  }
  FrameView<const T> view() const { return {pixels.data(), extent}; }
  FrameView<T> target() { return {pixels.data(), extent}; }
};

/// A movie in C order.
template <Pixel T>
struct Movie {
  std::size_t frames = 0;
  Extent extent;
  std::vector<T> pixels;

  Movie() = default;
  Movie(std::size_t count, Extent size, T value = T{})
      : frames(count), extent(size), pixels(count * size.area(), value) {}

  FrameView<const T> operator[](std::size_t frame) const {
    return {pixels.data() + frame * extent.area(), extent};
  }
  void set(std::size_t frame, const Image<T>& image) {
    std::copy(image.pixels.begin(), image.pixels.end(),
              pixels.begin() + static_cast<std::ptrdiff_t>(frame * extent.area()));
  }
  Image<T> image(std::size_t frame) const {
    Image<T> copy(extent);
    copy.pixels.assign(pixels.begin() + static_cast<std::ptrdiff_t>(frame * extent.area()),
                       pixels.begin() + static_cast<std::ptrdiff_t>((frame + 1) * extent.area()));
    return copy;
  }
  MovieView<const T> view() const { return {pixels.data(), frames, extent}; }
  MovieView<T> target() { return {pixels.data(), frames, extent}; }
};

/// Random numbers that are the same with every standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// In [0, 1).
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Mean 0, standard deviation 1.
  double normal() {
    return std::sqrt(-2.0 * std::log(1.0 - uniform())) *
           std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  std::mt19937_64 engine_;
};

/// `value`, rounded and saturated where `T` is an integer.
template <Pixel T>
T as_pixel(double value) {
  if constexpr (std::is_integral_v<T>) {
    value = std::nearbyint(value);
    value = std::fmax(value, static_cast<double>(std::numeric_limits<T>::lowest()));
    value = std::fmin(value, static_cast<double>(std::numeric_limits<T>::max()));
  }
  return static_cast<T>(value);
}

/// White noise over the whole range of an integer type, over [0, 255) for floats.
template <Pixel T>
Image<T> noise(Extent extent, Random& random) {
  Image<T> image(extent);
  double low = 0.0;
  double high = 255.0;
  if constexpr (std::is_integral_v<T>) {
    low = static_cast<double>(std::numeric_limits<T>::lowest()) - 0.5;
    high = static_cast<double>(std::numeric_limits<T>::max()) + 0.5;
  }
  for (T& pixel : image.pixels) pixel = as_pixel<T>(random.uniform(low, high));
  return image;
}

/// A smooth scene that can be sampled anywhere: round blobs on black, values in [0, 255].
class Scene {
 public:
  Scene(Extent extent, Random& random, std::size_t blobs = 12) {
    const auto height = static_cast<double>(extent.height);
    const auto width = static_cast<double>(extent.width);
    for (std::size_t i = 0; i < blobs; ++i) {
      blobs_.push_back({random.uniform(0.2, 0.8) * height, random.uniform(0.2, 0.8) * width,
                        random.uniform(0.03, 0.1) * std::fmin(height, width) + 1.0,
                        random.uniform(30.0, 90.0)});
    }
  }

  [[nodiscard]] double operator()(double y, double x) const {
    double value = 0.0;
    for (const Blob& blob : blobs_) {
      const double dy = (y - blob.y) / blob.radius;
      const double dx = (x - blob.x) / blob.radius;
      value += blob.height * std::exp(-0.5 * (dy * dy + dx * dx));
    }
    return std::fmin(value, 255.0);
  }

  /// The scene moved by -`correction`, so that `correction` is what registers it, with noise.
  template <Pixel T>
  [[nodiscard]] Image<T> frame(Extent extent, Shift correction, double noise,
                               Random& random) const {
    Image<T> image(extent);
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        image(y, x) = as_pixel<T>((*this)(static_cast<double>(y) + correction.height,
                                          static_cast<double>(x) + correction.width) +
                                  noise * random.normal());
      }
    }
    return image;
  }

 private:
  struct Blob {
    double y, x, radius, height;
  };
  std::vector<Blob> blobs_;
};

/// A movie of a scene under a slow drift with jitter; `truth` receives the corrections.
template <Pixel T>
Movie<T> moving_scene(std::size_t frames, Extent extent, double reach, double noise,
                      std::uint64_t seed, ShiftList* truth = nullptr) {
  Random random(seed);
  const Scene scene(extent, random);
  Movie<T> movie(frames, extent);
  for (std::size_t t = 0; t < frames; ++t) {
    const double phase = static_cast<double>(t) / static_cast<double>(frames);
    const Shift correction{reach * (std::sin(5.0 * phase) + random.uniform(-0.5, 0.5)),
                           reach * (std::cos(4.0 * phase) + random.uniform(-0.5, 0.5))};
    if (truth != nullptr) truth->push_back(correction);
    movie.set(t, scene.frame<T>(extent, correction, noise, random));
  }
  return movie;
}

/// The content moved by `by`, circularly.
template <Pixel T>
Image<T> rolled(const Image<T>& image, PixelOffset by) {
  Image<T> result(image.extent);
  for (std::size_t y = 0; y < image.extent.height; ++y) {
    for (std::size_t x = 0; x < image.extent.width; ++x) {
      result(y, x) = image.wrapped(static_cast<std::ptrdiff_t>(y) - by.height,
                                   static_cast<std::ptrdiff_t>(x) - by.width);
    }
  }
  return result;
}

}  // namespace stillscope::test
