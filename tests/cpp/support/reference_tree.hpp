// SPDX-License-Identifier: GPL-3.0-or-later
/// The tree of docs/algorithm.md as a short recursion over copies of everything.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <vector>

#include "stillscope/core/settings.hpp"
#include "support/reference.hpp"

namespace stillscope::test {

class ReferenceTree {
 public:
  /// Frames: one plane; templates: first / aggregate / last.
  struct Item {
    std::vector<Image<double>> planes;
    ShiftList shifts;
  };

  /// `is_integer`: the frames are whole numbers. `is_good`: the test of frames and slotless
  /// templates.
  ReferenceTree(const ChunkSettings& settings, bool is_integer,
                std::function<bool(const Image<double>&)> is_good = {})
      : settings_(settings), is_integer_(is_integer), is_good_(std::move(is_good)) {}

  /// A chunk: groups by array_split's rule, then their templates, until one group is left.
  Item chunk(std::vector<Item> items, bool are_frames = true) {
    while (true) {
      const std::size_t groups = (items.size() + settings_.npart - 1) / settings_.npart;
      std::vector<Item> merged;
      std::size_t begin = 0;
      for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t size = items.size() / groups + (g < items.size() % groups ? 1 : 0);
        merged.push_back(group({items.begin() + static_cast<std::ptrdiff_t>(begin),
                                items.begin() + static_cast<std::ptrdiff_t>(begin + size)},
                               are_frames));
        begin += size;
      }
      if (groups == 1) return merged.front();
      items = std::move(merged);
      are_frames = false;
    }
  }

  /// A movie: chunks, then consecutive groups of npart of their results, until one is left.
  Item movie(const std::vector<Item>& frames, std::size_t length) {
    std::vector<Item> results;
    for (std::size_t begin = 0; begin < frames.size(); begin += length) {
      const std::size_t end = std::min(frames.size(), begin + length);
      results.push_back(chunk({frames.begin() + static_cast<std::ptrdiff_t>(begin),
                               frames.begin() + static_cast<std::ptrdiff_t>(end)}));
    }
    while (results.size() > 1) {
      std::vector<Item> above;
      for (std::size_t begin = 0; begin < results.size(); begin += settings_.npart) {
        const std::size_t end = std::min(results.size(), begin + settings_.npart);
        above.push_back(chunk({results.begin() + static_cast<std::ptrdiff_t>(begin),
                               results.begin() + static_cast<std::ptrdiff_t>(end)},
                              false));
      }
      results = std::move(above);
    }
    return results.front();
  }

  [[nodiscard]] std::size_t alternatives_taken() const { return alternatives_; }
  [[nodiscard]] std::size_t bad_items() const { return bad_; }

 private:
  Item group(std::vector<Item> items, bool are_frames) {
    const std::size_t n = items.size();
    const bool slotted = items[0].planes.size() == 3;
    std::vector<std::size_t> good;
    for (std::size_t i = 0; i < n; ++i) {
      if (n == 1 || slotted || !is_good_ || is_good_(items[i].planes[0])) good.push_back(i);
    }
    bad_ += n - good.size();
    if (good.empty()) {
      for (std::size_t i = 0; i < n; ++i) good.push_back(i);
    }
    const auto is_in = [&](std::size_t i) {
      return std::find(good.begin(), good.end(), i) != good.end();
    };
    std::size_t mid = good[0];
    const auto off_centre = [&](std::size_t i) { return std::abs(2 * double(i) - double(n)); };
    for (const std::size_t i : good) {
      if (off_centre(i) < off_centre(mid)) mid = i;
    }
    ShiftList motion(n);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == mid) continue;
      const int inward = i < mid ? 1 : -1;
      const auto next = [&](std::size_t k) {
        do {
          k += static_cast<std::size_t>(inward);
        } while (!is_in(k));
        return k;
      };
      const Shift own = pair(items[i], items[next(i)], inward > 0, slotted);
      motion[i] += own;
      for (std::size_t k = 0; is_in(i) && k < n; ++k) {
        if (inward > 0 ? k < i : k > i) motion[k] += own;
      }
    }
    Shift mean;
    for (const Shift& m : motion) mean += m;
    for (Shift& m : motion) m += {-mean.height / double(n), -mean.width / double(n)};

    const bool keeps_type = are_frames || settings_.aggregation == Aggregation::max;
    const bool is_whole = is_integer_ || settings_.warped_values == WarpedValues::whole;
    const bool is_binary = settings_.warped_values == WarpedValues::binary;
    std::vector<Image<double>> warped;
    for (const std::size_t i : good) {
      for (const Image<double>& plane : items[i].planes) {
        warped.push_back(direct_translation(plane, motion[i], 0.0));
        for (double& pixel : warped.back().pixels) {
          if (keeps_type && is_binary) pixel = pixel == 0.0 ? 0.0 : 1.0;
          if (keeps_type && is_whole) pixel = std::trunc(pixel);
        }
      }
    }
    Image<double> aggregate = warped[0];
    for (std::size_t p = 0; p < aggregate.pixels.size(); ++p) {
      double sum = 0.0;
      for (const auto& image : warped) {
        sum += image.pixels[p];
        aggregate.pixels[p] = std::max(aggregate.pixels[p], image.pixels[p]);
      }
      if (settings_.aggregation == Aggregation::mean) {
        aggregate.pixels[p] = sum / double(warped.size());
      }
    }
    Item result{{aggregate}, {}};
    if (settings_.has_slots()) {
      const bool second = !slotted && settings_.slot_last == SlotLast::second && warped.size() > 1;
      result.planes = {warped.front(), aggregate, second ? warped[1] : warped.back()};
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (const Shift& shift : items[i].shifts) result.shifts.push_back(shift + motion[i]);
    }
    return result;
  }

  /// `item` lies before its neighbour `inner`, or after it.
  Shift pair(const Item& item, const Item& inner, bool before, bool slotted) {
    const Shift shift = direct_shift(item.planes[slotted ? 1 : 0], inner.planes[slotted ? 1 : 0]);
    if (!slotted || !settings_.has_slots()) return shift;
    const Shift touching = direct_shift(item.planes[before ? 2 : 0], inner.planes[before ? 0 : 2]);
    const bool disagree = std::max(std::abs(shift.height - touching.height),
                                   std::abs(shift.width - touching.width)) > *settings_.alt_error;
    const bool larger = std::abs(shift.height) + std::abs(shift.width) >
                        std::abs(touching.height) + std::abs(touching.width);
    if (!disagree || !larger) return shift;
    ++alternatives_;
    return touching;
  }

  ChunkSettings settings_;
  bool is_integer_;
  std::function<bool(const Image<double>&)> is_good_;
  std::size_t alternatives_ = 0;
  std::size_t bad_ = 0;
};

}  // namespace stillscope::test
