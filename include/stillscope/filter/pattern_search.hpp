// SPDX-License-Identifier: GPL-3.0-or-later
/// Which of two sets of shifts tells the scene from what stays on the sensor.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/filter/fixed_pattern.hpp"
#include "stillscope/refine/mean_template.hpp"

namespace stillscope {

/// Means of a movie's frames at two sets of shifts: those of frames as they are, which a pattern
/// that outshines the scene holds at 0; and those of frames without their plain mean, in which a
/// scene that moves little has no part.
class PatternSearch {
 public:
  /// Both sets have a shift for each frame of the movie and must outlive the search.
  PatternSearch(Extent extent, std::array<const ShiftList*, 2> shifts)
      : extent_(extent), shifts_(shifts), plain_(extent), sets_{Parts(extent), Parts(extent)} {}

  /// Adds frames from `begin` on, finite and with contiguous rows, that are good: runs that begin
  /// at multiples of their length, one after the other.
  template <Pixel T>
  void add(const MovieView<const T>& frames, std::size_t begin, const std::vector<bool>& is_good,
           const Executor& executor) {
    constexpr std::size_t group = MeanTemplate::group;
    // Long enough for cells to be active in one part alone.
    const std::size_t run = std::max<std::size_t>(group, shifts_[0]->size() / 4 / group * group);
    for (std::size_t from = 0; from < frames.size(); from += group) {
      std::array<std::vector<RegisteredFrame<T>>, 3> registered;
      for (std::size_t i = from; i < std::min(from + group, frames.size()); ++i) {
        const Shift& first = (*shifts_[0])[begin + i];
        const Shift& second = (*shifts_[1])[begin + i];
        if (!is_good[i] || !first.is_finite() || !second.is_finite()) continue;
        registered[0].push_back({frames[i], Shift{}});
        registered[1].push_back({frames[i], first});
        registered[2].push_back({frames[i], second});
      }
      const std::size_t part = (begin + from) / run % 2;
      plain_.add(part, registered[0], executor);
      sets_[0].add(part, registered[1], executor);
      sets_[1].add(part, registered[2], executor);
    }
  }

  /// Decides which set is right: whether it is the second.
  bool is_second_right(const Executor& executor) {
    const bool has_enough =
        plain_.shifts[0].size() >= least_frames && plain_.shifts[1].size() >= least_frames;
    if (!has_enough || sets_[1].is_wild(extent_)) return false;
    const MovingScene first = sets_[0].moving(plain_, extent_, executor);
    const MovingScene second = sets_[1].moving(plain_, extent_, executor);
    const bool is_second = second.likeness >= least_likeness &&
                           second.wary > std::max(first.wary, least_moving_share) &&
                           second.fair > first.fair + least_gain;
    right_ = is_second ? 1 : 0;
    return is_second;
  }

  /// The mean of the frames as they are.
  [[nodiscard]] std::vector<float> unmoved() const { return plain_.mean(extent_); }

  /// Whether the two parts of the frames show the same pattern.
  [[nodiscard]] bool has_pattern(const Executor& executor) const {
    return likeness(executor) >= least_likeness;
  }

  /// Returns the scene at the right shifts, and writes what stays, (height, width), C order.
  [[nodiscard]] std::vector<float> split(float* pattern, const Executor& executor) const {
    std::vector<float> scene = sets_[right_].mean(extent_);
    const ShiftList shifts = sets_[right_].all_shifts();
    if (shifts.empty()) {
      std::fill_n(pattern, extent_.area(), 0.0F);
    } else {
      PatternSplit(extent_, shifts, executor)(unmoved().data(), scene.data(), scene.data(),
                                              pattern);
    }
    return scene;
  }

  /// Puts 0 where there is no number.
  static void fill_holes(std::vector<float>& plane) {
    std::replace_if(
        plane.begin(), plane.end(), [](float value) { return !std::isfinite(value); }, 0.0F);
  }

 private:
  /// A scene that the pattern outshines has at least this share of the pattern's power.
  static constexpr double least_moving_share = 0.002;
  /// Small shifts that are right share less, warily, than the amplified ones of frames without
  /// their mean. Fairly, these share at most 0.002 more where they are wrong (0.009 where both
  /// were, by strong stripes over motion of 1 px), and 0.009 where they are right.
  static constexpr double least_gain = 0.004;
  /// Correlation between two parts of a movie from which they show the same. Scenes in frames
  /// without their mean: 0.85 and more where the shifts were right, 0.35 and less where they
  /// followed activity. Patterns: 0.71 and more in movies that had any, 0.33 and less in those that
  /// had none.
  static constexpr double least_likeness = 0.5;
  static constexpr std::size_t least_frames = 4;

