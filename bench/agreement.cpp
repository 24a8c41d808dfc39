// SPDX-License-Identifier: GPL-3.0-or-later
/// Do the two registrars agree? Pairs of frames of many kinds, each registered coarse to fine and
/// at full size; a line of the table says how far the shifts were apart and how often a finer grid
/// or the full size had to be asked. The evidence for the margins in docs/algorithm.md. Arguments:
/// pairs a line (default 40), seed (default 1). Ends with status 1 where a shift differs.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "stillscope/register/coarse_to_fine.hpp"
#include "stillscope/register/fft_registrar.hpp"

namespace stillscope::bench {
namespace {

using Plane = std::vector<double>;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  double normal() {
    return std::sqrt(-2.0 * std::log(1.0 - uniform(0.0, 1.0))) *
           std::cos(2.0 * std::numbers::pi * uniform(0.0, 1.0));
  }

 private:
  std::mt19937_64 engine_;
};

std::size_t circular(std::ptrdiff_t i, std::size_t n) { return wrap_index(i, n); }

/// A circular running mean over 2 `reach` + 1 rows or columns.
void smear(Plane& plane, Extent extent, std::ptrdiff_t reach, bool along_rows) {
  const std::size_t lines = along_rows ? extent.height : extent.width;
  const std::size_t n = along_rows ? extent.width : extent.height;
  const auto at = [&](std::size_t line, std::ptrdiff_t i) -> double& {
    const std::size_t k = circular(i, n);
    return along_rows ? plane[line * extent.width + k] : plane[k * extent.width + line];
  };
  Plane smooth(n);
  for (std::size_t line = 0; line < lines; ++line) {
    double sum = 0.0;
    for (std::ptrdiff_t i = -reach; i <= reach; ++i) sum += at(line, i);
    for (std::size_t i = 0; i < n; ++i) {
      const auto here = static_cast<std::ptrdiff_t>(i);
      smooth[i] = sum / static_cast<double>(2 * reach + 1);
      sum += at(line, here + reach + 1) - at(line, here - reach);
    }
    for (std::size_t i = 0; i < n; ++i) at(line, static_cast<std::ptrdiff_t>(i)) = smooth[i];
  }
}

/// Mean 0, standard deviation 1.
void normalize(Plane& plane) {
  double sum = 0.0;
  for (const double value : plane) sum += value;
  const double mean = sum / static_cast<double>(plane.size());
  double power = 0.0;
  for (const double value : plane) power += (value - mean) * (value - mean);
  const double deviation = std::sqrt(power / static_cast<double>(plane.size()));
  for (double& value : plane) value = (value - mean) / deviation;
}

Plane noise(Extent extent, Random& random) {
  Plane plane(extent.area());
  for (double& value : plane) value = random.normal();
  return plane;
}

/// Circular noise whose details are about `size` px wide.
Plane texture(Extent extent, double size, Random& random) {
  Plane plane = noise(extent, random);
  // Three running means are nearly a Gaussian.
  const auto reach = static_cast<std::ptrdiff_t>(std::lround(size / 2.0));
  for (int k = 0; k < 3; ++k) {
    if (reach == 0) break;
    smear(plane, extent, reach, true);
    smear(plane, extent, reach, false);
  }
  normalize(plane);
  return plane;
}

/// Half a pixel's blend of four neighbours at a displacement, circular; `window`: not circular,
/// what comes in is other texture.
Plane moved(const Plane& plane, Extent extent, double dy, double dx) {
  const double top = std::floor(-dy);
  const double left = std::floor(-dx);
  const double wy = -dy - top;
  const double wx = -dx - left;
  Plane result(extent.area());
  for (std::size_t y = 0; y < extent.height; ++y) {
    const auto upper =
        circular(static_cast<std::ptrdiff_t>(y) + static_cast<std::ptrdiff_t>(top), extent.height);
    const std::size_t lower = (upper + 1) % extent.height;
    for (std::size_t x = 0; x < extent.width; ++x) {
      const auto a = circular(static_cast<std::ptrdiff_t>(x) + static_cast<std::ptrdiff_t>(left),
                              extent.width);
      const std::size_t b = (a + 1) % extent.width;
      const auto row = [&](std::size_t r) {
        return (1.0 - wx) * plane[r * extent.width + a] + wx * plane[r * extent.width + b];
      };
      result[y * extent.width + x] = (1.0 - wy) * row(upper) + wy * row(lower);
    }
  }
  return result;
}

void add(Plane& plane, const Plane& other, double factor) {
  for (std::size_t i = 0; i < plane.size(); ++i) plane[i] += factor * other[i];
}

struct Pair {
  Plane src;
  Plane dst;
};

/// Makes a pair of frames in units of the scene's contrast.
struct Kind {
  std::string name;
  std::function<Pair(Extent, Random&)> make;
};

/// A scene before and after a motion of up to `reach` of the frame, with noise.
Pair moving(const Plane& scene, Extent extent, double reach, double noise_level, Random& random) {
  const double dy = random.uniform(-reach, reach) * static_cast<double>(extent.height);
  const double dx = random.uniform(-reach, reach) * static_cast<double>(extent.width);
  Pair pair{moved(scene, extent, dy, dx), scene};
  add(pair.src, noise(extent, random), noise_level);
  add(pair.dst, noise(extent, random), noise_level);
  return pair;
}

/// The same with a pattern that stays.
Pair with_still(Pair pair, const Plane& still, double level) {
  add(pair.src, still, level);
  add(pair.dst, still, level);
  return pair;
}

Plane stripes(Extent extent, bool along_rows, Random& random) {
  Plane plane(extent.area());
  std::vector<double> line(along_rows ? extent.height : extent.width);
  for (double& value : line) value = random.normal();
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      plane[y * extent.width + x] = line[along_rows ? y : x];
    }
  }
  return plane;
}

