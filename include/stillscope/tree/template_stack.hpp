// SPDX-License-Identifier: GPL-3.0-or-later
/// The template of a node: a single frame, or the slots first / aggregate / last.
#pragma once

#include <cstddef>
#include <utility>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope {

/// The slots of a template, in their order.
enum Slot : std::size_t { first_slot = 0, aggregate_slot = 1, last_slot = 2 };

/// A template in float32, (slots, height, width) with 3 slots or 1. An empty one stands for items
/// without any finite pixel: it registers to nothing, and its shifts are NaN.
class TemplateStack {
 public:
  TemplateStack() = default;
  TemplateStack(AlignedBuffer<float> pixels, std::size_t slots, Extent extent)
      : pixels_(std::move(pixels)), slots_(slots), extent_(extent) {}

  [[nodiscard]] bool is_empty() const { return pixels_.empty(); }
  [[nodiscard]] std::size_t slots() const { return slots_; }
  [[nodiscard]] Extent extent() const { return extent_; }
  /// A slot; where there is only one frame it stands for every slot.
  [[nodiscard]] FrameView<float> operator[](Slot slot) const {
    const std::size_t index = slots_ == 1 ? 0 : static_cast<std::size_t>(slot);
    return {pixels_.data() + index * extent_.area(), extent_};
  }
  /// Gives the memory away.
  [[nodiscard]] AlignedBuffer<float> take_pixels() { return std::move(pixels_); }

 private:
  AlignedBuffer<float> pixels_;
  std::size_t slots_ = 0;
  Extent extent_;
};

}  // namespace stillscope
