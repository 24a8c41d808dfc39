// SPDX-License-Identifier: GPL-3.0-or-later
/// The fixed case whose instructions are counted (bench/performance/instructions.py): a movie is
/// estimated once, so that memory and plans are there, and once more inside `counted_estimate`.
/// Arguments: float or uint8; a file for the movie, which is made where it does not exist.
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "stillscope/movie/estimate_motion.hpp"
#include "support.hpp"

namespace stillscope::bench {
namespace {

constexpr Extent extent{480, 752};
constexpr std::size_t frames = 27;

template <Pixel T>
std::vector<T> pixels_from(const std::string& path) {
  std::vector<T> pixels(frames * extent.area());
  const auto size = static_cast<std::streamsize>(pixels.size() * sizeof(T));
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    pixels = Movie<T>(frames, extent).pixels;
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(pixels.data()), size);
  } else {
    in.read(reinterpret_cast<char*>(pixels.data()), size);
    require(in.gcount() == size, "size of the movie's file");
  }
  return pixels;
}

const auto tree_alone = EstimateSettings::tree_alone(EstimateSettings().tree);

}  // namespace

/// Found by its name.
template <Pixel T>
[[gnu::noinline]] MotionEstimate counted_estimate(const MovieView<const T>& movie) {
  return estimate_motion(movie, tree_alone);
}

template <Pixel T>
int count(const std::string& path) {
  const auto pixels = pixels_from<T>(path);
  const MovieView<const T> movie(pixels.data(), frames, extent);
  const ShiftList expected = estimate_motion(movie, tree_alone).shifts;
  require(counted_estimate(movie).shifts == expected, "the same shifts again");
  std::printf("%zu\n", frames);
  return EXIT_SUCCESS;
}

}  // namespace stillscope::bench

int main(int argc, char** argv) {
  const std::string type = argc == 3 ? argv[1] : "";
  if (type == "float") return stillscope::bench::count<float>(argv[2]);
  if (type == "uint8") return stillscope::bench::count<std::uint8_t>(argv[2]);
  std::fprintf(stderr, "usage: %s float|uint8 FILE\n", argv[0]);
  return EXIT_FAILURE;
}
