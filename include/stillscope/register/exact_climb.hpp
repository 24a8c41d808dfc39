// SPDX-License-Identifier: GPL-3.0-or-later
/// From places that could hold a correlation's peak to the peak, by exact sums at full size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
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
    windows_.clear();
    requests_.clear();
    hills_ = nominees.hills;
    for (const Nominees::Hill& hill : hills_) requests_.push_back({hill.top});
    request_stills(nominees.stills);
    evaluate(pair);
    if (!climb_windows(pair, hills_.size())) return std::nullopt;
    // Where the small correlation is too high, others may be higher than the peak found first.
    const auto* others = grid.above(static_cast<double>(best_->window[1][1]) - constant);
    if (others == nullptr) return std::nullopt;
    if (!others->empty()) {
      requests_.clear();
      for (const Nominees::Hill& hill : *others) requests_.push_back({hill.top});
      hills_.insert(hills_.end(), others->begin(), others->end());
      evaluate(pair);
      if (!climb_windows(pair, others->size())) return std::nullopt;
    }
    if (!search_wide_tops(pair, grid, constant) || !climb_stills(pair)) return std::nullopt;
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
  // Up to this radius of a hill [px] a climb finds its highest value.
  static constexpr double widest_climb = 1.5;

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
      if (request.is_window) windows_.push_back(request.centre);
    }
  }

  /// Climbs from the first so many of what was evaluated, in their order; false where a climb does
  /// not end. Keeps the single values behind them.
  bool climb_windows(const Pair& pair, std::size_t count) {
    const auto end = requests_.begin() + static_cast<std::ptrdiff_t>(count);
    starts_.assign(requests_.begin(), end);
    for (auto request = end; request != requests_.end(); ++request) {
      values_.push_back(request->values[1][1]);
    }
    for (const Request& start : starts_) {
      if (!climb_from(pair, start)) return false;
    }
    return true;
  }

  /// Noise can put the highest value of a wide hill beside where a climb ends: looks at the pixels
  /// that could be higher, and goes on from the highest of them. False where a climb does not end.
  bool search_wide_tops(const Pair& pair, CoarseCandidates<T>& grid, double constant) {
    const double value = static_cast<double>(best_->window[1][1]) - constant;
    requests_.clear();
    for (const Nominees::Hill& hill : hills_) {
      if (hill.radius <= widest_climb) continue;
      for (const PixelOffset at : grid.doubtful(hill, best_->at, value)) request_beyond_windows(at);
    }
    if (requests_.empty()) return true;
    evaluate(pair);
    const auto highest = std::max_element(requests_.begin(), requests_.end(),
                                          [](const Request& a, const Request& b) {
                                            return highest_of(a).value < highest_of(b).value;
                                          });
    const Highest start = highest_of(*highest);
    if (start.value < best_->window[1][1]) return true;
    requests_.assign(1, {start.at});
    evaluate(pair);
    return climb_from(pair, Request(requests_.front()));
  }

  /// Requests a pixel that no window has.
  void request_beyond_windows(PixelOffset at) {
    const auto has = [&](PixelOffset centre) { return is_beside(at, centre); };
    if (std::none_of(windows_.begin(), windows_.end(), has)) requests_.push_back({at, false});
  }

  /// Climbs where what stands still could be higher than the best so far; false where it cannot be
  /// told where that is, or a climb does not end.
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
      if (still.is_doubtful) return false;
      requests_.assign(1, {still.at});
      evaluate(pair);
      if (!climb_from(pair, Request(requests_.front()))) return false;
    }
    return true;
  }

  /// The highest value of a window, the middle one where others tie with it; of a single value,
  /// that.
  static Highest highest_of(const Request& request) {
    if (!request.is_window) return {request.values[1][1], request.centre};
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
  std::vector<Request> starts_;
  std::vector<PixelOffset> windows_;  // centres of all that were evaluated
  std::vector<Nominees::Hill> hills_;
  std::vector<StillValues> stills_;
  std::vector<Sum> values_;  // of the stills
};

}  // namespace stillscope
