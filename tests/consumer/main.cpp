// SPDX-License-Identifier: GPL-3.0-or-later
/// A tiny movie with known motion, through the installed library. Fails where the motion is not
/// found.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <stillscope/stillscope.hpp>

int main() {
  constexpr std::size_t frames = 20;
  constexpr stillscope::Extent extent{48, 64};
  std::vector<std::uint8_t> pixels(frames * extent.area());
  std::vector<std::uint8_t> corrected(pixels.size());
  std::vector<stillscope::Shift> truth(frames);
  for (std::size_t t = 0; t < frames; ++t) {
    truth[t] = {std::round(3.0 * std::sin(0.9 * static_cast<double>(t))),
                std::round(4.0 * std::cos(0.7 * static_cast<double>(t)))};
    for (std::size_t y = 0; y < extent.height; ++y) {
      for (std::size_t x = 0; x < extent.width; ++x) {
        const double dy = static_cast<double>(y) + truth[t].height - 24.0;
        const double dx = static_cast<double>(x) + truth[t].width - 32.0;
        pixels[(t * extent.height + y) * extent.width + x] =
            static_cast<std::uint8_t>(220.0 * std::exp(-(dy * dy + 2.0 * dx * dx) / 60.0));
      }
    }
  }

  const stillscope::MovieView<const std::uint8_t> movie(pixels.data(), frames, extent);
  const stillscope::MovieView<std::uint8_t> out(corrected.data(), frames, extent);
  const auto motion = stillscope::estimate_motion(movie);
  stillscope::apply_motion<std::uint8_t>(movie, motion.shifts, out);

  // Shifts are known up to a constant: compare with the first frame's.
  double worst = 0.0;
  for (std::size_t t = 0; t < frames; ++t) {
    const auto error = (motion.shifts[t] - motion.shifts[0]) - (truth[t] - truth[0]);
    worst = std::fmax(worst, std::fmax(std::fabs(error.height), std::fabs(error.width)));
  }
  int spread = 0;  // of the pixel in the middle of the blob, over the corrected frames
  for (std::size_t t = 0; t < frames; ++t) {
    const std::size_t middle = extent.area() / 2 + extent.width / 2;
    spread = std::max(spread, std::abs(corrected[t * extent.area() + middle] - corrected[middle]));
  }
  std::printf("stillscope %s: largest error %.4f px, spread %d\n", STILLSCOPE_VERSION, worst,
              spread);
  return worst < 0.1 && spread < 10 ? 0 : 1;
}