  /// Means over two parts of the frames, at some shifts.
  struct Parts {
    explicit Parts(Extent extent) : means{MeanTemplate(extent), MeanTemplate(extent)} {}

    template <Pixel P>
    void add(std::size_t part, const std::vector<RegisteredFrame<P>>& frames,
             const Executor& executor) {
      means[part].template add<P>(frames, executor);
      for (const RegisteredFrame<P>& frame : frames) shifts[part].push_back(frame.shift);
    }

    /// 0 where no frame lies.
    [[nodiscard]] std::vector<float> mean(std::size_t part, Extent extent) const {
      std::vector<float> plane(extent.area());
      means[part].mean(plane.data());
      PatternSearch::fill_holes(plane);
      return plane;
    }

    /// Of all frames.
    [[nodiscard]] std::vector<float> mean(Extent extent) const {
      std::vector<float> all = mean(0, extent);
      const std::vector<float> second = mean(1, extent);
      const auto frames = [&](std::size_t part) {
        return static_cast<float>(means[part].frames());
      };
      const float share = frames(1) / (frames(0) + frames(1));
      for (std::size_t i = 0; i < all.size(); ++i) all[i] += share * (second[i] - all[i]);
      return all;
    }

    [[nodiscard]] ShiftList all_shifts() const {
      ShiftList all = shifts[0];
      all.insert(all.end(), shifts[1].begin(), shifts[1].end());
      return all;
    }

    /// What these shifts say of a scene that moves.
    [[nodiscard]] MovingScene moving(const Parts& plain, Extent extent,
                                     const Executor& executor) const {
      const PatternSplit splits[] = {PatternSplit(extent, shifts[0], executor),
                                     PatternSplit(extent, shifts[1], executor)};
      const std::vector<float> still[] = {plain.mean(0, extent), plain.mean(1, extent)};
      const std::vector<float> moved[] = {mean(0, extent), mean(1, extent)};
      return moving_scene({MeanPair{still[0].data(), moved[0].data(), &splits[0]},
                           MeanPair{still[1].data(), moved[1].data(), &splits[1]}});
    }

    /// Whether many of the shifts are further from their median than any motion: those of noise.
    [[nodiscard]] bool is_wild(Extent extent) const {
      const ShiftList all = all_shifts();
      const auto median = [&](double Shift::*axis) {
        std::vector<double> values;
        for (const Shift& shift : all) values.push_back(shift.*axis);
        const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
        std::nth_element(values.begin(), middle, values.end());
        return *middle;
      };
      const Shift middle{median(&Shift::height), median(&Shift::width)};
      const auto far = std::count_if(all.begin(), all.end(), [&](const Shift& shift) {
        const Shift off = shift - middle;
        return 6.0 * std::fabs(off.height) > static_cast<double>(extent.height) ||
               6.0 * std::fabs(off.width) > static_cast<double>(extent.width);
      });
      return 20 * static_cast<std::size_t>(far) > all.size();
    }

    std::array<MeanTemplate, 2> means;
    std::array<ShiftList, 2> shifts;
  };

  /// Correlation of the patterns that the two parts of the frames show.
  [[nodiscard]] double likeness(const Executor& executor) const {
    const Parts& set = sets_[right_];
    std::array<std::vector<float>, 2> patterns;
    for (std::size_t part = 0; part < 2; ++part) {
      if (set.shifts[part].empty()) return 0.0;
      patterns[part] = plain_.mean(part, extent_);
      std::vector<float> scene = set.mean(part, extent_);
      PatternSplit(extent_, set.shifts[part], executor)(patterns[part].data(), scene.data(),
                                                        scene.data(), patterns[part].data());
    }
    double both = 0.0;
    std::array<double, 2> powers{};
    for (std::size_t i = 0; i < extent_.area(); ++i) {
      const std::array values = {static_cast<double>(patterns[0][i]),
                                 static_cast<double>(patterns[1][i])};
      both += values[0] * values[1];
      for (std::size_t part = 0; part < 2; ++part) powers[part] += values[part] * values[part];
    }
    const double level = std::sqrt(powers[0] * powers[1]);
    return level > 0.0 ? both / level : 0.0;
  }

  Extent extent_;
  std::array<const ShiftList*, 2> shifts_;
  Parts plain_;
  std::array<Parts, 2> sets_;
  std::size_t right_ = 0;
};

}  // namespace stillscope
