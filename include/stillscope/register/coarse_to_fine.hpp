// SPDX-License-Identifier: GPL-3.0-or-later
/// The fast registrar: the peak is found on pooled frames and decided by exact sums at full size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <numbers>
#include <optional>
#include <vector>

#include "stillscope/register/coarse_candidates.hpp"
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
  explicit CoarseToFineRegistrar(Extent extent)
      : extent_(extent) {
    constexpr double margin = FftRegistrar<T>::transform_margin;
    if (std::min(extent.height, extent.width) >= coarsest_from) {
      grids_.push_back(
          std::make_unique<CoarseCandidates<T>>(extent, 8, false, margin));
    }
    grids_.push_back(std::make_unique<CoarseCandidates<T>>(extent, 4, true, margin));
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
      const Nominees* nominees = (*grids_[level])(source, destination);
      if (nominees == nullptr) continue;
      const double constant = Exact::constant(src, dst, source.mean, destination.mean);
      if (const auto peak = decide(src, dst, *nominees, *grids_[level], constant, executor)) {
        const std::size_t index = index_of(peak->at);
        return -displacement_at_peak(peak->window, index / extent_.width, index % extent_.width,
                                     extent_);
      }
    }
    return fall_back(src, dst, executor);
  }

  void release(std::size_t key) override {
    for (auto& grid : grids_) grid->release(key);
    if (full_size_) full_size_->release(key);
  }
  void clear() override {
    for (auto& grid : grids_) grid->clear();
    if (full_size_) full_size_->clear();
  }

 private:
  using Exact = ExactCorrelation<T>;
  using Window = typename Exact::Window;
  using Request = typename Exact::Request;

  // Frames from this size on have cells enough for the coarsest grid.
  static constexpr std::size_t coarsest_from = 256;
  static constexpr std::size_t longest_climb = 8;

  /// A local maximum of the exact correlation.
  struct Peak {
    Window window;
    PixelOffset at;
  };

  const typename CoarseCandidates<T>::Pooled& pooled(std::size_t level, const FrameRef<T>& frame) {
    const std::size_t before = grids_[level]->spectra();
    const auto& result = grids_[level]->pooled(frame);
    (level == 0 ? this->counts_.spectra : this->counts_.extra_spectra) +=
        grids_[level]->spectra() - before;
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

  /// The highest of the exact peaks near the nominees; none where the grid cannot be trusted.
  /// `constant`: by how much exact values are above those of frames less their means.
  std::optional<Peak> decide(const FrameRef<T>& src, const FrameRef<T>& dst,
                             const Nominees& nominees, CoarseCandidates<T>& grid, double constant,
                             const Executor& executor) {
    hills_ = nominees.hills;
    request_first(nominees);
    evaluate(src, dst, executor);
    points_.assign(requests_.end() - static_cast<std::ptrdiff_t>(stills_points()), requests_.end());
    std::optional<Peak> best;
    if (!climb_hills(src, dst, hills_, best, executor)) return std::nullopt;

    // Where the small correlation is too high, others may be higher than the peak found first.
    const Nominees* others =
        grid.above(static_cast<double>(best->window[1][1]) - constant);
    if (others == nullptr) return std::nullopt;
    more_hills_.clear();
    requests_.clear();
    for (const Nominees::Hill& hill : others->hills) {
      const auto is_same = [&](const Nominees::Hill& known) { return known.top == hill.top; };
      if (std::any_of(hills_.begin(), hills_.end(), is_same)) continue;
      more_hills_.push_back(hill);
      request_around(hill);
    }
    if (!more_hills_.empty()) {
      evaluate(src, dst, executor);
      if (!climb_hills(src, dst, more_hills_, best, executor)) return std::nullopt;
    }
    if (!climb_stills(src, dst, best, executor)) return std::nullopt;
    return best;
  }

  /// Windows round the hills, and single displacements for what stands still beside them. All at
  /// once: the frames come from memory once.
  void request_first(const Nominees& nominees) {
    requests_.clear();
    for (const Nominees::Hill& hill : nominees.hills) request_around(hill);
    const auto windows = static_cast<std::ptrdiff_t>(requests_.size());
    const auto is_covered = [&](PixelOffset at) {
      return std::any_of(requests_.begin(), requests_.begin() + windows,
                         [&](const Request& request) { return is_beside(at, request.centre); });
    };
    stills_.clear();
    for (const Nominees::Still& still : nominees.stills) {
      if (!is_covered(still.at)) stills_.push_back(still);
    }
    for (const Nominees::Still& still : stills_) {
      requests_.push_back({still.at, false});
      if (still.across == PixelOffset{}) continue;
      requests_.push_back({still.at + still.across, false});
      requests_.push_back({still.at - still.across, false});
    }
  }

  /// How many of the requests are for stills.
  [[nodiscard]] std::size_t stills_points() const {
    std::size_t points = 0;
    for (const Nominees::Still& still : stills_) points += still.across == PixelOffset{} ? 1 : 3;
    return points;
  }

  /// Climbs from the windows that were requested for these hills, in their order; false where a
  /// climb does not end.
  bool climb_hills(const FrameRef<T>& src, const FrameRef<T>& dst,
                   const std::vector<Nominees::Hill>& hills, std::optional<Peak>& best,
                   const Executor& executor) {
    starts_.clear();
    auto request = requests_.begin();
    for (const Nominees::Hill& hill : hills) {
      const auto end = request + static_cast<std::ptrdiff_t>(tiles(hill));
      starts_.push_back(*std::max_element(request, end, [](const Request& a, const Request& b) {
        return highest_of(a).value < highest_of(b).value;
      }));
      request = end;
    }
    for (const Request& start : starts_) {
      if (!climb_from(src, dst, start, best, executor)) return false;
    }
    return true;
  }

  /// Climbs where what stands still could be higher than the best so far.
  bool climb_stills(const FrameRef<T>& src, const FrameRef<T>& dst, std::optional<Peak>& best,
                    const Executor& executor) {
    auto point = points_.begin();
    for (const Nominees::Still& still : stills_) {
      const auto at = point++;
      const auto lead = [&](typename Exact::Sum value) {
        return static_cast<double>(value - at->values[1][1]);
      };
      bool is_out = is_beside(still.at, best->at) || lead(best->window[1][1]) > still.slack;
      if (still.across != PixelOffset{}) {
        // Not even the highest of its neighbours across the axis without motion.
        const double higher = std::max(lead(point->values[1][1]), lead((point + 1)->values[1][1]));
        is_out = is_out || higher > still.slack;
        point += 2;
      }
      if (is_out) continue;
      requests_.assign(1, {still.at});
      evaluate(src, dst, executor);
      if (!climb_from(src, dst, Request(requests_.front()), best, executor)) return false;
    }
    return true;
  }

  /// One window, or as many side by side as noise makes doubtful.
  void request_around(const Nominees::Hill& hill) {
    requests_.push_back({hill.top});
    if (tiles(hill) == 1) return;
    for (const std::ptrdiff_t dy : {-3, 0, 3}) {
      for (const std::ptrdiff_t dx : {-3, 0, 3}) {
        if (dy == 0 && dx == 0) continue;
        if (dy != 0 && dx != 0 && tiles(hill) == 5) continue;
        requests_.push_back({hill.top + PixelOffset{dy, dx}});
      }
    }
  }

  /// How many windows: those whose nearest displacement lies within the radius. Beside the first
  /// one these are 2 px away on the axes, and 2 px on both in the corners.
  static std::size_t tiles(const Nominees::Hill& hill) {
    if (hill.radius <= CoarseCandidates<T>::widest_climb) return 1;
    return hill.radius <= 2.0 * std::numbers::sqrt2 ? 5 : 9;
  }

  void evaluate(const FrameRef<T>& src, const FrameRef<T>& dst, const Executor& executor) {
    exact_(src, dst, requests_, executor);
    for (const Request& request : requests_) {
      ++(request.is_window ? this->counts_.windows : this->counts_.points);
    }
  }

  struct Highest {
    typename Exact::Sum value;
    PixelOffset at;
  };

  /// The highest value of a window, the middle one where others tie with it.
  static Highest highest_of(const Request& request) {
    std::size_t best = 4;
    for (std::size_t k = 0; k < 9; ++k) {
      if (request.values[k / 3][k % 3] > request.values[best / 3][best % 3]) best = k;
    }
    return {request.values[best / 3][best % 3],
            request.centre + PixelOffset{static_cast<std::ptrdiff_t>(best / 3) - 1,
                                         static_cast<std::ptrdiff_t>(best % 3) - 1}};
  }

  /// Moves to the best of the nine until that is the middle one: a peak, which is the best where it
  /// is higher. False where that takes too long.
  bool climb_from(const FrameRef<T>& src, const FrameRef<T>& dst, Request at,
                  std::optional<Peak>& best, const Executor& executor) {
    for (std::size_t step = 0; step <= longest_climb; ++step) {
      const Highest highest = highest_of(at);
      if (highest.at == at.centre) {
        const Peak peak{at.values, at.centre};
        if (!best || is_higher(peak, *best)) best = peak;
        return true;
      }
      requests_.assign(1, {highest.at});
      evaluate(src, dst, executor);
      at = requests_.front();
    }
    return false;
  }

  /// True where the window round `centre` holds `at`.
  static bool is_beside(PixelOffset at, PixelOffset centre) {
    return std::abs(at.height - centre.height) <= 1 && std::abs(at.width - centre.width) <= 1;
  }

  /// Of a displacement, in C order.
  [[nodiscard]] std::size_t index_of(PixelOffset at) const {
    return wrap_index(at.height, extent_.height) * extent_.width +
           wrap_index(at.width, extent_.width);
  }

  [[nodiscard]] bool is_higher(const Peak& a, const Peak& b) const {
    const auto difference = a.window[1][1] - b.window[1][1];
    return difference > 0 || (difference == 0 && index_of(a.at) < index_of(b.at));
  }

  Extent extent_;
  std::vector<std::unique_ptr<CoarseCandidates<T>>> grids_;  // from the coarsest to the finest
  Exact exact_;
  std::vector<Request> requests_;
  std::vector<Request> starts_;
  std::vector<Request> points_;
  std::vector<Nominees::Hill> hills_;
  std::vector<Nominees::Hill> more_hills_;
  std::vector<Nominees::Still> stills_;
  std::unique_ptr<FftRegistrar<T>> full_size_;  // made at the first fallback
};

}  // namespace stillscope
