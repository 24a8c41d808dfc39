// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/filter/fixed_pattern.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <utility>

namespace stillscope {
namespace {

using Complex = std::complex<float>;

/// Shifts are counted in steps of 1 / this [px].
constexpr double steps = 8.0;

/// What a translation along one axis does to the waves of that axis.
struct Waves {
  std::vector<Complex> there;         // of the scene in a frame, beside where it belongs
  std::vector<Complex> interpolated;  // of a frame, once it is moved
};

Waves waves_of(std::ptrdiff_t step, std::size_t n, std::size_t count) {
  const double shift = static_cast<double>(step) / steps;
  const double whole = std::floor(shift);
  const double rest = shift - whole;
  Waves waves;
  for (std::size_t k = 0; k < count; ++k) {
    // Waves beyond the middle go the other way.
    const double wave =
        2 * k <= n ? static_cast<double>(k) : static_cast<double>(k) - static_cast<double>(n);
    const double turn = 2.0 * std::numbers::pi * wave / static_cast<double>(n);
    waves.there.emplace_back(std::polar(1.0, turn * shift));
    waves.interpolated.emplace_back((1.0 - rest) * std::polar(1.0, -turn * whole) +
                                    rest * std::polar(1.0, -turn * (whole + 1.0)));
  }
  return waves;
}

}  // namespace

PatternSplit::PatternSplit(Extent extent, std::span<const Shift> shifts, const Executor& executor)
    : fft_(extent) {
  // How many frames have each step on the height, and of these each on the width.
  std::map<std::ptrdiff_t, std::map<std::ptrdiff_t, std::size_t>> counts;
  std::map<std::ptrdiff_t, Waves> across;
  const std::size_t columns = extent.width / 2 + 1;
  const auto step_of = [](double shift) {
    return static_cast<std::ptrdiff_t>(std::lround(shift * steps));
  };
  for (const Shift& shift : shifts) {
    const std::ptrdiff_t step = step_of(shift.width);
    ++counts[step_of(shift.height)][step];
    if (!across.contains(step)) across.emplace(step, waves_of(step, extent.width, columns));
  }
  struct Row {
    Waves along;
    std::vector<Complex> unmoved;
    std::vector<Complex> moved;
    std::vector<Complex> attenuation;
  };
  std::vector<Row> rows;
  for (const auto& [step, widths] : counts) {
    Row row{waves_of(step, extent.height, extent.height), std::vector<Complex>(columns),
            std::vector<Complex>(columns), std::vector<Complex>(columns)};
    for (const auto& [width, count] : widths) {
      const Waves& waves = across.at(width);
      const float share = static_cast<float>(count) / static_cast<float>(shifts.size());
      for (std::size_t x = 0; x < columns; ++x) {
        row.unmoved[x] += share * waves.there[x];
        row.moved[x] += share * waves.interpolated[x];
        row.attenuation[x] += share * (waves.there[x] * waves.interpolated[x]);
      }
    }
    rows.push_back(std::move(row));
  }
  unmoved_.resize(fft_.spectrum_size());
  moved_.resize(fft_.spectrum_size());
  attenuation_.resize(fft_.spectrum_size());
  executor.for_each(extent.height, [&](std::size_t y) {
    for (const Row& row : rows) {
      const Complex there = row.along.there[y];
      const Complex interpolated = row.along.interpolated[y];
      const Complex both = there * interpolated;
      const std::size_t at = y * columns;
      for (std::size_t x = 0; x < columns; ++x) {
        unmoved_[at + x] += there * row.unmoved[x];
        moved_[at + x] += interpolated * row.moved[x];
        attenuation_[at + x] += both * row.attenuation[x];
      }
    }
  });
}

AlignedBuffer<std::complex<float>> PatternSplit::spectrum(const float* plane) const {
  AlignedBuffer<float> aligned(fft_.extent().area());
  std::copy_n(plane, fft_.extent().area(), aligned.data());
  AlignedBuffer<Complex> out(fft_.spectrum_size());
  fft_.forward(aligned.data(), out.data());
  return out;
}

AlignedBuffer<std::complex<float>> PatternSplit::windowed_spectrum(const float* plane) const {
  const Extent extent = fft_.extent();
  // Raised cosines over an eighth of each side.
  const auto window = [](std::size_t i, std::size_t n) {
    const double edge = std::min(static_cast<double>(i) + 0.5, static_cast<double>(n - i) - 0.5) /
                        static_cast<double>(n);
    return static_cast<float>(0.5 - 0.5 * std::cos(std::numbers::pi * std::min(8.0 * edge, 1.0)));
  };
  std::vector<float> windowed(extent.area());
  for (std::size_t y = 0; y < extent.height; ++y) {
    const float row = window(y, extent.height);
    for (std::size_t x = 0; x < extent.width; ++x) {
      const std::size_t at = y * extent.width + x;
      windowed[at] = row * window(x, extent.width) * plane[at];
    }
  }
  return spectrum(windowed.data());
}

void PatternSplit::operator()(const float* plain, const float* registered, float* scene,
                              float* pattern) const {
  AlignedBuffer<Complex> still = spectrum(plain);
  AlignedBuffer<Complex> moving = spectrum(registered);
  const float scale = 1.0F / static_cast<float>(fft_.extent().area());
  for (std::size_t i = 0; i < still.size(); ++i) {
    const Complex plain_wave = still.data()[i];
    const Complex wave = moving.data()[i];
    const Complex fixed = (plain_wave - still_share(i) * wave) / (told(i) + least_motion);
    still.data()[i] = scale * fixed;
    // As blurred as the mean of registered frames is.
    moving.data()[i] = scale * (wave - moved_[i] * fixed);
  }
  AlignedBuffer<float> plane(fft_.extent().area());
  fft_.inverse(still.data(), plane.data());
  std::copy_n(plane.data(), plane.size(), pattern);
  fft_.inverse(moving.data(), plane.data());
  std::copy_n(plane.data(), plane.size(), scene);
}

MovingScene moving_scene(const std::array<MeanPair, 2>& parts) {
  const std::size_t size = parts[0].split->fft_.spectrum_size();
  std::array<AlignedBuffer<Complex>, 2> still;
  std::array<AlignedBuffer<Complex>, 2> moving;
  for (std::size_t part = 0; part < 2; ++part) {
    still[part] = parts[part].split->windowed_spectrum(parts[part].plain);
    moving[part] = parts[part].split->windowed_spectrum(parts[part].registered);
  }
  constexpr float hardly_any = 0.002F;
  double wary = 0.0;
  double fair = 0.0;
  double all = 0.0;
  double both = 0.0;
  std::array<double, 2> powers{};
  for (std::size_t i = 0; i < size; ++i) {
    const auto rest = [&](std::size_t part) {
      return moving[part].data()[i] - parts[part].split->moved_[i] * still[part].data()[i];
    };
    for (std::size_t part = 0; part < 2; ++part) {
      powers[part] += static_cast<double>(std::norm(rest(part)));
    }
    const float told =
        std::sqrt(std::abs(parts[0].split->told(i)) * std::abs(parts[1].split->told(i)));
    const float shared = (rest(0) * std::conj(rest(1))).real();
    both += static_cast<double>(shared);
    wary += static_cast<double>(shared / (told + PatternSplit::least_motion));
    fair += static_cast<double>(shared / (told + hardly_any));
    all += static_cast<double>((still[0].data()[i] * std::conj(still[1].data()[i])).real());
  }
  const double level = std::sqrt(powers[0] * powers[1]);
  return {all > 0.0 ? wary / all : 0.0, all > 0.0 ? fair / all : 0.0,
          level > 0.0 ? both / level : 0.0};
}

}  // namespace stillscope