Plane vignette(Extent extent) {
  Plane plane(extent.area());
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      const double v = static_cast<double>(y) / static_cast<double>(extent.height) - 0.48;
      const double u = static_cast<double>(x) / static_cast<double>(extent.width) - 0.53;
      plane[y * extent.width + x] = -(v * v + u * u);
    }
  }
  normalize(plane);
  return plane;
}

Plane cells(Extent extent, Random& random) {
  Plane plane(extent.area());
  for (int k = 0; k < 25; ++k) {
    const auto y0 =
        static_cast<std::ptrdiff_t>(random.uniform(0.0, static_cast<double>(extent.height)));
    const auto x0 =
        static_cast<std::ptrdiff_t>(random.uniform(0.0, static_cast<double>(extent.width)));
    const double sigma = random.uniform(2.0, 5.0);
    for (std::ptrdiff_t dy = -15; dy <= 15; ++dy) {
      for (std::ptrdiff_t dx = -15; dx <= 15; ++dx) {
        plane[circular(y0 + dy, extent.height) * extent.width + circular(x0 + dx, extent.width)] +=
            std::exp(-0.5 * static_cast<double>(dy * dy + dx * dx) / (sigma * sigma));
      }
    }
  }
  normalize(plane);
  return plane;
}

/// Up to four rows and columns at the edges, as a warp with fill 0 leaves them on a bright frame.
void blacken(Plane& plane, Extent extent, Random& random) {
  constexpr double black = -5.0;
  std::array<std::size_t, 4> lines;
  for (auto& count : lines) count = static_cast<std::size_t>(random.uniform(0.0, 5.0));
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      if (y < lines[0] || y + lines[1] >= extent.height || x < lines[2] ||
          x + lines[3] >= extent.width) {
        plane[y * extent.width + x] = black;
      }
    }
  }
}

std::vector<Kind> kinds() {
  std::vector<Kind> list;
  for (const double size : {1.0, 3.0, 6.0, 12.0, 30.0}) {
    for (const double level : {0.0, 1.0, 3.0}) {
      char name[64];
      std::snprintf(name, sizeof name, "texture of %g px, noise %g", size, level);
      list.push_back({name, [=](Extent e, Random& r) {
                        return moving(texture(e, size, r), e, 0.03, level, r);
                      }});
    }
  }
  list.push_back({"texture, up to half a frame",
                  [](Extent e, Random& r) { return moving(texture(e, 6.0, r), e, 0.5, 0.5, r); }});
  list.push_back({"texture, fixed pixel pattern", [](Extent e, Random& r) {
                    return with_still(moving(texture(e, 6.0, r), e, 0.03, 0.3, r), noise(e, r),
                                      r.uniform(0.2, 2.0));
                  }});
  list.push_back({"texture, row stripes", [](Extent e, Random& r) {
                    return with_still(moving(texture(e, 6.0, r), e, 0.03, 0.3, r),
                                      stripes(e, true, r), r.uniform(0.2, 2.0));
                  }});
  list.push_back({"texture, column stripes", [](Extent e, Random& r) {
                    return with_still(moving(texture(e, 6.0, r), e, 0.03, 0.3, r),
                                      stripes(e, false, r), r.uniform(0.2, 2.0));
                  }});
  list.push_back({"texture, vignette", [](Extent e, Random& r) {
                    return with_still(moving(texture(e, 3.0, r), e, 0.02, 0.5, r), vignette(e),
                                      4.0);
                  }});
  list.push_back({"clouds, fine texture, vignette", [](Extent e, Random& r) {
                    Plane scene = texture(e, 40.0, r);
                    add(scene, texture(e, 3.0, r), 0.3);
                    return with_still(moving(scene, e, 0.02, 0.2, r), vignette(e), 1.0);
                  }});
  for (const double size : {6.0, 12.0}) {
    char name[64];
    std::snprintf(name, sizeof name, "texture of %g px, black borders", size);
    list.push_back({name, [=](Extent e, Random& r) {
                      Pair pair = moving(texture(e, size, r), e, 0.008, 0.1, r);
                      blacken(pair.src, e, r);
                      blacken(pair.dst, e, r);
                      return pair;
                    }});
  }
  list.push_back(
      {"cells, noise 1", [](Extent e, Random& r) { return moving(cells(e, r), e, 0.03, 1.0, r); }});
  list.push_back({"difference of textures (band-pass)", [](Extent e, Random& r) {
                    Plane scene = texture(e, 6.0, r);
                    Plane smooth = scene;
                    smear(smooth, e, 7, true);
                    smear(smooth, e, 7, false);
                    add(scene, smooth, -1.0);
                    normalize(scene);
                    return moving(scene, e, 0.03, 1.0, r);
                  }});
  list.push_back({"unrelated white noise", [](Extent e, Random& r) {
                    return Pair{noise(e, r), noise(e, r)};
                  }});
  list.push_back({"unrelated texture of 6 px", [](Extent e, Random& r) {
                    return Pair{texture(e, 6.0, r), texture(e, 6.0, r)};
                  }});
  list.push_back({"checkerboard", [](Extent e, Random& r) {
                    Plane board(e.area());
                    for (std::size_t i = 0; i < board.size(); ++i) {
                      board[i] = (i / e.width + i % e.width) % 2 == 0 ? 1.0 : -1.0;
                    }
                    return Pair{moved(board, e, std::floor(r.uniform(0.0, 9.0)), 1.0), board};
                  }});
  list.push_back({"flat", [](Extent e, Random&) {
                    return Pair{Plane(e.area()), Plane(e.area())};
                  }});
  return list;
}

