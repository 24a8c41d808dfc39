// SPDX-License-Identifier: GPL-3.0-or-later
/// The template of a node: a single frame, or the slots first / aggregate / last.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/pixel_scale.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// The slots of a template, in their order.
enum Slot : std::size_t { first_slot = 0, aggregate_slot = 1, last_slot = 2 };

/// A template, (slots, height, width) with 3 slots or 1, in C order. An empty one stands for items
/// without any finite pixel: it registers to nothing, and its shifts are NaN.
template <class Stored>
class TemplateOf {
 public:
  TemplateOf() = default;
  /// `padding`: elements between slots.
  TemplateOf(std::size_t slots, Extent extent, std::size_t padding = 0)
      : stride_(extent.area() + padding),
        pixels_(slots * stride_),
        slots_(slots),
        extent_(extent) {}

  [[nodiscard]] bool is_empty() const { return pixels_.empty(); }
  [[nodiscard]] std::size_t slots() const { return slots_; }
  [[nodiscard]] Extent extent() const { return extent_; }
  /// A slot; where there is only one frame it stands for every slot.
  [[nodiscard]] FrameView<Stored> operator[](Slot slot) const {
    const std::size_t index = slots_ == 1 ? 0 : static_cast<std::size_t>(slot);
    return {pixels_.data() + index * stride_, extent_};
  }
  template <class Archive>
  void archive(Archive& io) {
    io(stride_, pixels_, slots_, extent_);
  }

 private:
  std::size_t stride_ = 0;
  AlignedBuffer<Stored> pixels_;
  std::size_t slots_ = 0;
  Extent extent_;
};

/// The template at the top of a tree, in float32.
class TemplateStack : public TemplateOf<float> {
 public:
  using TemplateOf::TemplateOf;
  /// Fills a row of a slot.
  void store(Slot slot, std::size_t y, const MergedRows& rows) const {
    float_kernels().merge(rows, extent().width, (*this)[slot].row(y));
  }
};

/// The template of a node within a tree. It is read again and again by the nodes above, and the
/// time that takes is that of the memory: so it is stored in 14 bits of the range of its pixels,
/// which costs less than 1e-4 of that range, and lets nodes be registered in integer arithmetic.
class CodedTemplate : public TemplateOf<std::int16_t> {
 public:
  static constexpr int bits = 14;

  CodedTemplate() = default;
  /// `range`: of the values that will be stored.
  CodedTemplate(std::size_t slots, Extent extent, const PixelRange& range)
      : TemplateOf(slots, extent, padding(extent)),
        range_(range),
        scale_(PixelScale::of(range, bits)),
        inverse_step_(static_cast<float>(1.0 / scale_.step)),
        zero_(static_cast<float>(scale_.offset / scale_.step)) {}

  [[nodiscard]] const PixelRange& range() const { return range_; }
  [[nodiscard]] const PixelScale& scale() const { return scale_; }
  /// Between which the stored numbers lie.
  [[nodiscard]] PixelRange pixel_range() const {
    return {std::floor((range_.lowest - scale_.offset) / scale_.step),
            std::ceil((range_.highest - scale_.offset) / scale_.step)};
  }
  /// Fills a row of a slot.
  void store(Slot slot, std::size_t y, const MergedRows& rows) const {
    float_kernels().merge_coded(coded(rows), extent().width, (*this)[slot].row(y));
  }
  /// Fills a row of all slots: of the aggregate with three merged rows, of the others with the
  /// first two of these.
  void store_slots(std::size_t y, const MergedRows& rows) const {
    std::int16_t* const out[] = {(*this)[first_slot].row(y), (*this)[aggregate_slot].row(y),
                                 (*this)[last_slot].row(y)};
    float_kernels().merge_slots(coded(rows), inverse_step_, extent().width, out);
  }

 private:
  /// Rows of the slots are read side by side: at distances that are no multiple of a page they do
  /// not compete for the same places in the cache.
  static std::size_t padding(Extent extent) {
    constexpr std::size_t page = 4096 / sizeof(std::int16_t);
    constexpr std::size_t distance = 21 * 64 / sizeof(std::int16_t);
    return (distance + page - extent.area() % page) % page;
  }

  /// Values become the numbers that stand for them. Steps are powers of two: that costs no
  /// precision.
  [[nodiscard]] MergedRows coded(MergedRows rows) const {
    rows.factor *= inverse_step_;
    rows.zero = -zero_;
    return rows;
  }

  PixelRange range_;
  PixelScale scale_;
  float inverse_step_ = 1.0F;
  float zero_ = 0.0F;
};

}  // namespace stillscope
