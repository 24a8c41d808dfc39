// SPDX-License-Identifier: GPL-3.0-or-later
/// What goes into a group, and what is said of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/tree/template_stack.hpp"

namespace stillscope {

/// An item of a group: a frame, or a template's slots first / aggregate / last.
template <Pixel T>
struct GroupItem {
  std::array<FrameView<const T>, 3> planes;
  std::size_t slots = 1;  ///< 1: `planes[aggregate_slot]` alone is used.
  bool is_empty = false;  ///< No finite pixel: no motion, no share in the template.
  PixelScale scale{};     ///< What pixels stand for.
  /// Of their values, where they are known, as those of templates are: then all are finite, too.
  std::optional<PixelRange> range{};
  /// Of the pixels themselves, where it is known.
  std::optional<PixelRange> pixels{};
};

/// Frames of which some are left out: they get no motion, and shape no template.
template <Pixel T>
struct ChosenFrames {
  MovieView<const T> frames;
  std::span<const std::uint16_t> left_out;  ///< Not 0 for such a frame; or nothing.

  [[nodiscard]] std::size_t size() const { return frames.size(); }
  [[nodiscard]] Extent extent() const { return frames.extent(); }
};

/// What was found about the items of a group.
struct GroupReport {
  std::size_t items = 0;
  std::size_t good = 0;      ///< Items that passed `circ_thres`; all where it is not set.
  std::size_t repaired = 0;  ///< Items with some non-finite pixels, replaced for the estimate.
  std::size_t dead = 0;      ///< Items without any finite pixel.

  friend bool operator==(const GroupReport&, const GroupReport&) = default;
};

/// The motion of a group's items.
struct GroupMotions {
  ShiftList shifts;  ///< One an item, centred; NaN for items without a finite pixel.
  GroupReport report;
};

/// An item of the input as a group takes it.
template <Pixel T>
[[nodiscard]] GroupItem<T> group_item(const MovieView<const T>& frames, std::size_t index) {
  return {{frames[index], frames[index], frames[index]}, 1};
}
template <Pixel T>
[[nodiscard]] GroupItem<T> group_item(const ChosenFrames<T>& chosen, std::size_t index) {
  GroupItem<T> item = group_item<T>(chosen.frames, index);
  item.is_empty = !chosen.left_out.empty() && chosen.left_out[index] != 0;
  return item;
}
template <Pixel T>
[[nodiscard]] GroupItem<T> group_item(const StackView<const T>& templates, std::size_t index) {
  return {{templates(index, 0), templates(index, 1), templates(index, 2)}, 3};
}

/// The template of a node as an item of the group above it.
[[nodiscard]] inline GroupItem<std::int16_t> group_item(const CodedTemplate& node) {
  if (node.is_empty()) return {{}, node.slots(), true};
  return {{node[first_slot], node[aggregate_slot], node[last_slot]},
          node.slots(),
          false,
          node.scale(),
          node.range(),
          node.pixel_range()};
}

}  // namespace stillscope