template <Pixel T>
std::vector<T> pixels(const Plane& plane) {
  // Bytes and 12-bit counts as cameras give them, with a bright offset.
  const double contrast = sizeof(T) == 1 ? 20.0 : sizeof(T) == 2 ? 300.0 : 20.0;
  const double offset = sizeof(T) == 2 ? 2000.0 : 110.0;
  std::vector<T> result(plane.size());
  for (std::size_t i = 0; i < plane.size(); ++i) {
    const double value = offset + contrast * plane[i];
    if constexpr (std::is_integral_v<T>) {
      const double highest = static_cast<double>(std::numeric_limits<T>::max());
      result[i] = static_cast<T>(std::clamp(std::nearbyint(value), 0.0, highest));
    } else {
      result[i] = static_cast<T>(value);
    }
  }
  return result;
}

struct Tally {
  std::size_t pairs = 0;
  std::size_t unequal = 0;
  double furthest = 0.0;
  RegistrarCounts counts;
};

template <Pixel T>
void compare(const Pair& pair, Extent extent, Tally& tally) {
  const auto src = pixels<T>(pair.src);
  const auto dst = pixels<T>(pair.dst);
  const auto a = make_frame_ref(FrameView<const T>(src.data(), extent), 0);
  const auto b = make_frame_ref(FrameView<const T>(dst.data(), extent), 1);
  CoarseToFineRegistrar<T> coarse(extent);
  FftRegistrar<T> full(extent);
  const Shift found = coarse.shift_to_register(a, b);
  const Shift expected = full.shift_to_register(a, b);
  ++tally.pairs;
  if (!(found == expected)) ++tally.unequal;
  const Shift difference = found - expected;
  tally.furthest =
      std::max({tally.furthest, std::fabs(difference.height), std::fabs(difference.width)});
  tally.counts.windows += coarse.counts().windows;
  tally.counts.points += coarse.counts().points;
  tally.counts.refinements += coarse.counts().refinements;
  tally.counts.fallbacks += coarse.counts().fallbacks;
}

int run(int pairs, std::uint64_t seed) {
  std::printf("%-36s %-8s %5s %8s %9s %8s %8s %8s %8s\n", "kind", "size", "pairs", "unequal",
              "furthest", "refined", "full", "windows", "points");
  bool agree = true;
  for (const Kind& kind : kinds()) {
    for (const Extent extent : {Extent{200, 200}, {256, 256}, {331, 457}, {480, 752}}) {
      Random random(seed);
      Tally tally;
      for (int k = 0; k < pairs; ++k) {
        const Pair pair = kind.make(extent, random);
        if (k % 3 == 0) compare<float>(pair, extent, tally);
        if (k % 3 == 1) compare<std::uint8_t>(pair, extent, tally);
        if (k % 3 == 2) compare<std::uint16_t>(pair, extent, tally);
      }
      const auto n = static_cast<double>(tally.pairs);
      std::printf("%-36s %-8s %5zu %8zu %9.2g %8zu %8zu %8.2f %8.2f\n", kind.name.c_str(),
                  to_string(extent).c_str(), tally.pairs, tally.unequal, tally.furthest,
                  tally.counts.refinements, tally.counts.fallbacks,
                  static_cast<double>(tally.counts.windows) / n,
                  static_cast<double>(tally.counts.points) / n);
      std::fflush(stdout);
      agree = agree && tally.unequal == 0;
    }
  }
  return agree ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace
}  // namespace stillscope::bench

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 40;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return stillscope::bench::run(pairs, seed);
}
