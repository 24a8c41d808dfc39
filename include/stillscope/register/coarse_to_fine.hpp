// SPDX-License-Identifier: GPL-3.0-or-later
/// The fast registrar: the peak is found on pooled frames and decided by exact sums at full size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "stillscope/register/coarse_candidates.hpp"
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
  /// Frames shorter than this on an axis [px] are left to the full-size registrar.
  static constexpr std::size_t shortest_axis = 8 * CoarseCandidates<T>::pooling;

  /// `extent` has at least `shortest_axis` pixels on each axis.
  explicit CoarseToFineRegistrar(Extent extent)
      : extent_(extent), candidates_(extent, FftRegistrar<T>::transform_margin) {}

  [[nodiscard]] static bool fits(Extent extent) {
    return std::min(extent.height, extent.width) >= shortest_axis;
  }

  [[nodiscard]] Shift shift_to_register(const FrameRef<T>& src, const FrameRef<T>& dst) override {
    const std::size_t spectra = candidates_.spectra();
    const auto& source = candidates_.pooled(src);
    const auto& destination = candidates_.pooled(dst);
    this->counts_.spectra += candidates_.spectra() - spectra;
    ++this->counts_.registrations;
    if (source.is_flat || destination.is_flat) return {};
    const auto* starts = candidates_(source, destination);
    const auto displacement = starts == nullptr ? std::nullopt : decide(src, dst, *starts);
    return displacement ? -*displacement : fall_back(src, dst);
  }

  void release(std::size_t key) override {
    candidates_.release(key);
    if (full_size_) full_size_->release(key);
  }
  void clear() override {
    candidates_.clear();
    if (full_size_) full_size_->clear();
  }

 private:
  using Window = typename ExactCorrelation<T>::Window;
  using Start = typename CoarseCandidates<T>::Start;

  static constexpr std::size_t longest_climb = 2 * CoarseCandidates<T>::pooling;

  Shift fall_back(const FrameRef<T>& src, const FrameRef<T>& dst) {
    ++this->counts_.fallbacks;
    if (!full_size_) full_size_ = std::make_unique<FftRegistrar<T>>(extent_);
    const RegistrarCounts before = full_size_->counts();
    const Shift shift = full_size_->shift_to_register(src, dst);
    this->counts_.full_spectra += full_size_->counts().spectra - before.spectra;
    this->counts_.windows += full_size_->counts().windows - before.windows;
    return shift;
  }

  /// The highest of the hills' exact peaks, refined; none where a climb does not end.
  std::optional<Shift> decide(const FrameRef<T>& src, const FrameRef<T>& dst,
                              const std::vector<Start>& starts) {
    std::optional<Window> best;
    std::size_t best_index = 0;
    for (const Start& start : starts) {
      PixelOffset centre = start.is_wide ? highest_around(src, dst, start.at) : start.at;
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

  Window window_at(const FrameRef<T>& src, const FrameRef<T>& dst, PixelOffset centre) {
    ++this->counts_.windows;
    return exact_(src, dst, centre);
  }

  /// The highest of the 9x9 displacements round `middle`.
  PixelOffset highest_around(const FrameRef<T>& src, const FrameRef<T>& dst, PixelOffset middle) {
    PixelOffset best = middle;
    std::optional<typename ExactCorrelation<T>::Sum> highest;
    for (const std::ptrdiff_t dy : {-3, 0, 3}) {
      for (const std::ptrdiff_t dx : {-3, 0, 3}) {
        const PixelOffset centre{middle.height + dy, middle.width + dx};
        const Window window = window_at(src, dst, centre);
        for (std::size_t k = 0; k < 9; ++k) {
          if (highest && window[k / 3][k % 3] <= *highest) continue;
          highest = window[k / 3][k % 3];
          best = {centre.height + static_cast<std::ptrdiff_t>(k / 3) - 1,
                  centre.width + static_cast<std::ptrdiff_t>(k % 3) - 1};
        }
      }
    }
    return best;
  }

  /// Moves `centre` to the best of the 3x3 round it until that is the centre.
  std::optional<Window> climb(const FrameRef<T>& src, const FrameRef<T>& dst, PixelOffset& centre) {
    for (std::size_t step = 0; step <= longest_climb; ++step) {
      const Window window = window_at(src, dst, centre);
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
  CoarseCandidates<T> candidates_;
  ExactCorrelation<T> exact_;
  std::unique_ptr<FftRegistrar<T>> full_size_;  // made at the first fallback
};

}  // namespace stillscope
