// SPDX-License-Identifier: GPL-3.0-or-later
/// The fast registrar: the peak is found on pooled frames and decided by exact sums at full size.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <optional>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/coarse_grid.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/register/peak.hpp"
#include "stillscope/register/registrar.hpp"

namespace stillscope {

/// Gives the full-size registrar's shifts without its transforms (docs/algorithm.md, "Coarse to
/// fine"): a small correlation of pooled frames nominates, exact sums of Eq. (1) at full size climb
/// from there and decide. Where the small correlation cannot be trusted, the full-size registrar is
/// asked, and a fallback counted.
template <Pixel T>
class CoarseToFineRegistrar final : public Registrar<T> {
 public:
  static constexpr std::size_t pooling = 4;
  /// Frames with fewer cells than this on an axis are left to the full-size registrar.
  static constexpr std::size_t fewest_cells = 8;

  /// `extent` has at least `fewest_cells * pooling` pixels on each axis.
  explicit CoarseToFineRegistrar(Extent extent)
      : extent_(extent),
        grid_(extent, pooling),
        fft_(grid_.extent(), FftPlanning::thorough),
        plane_(grid_.extent().area()),
        product_(fft_.spectrum_size()) {}

  [[nodiscard]] static bool fits(Extent extent) {
    return std::min(extent.height, extent.width) >= fewest_cells * pooling;
  }

  [[nodiscard]] Shift shift_to_register(const FrameRef<T>& src, const FrameRef<T>& dst) override {
    const Pooled& source = pooled(src);
    const Pooled& destination = pooled(dst);
    ++this->counts_.registrations;
    if (source.is_flat || destination.is_flat) return {};
    correlate(source, destination);
    const auto displacement = nominate(source, destination) ? decide(src, dst) : std::nullopt;
    if (displacement) return -*displacement;
    ++this->counts_.fallbacks;
    if (!full_size_) full_size_ = std::make_unique<FftRegistrar<T>>(extent_);
    return full_size_->shift_to_register(src, dst);
  }

  void release(std::size_t key) override {
    cache_.release(key);
    if (full_size_) full_size_->release(key);
  }
  void clear() override {
    cache_.clear();
    if (full_size_) full_size_->clear();
  }

 private:
  using Window = typename ExactCorrelation<T>::Window;

  /// What is kept of a frame.
  struct Pooled : Spectrum {
    double fine_energy = 0.0;  ///< Energy that pooling lost.
  };

  // The part of the correlation that pooling does not see is a sum of many small, unrelated products
  // with this standard deviation: sqrt(lost energy of src * lost energy of dst / pixels). A rival is
  // out of the race where the small correlation has it this many of them below the peak.
  static constexpr double rival_deviations = 8.0;
  // Hills that are looked at exactly before the full-size registrar is cheaper.
  static constexpr std::size_t most_hills = 6;
  static constexpr std::size_t longest_climb = 2 * pooling;

  const Pooled& pooled(const FrameRef<T>& frame) {
    return cache_.get(frame.key, [&](Pooled& pooled) {
      if (pooled.values.empty()) {
        pooled.values = AlignedBuffer<std::complex<float>>(fft_.spectrum_size());
      }
      pooled.is_flat = is_flat(frame.view);
      pooled.energy = grid_.pool(frame.view, frame.mean, gathered_, plane_.data());
      double coarse = 0.0;
      for (const float value : plane_.span()) coarse += static_cast<double>(value * value);
      pooled.fine_energy = std::max(0.0, pooled.energy - area_scale() * coarse);
      fft_.forward(plane_.data(), pooled.values.data());
      ++this->counts_.spectra;
    });
  }

  /// Pixels a cell: a product of cells stands for so many products of pixels.
  [[nodiscard]] double area_scale() const { return grid_.row_scale() * grid_.column_scale(); }

  /// plane_ = the small correlation, in units of the full-size one.
  void correlate(const Pooled& source, const Pooled& destination) {
    cross_power(source.values.data(), destination.values.data(), product_.size(), product_.data());
    fft_.inverse(product_.data(), plane_.data());
    const auto scale = static_cast<float>(area_scale() / static_cast<double>(plane_.size()));
    for (float& value : plane_.span()) value *= scale;
  }

