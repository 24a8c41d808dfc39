// SPDX-License-Identifier: GPL-3.0-or-later
/// From places that could hold a correlation's peak to the peak, by exact sums at full size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <vector>

#include "stillscope/register/coarse_candidates.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/registrar.hpp"

namespace stillscope {

/// Climbs the exact correlation of Eq. (1) from the nominees of a grid, and takes the highest peak:
/// docs/algorithm.md, "Coarse to fine". One object a thread.
template <Pixel T>
class ExactClimb {
 public:
  /// A local maximum of the exact correlation.
  struct Peak {
    typename ExactCorrelation<T>::Window window;
    PixelOffset at;
  };

  /// `extent`: of the frames.
  explicit ExactClimb(Extent extent) : extent_(extent) {}

  /// The highest of the exact peaks near the nominees, which `grid` has made of this pair; none
  /// where the grid cannot be trusted. `constant`: by how much exact values are above those of
  /// frames less their means. Counts what it does.
  std::optional<Peak> operator()(const FrameRef<T>& src, const FrameRef<T>& dst,
                                 const Nominees& nominees, CoarseCandidates<T>& grid,
                                 double constant, RegistrarCounts& counts,
                                 const Executor& executor) {
    const Pair pair{src, dst, counts, executor};
    best_.reset();
    values_.clear();
    requests_.clear();
    for (const Nominees::Hill& hill : nominees.hills) request_around(hill);
    request_stills(nominees.stills);
    evaluate(pair);
    if (!climb_hills(pair, nominees.hills)) return std::nullopt;
    // Where the small correlation is too high, others may be higher than the peak found first.
    const auto* others = grid.above(static_cast<double>(best_->window[1][1]) - constant);
    if (others == nullptr) return std::nullopt;
    if (!others->empty()) {
      requests_.clear();
      for (const Nominees::Hill& hill : *others) request_around(hill);
      evaluate(pair);
      if (!climb_hills(pair, *others)) return std::nullopt;
    }
    if (!climb_stills(pair)) return std::nullopt;
    return best_;
  }

  /// Of a displacement, in C order.
  [[nodiscard]] std::size_t index_of(PixelOffset at) const {
    return wrap_index(at.height, extent_.height) * extent_.width +
           wrap_index(at.width, extent_.width);
  }

 private:
  using Sum = typename ExactCorrelation<T>::Sum;
  using Request = typename ExactCorrelation<T>::Request;

  static constexpr std::size_t longest_climb = 8;

  struct Pair {
    const FrameRef<T>& src;
    const FrameRef<T>& dst;
    RegistrarCounts& counts;
    const Executor& executor;
  };

  /// A still, and where its exact values are: there and, where one axis moves, a step to either
  /// side across.
  struct StillValues {
    Nominees::Still still;
    std::size_t first;  // in `values_`
  };

  struct Highest {
    Sum value;
    PixelOffset at;
  };

  /// How many windows a hill gets: those whose nearest displacement lies within its radius. Beside
  /// the first one these are 2 px away on the axes, and 2 px on both in the corners.
  static std::size_t tiles(const Nominees::Hill& hill) {
    if (hill.radius <= CoarseCandidates<T>::widest_climb) return 1;
    return hill.radius <= 2.0 * std::numbers::sqrt2 ? 5 : 9;
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

  /// Single displacements for what stands still beside the windows. All at once with these: the
  /// frames come from memory once.
  void request_stills(const std::vector<Nominees::Still>& stills) {
    const auto windows = static_cast<std::ptrdiff_t>(requests_.size());
    stills_.clear();
    for (const Nominees::Still& still : stills) {
      const bool is_covered =
          std::any_of(requests_.begin(), requests_.begin() + windows,
                      [&](const Request& request) { return is_beside(still.at, request.centre); });
      if (is_covered) continue;
      stills_.push_back({still, requests_.size() - static_cast<std::size_t>(windows)});
      requests_.push_back({still.at, false});
      if (still.across == PixelOffset{}) continue;
      requests_.push_back({still.at + still.across, false});
      requests_.push_back({still.at - still.across, false});
    }
  }

  void evaluate(const Pair& pair) {
    exact_(pair.src, pair.dst, requests_, pair.executor);
    for (const Request& request : requests_) {
      ++(request.is_window ? pair.counts.windows : pair.counts.points);
    }
  }

  /// Climbs from the windows that were requested for these hills, in their order; false where a
  /// climb does not end. Keeps the single values that were requested behind the windows.
  bool climb_hills(const Pair& pair, const std::vector<Nominees::Hill>& hills) {
    starts_.clear();
    auto request = requests_.begin();
    for (const Nominees::Hill& hill : hills) {
      const auto end = request + static_cast<std::ptrdiff_t>(tiles(hill));
      starts_.push_back(*std::max_element(request, end, [](const Request& a, const Request& b) {
        return highest_of(a).value < highest_of(b).value;
      }));
      request = end;
    }
    for (; request != requests_.end(); ++request) values_.push_back(request->values[1][1]);
    for (const Request& start : starts_) {
      if (!climb_from(pair, start)) return false;
    }
    return true;
  }

  /// Climbs where what stands still could be higher than the best so far.
  bool climb_stills(const Pair& pair) {
    for (const auto& [still, first] : stills_) {
      const auto lead = [&, at = values_[first]](Sum value) {
        return static_cast<double>(value - at);
      };
      bool is_out = is_beside(still.at, best_->at) || lead(best_->window[1][1]) > still.slack;
      if (still.across != PixelOffset{}) {
        // Not even the highest of its neighbours across the axis without motion.
        const double higher = std::max(lead(values_[first + 1]), lead(values_[first + 2]));
        is_out = is_out || higher > still.slack;
      }
      if (is_out) continue;
      requests_.assign(1, {still.at});
      evaluate(pair);
      if (!climb_from(pair, Request(requests_.front()))) return false;
    }
    return true;
  }

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
  bool climb_from(const Pair& pair, Request at) {
    for (std::size_t step = 0; step <= longest_climb; ++step) {
      const Highest highest = highest_of(at);
      if (highest.at == at.centre) {
        const Peak peak{at.values, at.centre};
        if (!best_ || is_higher(peak, *best_)) best_ = peak;
        return true;
      }
      requests_.assign(1, {highest.at});
      evaluate(pair);
      at = requests_.front();
    }
    return false;
  }

  /// True where the window round `centre` holds `at`.
  static bool is_beside(PixelOffset at, PixelOffset centre) {
    return std::abs(at.height - centre.height) <= 1 && std::abs(at.width - centre.width) <= 1;
  }

  [[nodiscard]] bool is_higher(const Peak& a, const Peak& b) const {
    const auto difference = a.window[1][1] - b.window[1][1];
    return difference > 0 || (difference == 0 && index_of(a.at) < index_of(b.at));
  }

  Extent extent_;
  ExactCorrelation<T> exact_;
  std::optional<Peak> best_;
  std::vector<Request> requests_;
  std::vector<Request> starts_;  // a window a hill
  std::vector<StillValues> stills_;
  std::vector<Sum> values_;  // of the stills
};

}  // namespace stillscope
