// SPDX-License-Identifier: GPL-3.0-or-later
/// Frames on a small grid: their spectra, and what pooling lost of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/coarse_grid.hpp"
#include "stillscope/register/frame_ref.hpp"
#include "stillscope/register/small_correlation.hpp"

namespace stillscope {

/// What is kept of a pooled frame.
struct PooledSpectrum : Spectrum {
  double mean = 0.0;         ///< Of the pixels, less the frame's offset.
  double fine_energy = 0.0;  ///< Energy that pooling lost.
  /// Of that, what may belong to the scene: no more than the finest waves on the grid have.
  double scene_energy = 0.0;
  /// Of the energy lost, what lines down the columns or along the rows may have: as noise
  /// (stripes), and at most (the borders of warped frames).
  double column_stripes = 0.0;
  double row_stripes = 0.0;
  double column_lines = 0.0;
  double row_lines = 0.0;
  PixelRange range;  ///< Of the pixels; float types only.
};

/// Pools frames of one size and transforms them; keeps the spectra until they are released. One
/// object a thread.
template <Pixel T>
class PooledSpectra {
 public:
  /// `pooling`: pixels a cell, about.
  PooledSpectra(Extent extent, std::size_t pooling)
      : extent_(extent),
        grid_(extent, pooling),
        fft_(grid_.extent()),
        plane_(grid_.extent().area()),
        power_weights_(pooling_gain(grid_)),
        outer_weights_(power_weights_.size()) {
    const Extent cells = grid_.extent();
    const std::size_t columns = cells.width / 2 + 1;
    for (std::size_t y = 0; y < cells.height; ++y) {
      for (std::size_t x = 0; x < columns; ++x) {
        // Parseval: a half spectrum counts twice but for its first column and, where the width is
        // even, its last.
        const std::size_t i = y * columns + x;
        if (x != 0 && 2 * x != cells.width) power_weights_[i] *= 2.0F;
        const bool is_outer =
            4 * std::min(y, cells.height - y) >= cells.height || 4 * x >= cells.width;
        outer_weights_[i] = is_outer ? power_weights_[i] : 0.0F;
      }
    }
    power_weights_[0] = 0.0F;  // the constant term is not a wave
  }

  [[nodiscard]] const CoarseGrid& grid() const { return grid_; }
  [[nodiscard]] const RealFft<float>& fft() const { return fft_; }

  /// The frame's, made at the first request.
  [[nodiscard]] const PooledSpectrum& operator()(const FrameRef<T>& frame) {
    return cache_.get(frame.key, [&](PooledSpectrum& pooled) {
      if (pooled.values.empty()) {
        pooled.values = AlignedBuffer<std::complex<float>>(fft_.spectrum_size());
      }
      pooled.is_flat = is_flat(frame.view);
      const PoolTally tally = grid_.pool(frame, plane_.data());
      pooled.range = {frame.offset + static_cast<double>(tally.lowest),
                      frame.offset + static_cast<double>(tally.highest)};
      fft_.forward(plane_.data(), pooled.values.data());
      const double sum = grid_.row_scale() * grid_.column_scale() *
                         static_cast<double>(pooled.values.data()[0].real());
      pooled.energy = std::isfinite(tally.energy) ? energy_about_mean(tally.energy, sum, extent_)
                                                  : tally.energy;
      pooled.mean = sum / static_cast<double>(extent_.area());
      const double outer = power(pooled, outer_weights_);
      const double fine = std::max(0.0, pooled.energy - power(pooled, power_weights_));
      // Sharp edges lend the grid's finest waves what belongs to finer ones.
      pooled.fine_energy = std::max(fine, alias_share * outer);
      pooled.scene_energy = std::min(pooled.fine_energy, outer);
      find_stripes(pooled);
      ++made_;
    });
  }

  void release(std::size_t key) { cache_.release(key); }
  void clear() { cache_.clear(); }
  /// Frames pooled and transformed so far.
  [[nodiscard]] std::size_t made() const { return made_; }

 private:
  static constexpr double alias_share = 0.25;

  /// The energy of the waves that the grid can carry, or of some of them.
  [[nodiscard]] static double power(const Spectrum& pooled, const std::vector<float>& weights) {
    return static_cast<double>(float_kernels().weighted_power(
        reinterpret_cast<const float*>(pooled.values.data()), weights.data(), weights.size()));
  }

  /// From the grid's two finest octaves on each axis of the spectrum to the octaves beyond: as the
  /// energy grows from the one to the other, but no faster than that of white lines, which doubles.
  /// Of lines that are no noise, no slower than not at all: strips at the frame's edges interfere,
  /// and two octaves do not tell how their energy goes on.
  void find_stripes(PooledSpectrum& pooled) const {
    const Extent cells = grid_.extent();
    const std::size_t columns = cells.width / 2 + 1;
    const auto lost = [&](std::size_t n, std::size_t stride, std::size_t waves, double scale,
                          double& lines) {
      double outer = 0.0;
      double inner = 0.0;
      for (std::size_t k = 1; k < waves; ++k) {
        const std::size_t frequency = std::min(k, n - k);
        const double power = static_cast<double>(power_weights_[k * stride] *
                                                 std::norm(pooled.values.data()[k * stride]));
        if (4 * frequency >= n) {
          outer += power;
        } else if (8 * frequency >= n) {
          inner += power;
        }
      }
      const double growth = outer < 2.0 * inner ? outer / inner : 2.0;
      const auto beyond = [&](double factor) {
        double energy = 0.0;
        double octave = outer;
        for (double left = std::log2(scale); left > 0.0; left -= 1.0) {
          octave *= factor;
          energy += std::min(left, 1.0) * octave;
        }
        return std::min(energy, pooled.fine_energy);
      };
      lines = beyond(std::max(growth, 1.0));
      return beyond(growth);
    };
    pooled.column_stripes =
        lost(cells.width, 1, columns, grid_.column_scale(), pooled.column_lines);
    pooled.row_stripes =
        lost(cells.height, columns, cells.height, grid_.row_scale(), pooled.row_lines);
  }

  Extent extent_;
  CoarseGrid grid_;
  RealFft<float> fft_;
  SpectrumCache<PooledSpectrum> cache_;
  AlignedBuffer<float> plane_;        // a pooled frame
  std::vector<float> power_weights_;  // Parseval's
  std::vector<float> outer_weights_;  // of the finest waves alone
  std::size_t made_ = 0;
};

}  // namespace stillscope
