// SPDX-License-Identifier: GPL-3.0-or-later
/// What the benchmarks share: a movie with known motion, and the context printed first.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numbers>
#include <string>
#include <type_traits>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"
#include "stillscope/version.hpp"

namespace stillscope::bench {

/// A smooth, bounded scene at a position in px: a sum of waves of 9 to 70 px in many directions.
inline double scene(double y, double x) {
  constexpr int waves = 24;
  double value = 0.0;
  for (int k = 0; k < waves; ++k) {
    const double angle = 2.4 * k;
    const double frequency = 2.0 * std::numbers::pi / (9.0 + 2.6 * k);
    value += std::sin(frequency * (std::cos(angle) * y + std::sin(angle) * x) + 1.7 * k);
  }
  return 110.0 + 18.0 * value;
}

/// A movie whose scene moves by known, sub-pixel displacements, with reproducible noise.
template <Pixel T>
struct Movie {
  std::size_t frames;
  Extent extent;
  std::vector<T> pixels;
  std::vector<Shift> displacement;

  Movie(std::size_t frame_count, Extent size)
      : frames(frame_count), extent(size), pixels(frame_count * size.area()) {
    std::uint64_t state = 88172645463325252ULL;
    const auto random = [&] {  // xorshift64: uniform in [-0.5, 0.5)
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      return static_cast<double>(state >> 11) / 9007199254740992.0 - 0.5;
    };
    // The scene once, oversampled 4 times, so that a frame is a cheap look-up at quarter pixels.
    constexpr std::size_t fine = 4;
    constexpr std::size_t margin = 16;
    const Extent canvas{fine * (size.height + 2 * margin), fine * (size.width + 2 * margin)};
    std::vector<float> samples(canvas.area());
    for (std::size_t y = 0; y < canvas.height; ++y) {
      for (std::size_t x = 0; x < canvas.width; ++x) {
        samples[y * canvas.width + x] =
            static_cast<float>(scene(static_cast<double>(y) / fine, static_cast<double>(x) / fine));
      }
    }
    Shift at;
    for (std::size_t t = 0; t < frames; ++t) {
      at.height = std::clamp(at.height + 2.0 * random(), -12.0, 12.0);
      at.width = std::clamp(at.width + 2.0 * random(), -12.0, 12.0);
      const auto dy = static_cast<std::ptrdiff_t>(std::lround(fine * at.height));
      const auto dx = static_cast<std::ptrdiff_t>(std::lround(fine * at.width));
      displacement.push_back({static_cast<double>(dy) / fine, static_cast<double>(dx) / fine});
      T* frame = pixels.data() + t * size.area();
      for (std::size_t y = 0; y < size.height; ++y) {
        const float* row =
            samples.data() +
            static_cast<std::size_t>(static_cast<std::ptrdiff_t>(fine * (y + margin)) - dy) *
                canvas.width;
        for (std::size_t x = 0; x < size.width; ++x) {
          const auto column =
              static_cast<std::size_t>(static_cast<std::ptrdiff_t>(fine * (x + margin)) - dx);
          const double value = static_cast<double>(row[column]) + 12.0 * random();
          frame[y * size.width + x] =
              std::is_integral_v<T> ? static_cast<T>(std::clamp(std::nearbyint(value), 0.0, 255.0))
                                    : static_cast<T>(value);
        }
      }
    }
  }

  [[nodiscard]] MovieView<const T> view() const { return {pixels.data(), frames, extent}; }
};

/// RMS error [px] of a correction, one constant per axis removed.
inline double residual(const ShiftList& shifts, const std::vector<Shift>& displacement) {
  const auto n = static_cast<double>(shifts.size());
  Shift mean;
  for (std::size_t i = 0; i < shifts.size(); ++i) mean += shifts[i] + displacement[i];
  double sum = 0.0;
  for (std::size_t i = 0; i < shifts.size(); ++i) {
    const Shift e = shifts[i] + displacement[i];
    sum += std::pow(e.height - mean.height / n, 2) + std::pow(e.width - mean.width / n, 2);
  }
  return std::sqrt(sum / (2.0 * n));
}

/// Ends the program where an answer is wrong: a fast wrong answer is not timed.
inline void require(bool is_right, const char* what) {
  if (is_right) return;
  std::fprintf(stderr, "wrong answer: %s\n", what);
  std::exit(EXIT_FAILURE);
}

/// Prints machine, versions and flags, then runs what is registered.
inline int run(int argc, char** argv) {
  benchmark::AddCustomContext("stillscope", STILLSCOPE_VERSION);
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::AddCustomContext("build type", STILLSCOPE_BUILD_TYPE);
  benchmark::AddCustomContext("instruction set", instruction_set());
  benchmark::AddCustomContext("default threads", std::to_string(thread_count()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return EXIT_FAILURE;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return EXIT_SUCCESS;
}

}  // namespace stillscope::bench
