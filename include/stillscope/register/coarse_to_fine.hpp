// SPDX-License-Identifier: GPL-3.0-or-later
/// The fast registrar: the peak is found on pooled frames and decided by exact sums at full size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "stillscope/register/coarse_candidates.hpp"
#include "stillscope/register/exact_climb.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/register/peak.hpp"
#include "stillscope/register/registrar.hpp"

namespace stillscope {

/// Gives the full-size registrar's shifts without its transforms (docs/algorithm.md, "Coarse to
/// fine"): a small correlation of pooled frames nominates, exact sums of Eq. (1) at full size climb
/// from there and decide. Where the coarsest grid cannot be trusted a finer one is asked, and after
/// the finest the full-size registrar; both are counted.
template <Pixel T>
class CoarseToFineRegistrar final : public Registrar<T> {
 public:
  /// Frames shorter than this on an axis [px] are left to the full-size registrar.
  static constexpr std::size_t shortest_axis = 32;

  /// `extent` has at least `shortest_axis` pixels on each axis.
  explicit CoarseToFineRegistrar(Extent extent) : extent_(extent), climb_(extent) {
    if (std::min(extent.height, extent.width) >= coarsest_from) poolings_.push_back(8);
    poolings_.push_back(4);
    grids_.resize(poolings_.size());
  }

  [[nodiscard]] static bool fits(Extent extent) {
    return std::min(extent.height, extent.width) >= shortest_axis;
  }

  std::optional<PixelRange> prepare(const FrameRef<T>& frame) override {
    if constexpr (std::is_integral_v<T>) {
      return frame.range;
    } else {
      const auto& result = pooled(0, frame);
      if (std::isfinite(result.energy)) return result.range;
      // Not finite, or too large to be squared.
      release(frame.key);
      const FrameSummary summary = summarize(frame.view);
      return summary.non_finite == 0 ? std::optional(summary.range) : std::nullopt;
    }
  }

  [[nodiscard]] Shift shift_to_register(const FrameRef<T>& src, const FrameRef<T>& dst,
                                        const Executor& executor = SerialExecutor()) override {
    ++this->counts_.registrations;
    for (std::size_t level = 0; level < grids_.size(); ++level) {
      const auto& source = pooled(level, src);
      const auto& destination = pooled(level, dst);
      // Every displacement of a flat frame ties, and the first in C order is none.
      if (source.is_flat || destination.is_flat) return {};
      check_energy(source.energy, extent_);
      check_energy(destination.energy, extent_);
      if (level > 0) ++this->counts_.refinements;
      CoarseCandidates<T>& candidates = grid(level);
      const Nominees* nominees = candidates(source, destination);
      if (nominees == nullptr) continue;
      const double constant =
          ExactCorrelation<T>::constant(src, dst, source.mean, destination.mean);
      const auto peak = climb_(src, dst, *nominees, candidates, constant, this->counts_, executor);
      if (peak) {
        const std::size_t index = climb_.index_of(peak->at);
        return -displacement_at_peak(peak->window, index / extent_.width, index % extent_.width,
                                     extent_);
      }
    }
    return fall_back(src, dst, executor);
  }

  void release(std::size_t key) override {
    for (auto& grid : grids_) {
      if (grid) grid->release(key);
    }
    if (full_size_) full_size_->release(key);
  }
  void clear() override {
    for (auto& grid : grids_) {
      if (grid) grid->clear();
    }
    if (full_size_) full_size_->clear();
  }

 private:
  // Frames from this size on have cells enough for the coarsest grid.
  static constexpr std::size_t coarsest_from = 256;

  /// Made at the first request: finer grids may never be needed.
  CoarseCandidates<T>& grid(std::size_t level) {
    std::unique_ptr<CoarseCandidates<T>>& grid = grids_[level];
    if (!grid) {
      const bool is_finest = level + 1 == grids_.size();
      grid = std::make_unique<CoarseCandidates<T>>(extent_, poolings_[level], is_finest,
                                                   FftRegistrar<T>::transform_margin);
    }
    return *grid;
  }

  const PooledSpectrum& pooled(std::size_t level, const FrameRef<T>& frame) {
    CoarseCandidates<T>& candidates = grid(level);
    const std::size_t before = candidates.spectra();
    const auto& result = candidates.pooled(frame);
    (level == 0 ? this->counts_.spectra : this->counts_.extra_spectra) +=
        candidates.spectra() - before;
    return result;
  }

  Shift fall_back(const FrameRef<T>& src, const FrameRef<T>& dst, const Executor& executor) {
    ++this->counts_.fallbacks;
    if (!full_size_) full_size_ = std::make_unique<FftRegistrar<T>>(extent_);
    const RegistrarCounts before = full_size_->counts();
    const Shift shift = full_size_->shift_to_register(src, dst, executor);
    this->counts_.extra_spectra += full_size_->counts().spectra - before.spectra;
    this->counts_.windows += full_size_->counts().windows - before.windows;
    return shift;
  }

  Extent extent_;
  std::vector<std::size_t> poolings_;  // [px], from the coarsest grid to the finest
  std::vector<std::unique_ptr<CoarseCandidates<T>>> grids_;
  ExactClimb<T> climb_;
  std::unique_ptr<FftRegistrar<T>> full_size_;  // made at the first fallback
};

}  // namespace stillscope