  /// Collects the hills that could hold the peak; false where there are too many.
  bool nominate(const Pooled& source, const Pooled& destination) {
    const Extent cells = grid_.extent();
    const float highest = float_kernels().highest(plane_.data(), plane_.size());
    const double deviation = std::sqrt(source.fine_energy * destination.fine_energy /
                                       static_cast<double>(extent_.area()));
    const auto threshold =
        static_cast<float>(static_cast<double>(highest) - rival_deviations * deviation);
    starts_.clear();
    for (std::size_t y = 0; y < cells.height; ++y) {
      const float* row = plane_.data() + y * cells.width;
      if (float_kernels().highest(row, cells.width) < threshold) continue;
      for (std::size_t x = 0; x < cells.width; ++x) {
        if (row[x] < threshold || !is_hill(y, x)) continue;
        if (starts_.size() == most_hills) return false;
        starts_.push_back(start_at(y, x));
      }
    }
    return true;
  }

  [[nodiscard]] float cell(std::size_t y, std::size_t x, std::size_t i, std::size_t j) const {
    const Extent cells = grid_.extent();
    return plane_.data()[((y + cells.height + i - 1) % cells.height) * cells.width +
                         (x + cells.width + j - 1) % cells.width];
  }

  [[nodiscard]] bool is_hill(std::size_t y, std::size_t x) const {
    const float centre = cell(y, x, 1, 1);
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) {
        if (cell(y, x, i, j) > centre) return false;
      }
    }
    return true;
  }

  /// The whole pixel nearest to a hill's top.
  [[nodiscard]] PixelOffset start_at(std::size_t y, std::size_t x) const {
    float window[3][3];
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) window[i][j] = cell(y, x, i, j);
    }
    const Shift top = displacement_at_peak(window, y, x, grid_.extent());
    return {std::lround(top.height * grid_.row_scale()),
            std::lround(top.width * grid_.column_scale())};
  }

  /// The highest of the hills' exact peaks, refined; none where a climb does not end.
  std::optional<Shift> decide(const FrameRef<T>& src, const FrameRef<T>& dst) {
    std::optional<Window> best;
    std::size_t best_index = 0;
    for (const PixelOffset& start : starts_) {
      PixelOffset centre = start;
      const auto window = climb(src, dst, centre);
      if (!window) return std::nullopt;
      const std::size_t index = wrap_index(centre.height, extent_.height) * extent_.width +
                                wrap_index(centre.width, extent_.width);
      const bool is_higher = !best || (*window)[1][1] > (*best)[1][1];
      const bool is_tie = best && (*window)[1][1] == (*best)[1][1] && index < best_index;
      if (is_higher || is_tie) {
        best = window;
        best_index = index;
      }
    }
    return displacement_at_peak(*best, best_index / extent_.width, best_index % extent_.width,
                                extent_);
  }

  /// Moves `centre` to the best of the 3x3 round it until that is the centre.
  std::optional<Window> climb(const FrameRef<T>& src, const FrameRef<T>& dst, PixelOffset& centre) {
    for (std::size_t step = 0; step <= longest_climb; ++step) {
      const Window window = exact_(src, dst, centre);
      std::size_t best = 4;
      for (std::size_t k = 0; k < 9; ++k) {
        if (window[k / 3][k % 3] > window[best / 3][best % 3]) best = k;
      }
      if (best == 4) return window;
      centre.height += static_cast<std::ptrdiff_t>(best / 3) - 1;
      centre.width += static_cast<std::ptrdiff_t>(best % 3) - 1;
    }
    return std::nullopt;
  }

  Extent extent_;
  CoarseGrid grid_;
  RealFft<float> fft_;
  SpectrumCache<Pooled> cache_;
  AlignedBuffer<float> plane_;                  // a pooled frame, then a small correlation
  AlignedBuffer<std::complex<float>> product_;  // consumed by the inverse transform
  std::vector<PixelOffset> starts_;
  ExactCorrelation<T> exact_;
  std::vector<T> gathered_;
  std::unique_ptr<FftRegistrar<T>> full_size_;
};

}  // namespace stillscope
