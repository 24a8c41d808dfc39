// SPDX-License-Identifier: GPL-3.0-or-later
/// Non-owning, strided views. `T` may be const; strides are in elements and may be negative.
#pragma once

#include <cstddef>
#include <type_traits>

#include "stillscope/core/pixel.hpp"
#include "stillscope/core/types.hpp"

namespace stillscope {

/// A frame, (height, width).
template <class T>
requires Pixel<std::remove_const_t<T>>
class FrameView {
 public:
  FrameView() = default;
  /// A frame in C order.
  FrameView(T* data, Extent extent)
      : FrameView(data, extent, static_cast<std::ptrdiff_t>(extent.width), 1) {}
  FrameView(T* data, Extent extent, std::ptrdiff_t row_stride, std::ptrdiff_t column_stride)
      : data_(data), extent_(extent), row_stride_(row_stride), column_stride_(column_stride) {}

  [[nodiscard]] Extent extent() const { return extent_; }
  [[nodiscard]] std::size_t height() const { return extent_.height; }
  [[nodiscard]] std::size_t width() const { return extent_.width; }
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::ptrdiff_t row_stride() const { return row_stride_; }
  [[nodiscard]] std::ptrdiff_t column_stride() const { return column_stride_; }

  /// True where each row lies in memory without gaps.
  [[nodiscard]] bool has_contiguous_rows() const { return column_stride_ == 1 || width() <= 1; }
  /// Address of the first pixel of row `y`.
  [[nodiscard]] T* row(std::size_t y) const {
    return data_ + static_cast<std::ptrdiff_t>(y) * row_stride_;
  }
  [[nodiscard]] T& operator()(std::size_t y, std::size_t x) const {
    return row(y)[static_cast<std::ptrdiff_t>(x) * column_stride_];
  }

  // NOLINTNEXTLINE(google-explicit-constructor): as from T* to const T*
  operator FrameView<const T>() const requires(!std::is_const_v<T>) {
    return {data_, extent_, row_stride_, column_stride_};
  }

 private:
  T* data_ = nullptr;
  Extent extent_;
  std::ptrdiff_t row_stride_ = 0;
  std::ptrdiff_t column_stride_ = 1;
};

/// A movie, (frame, height, width).
template <class T>
requires Pixel<std::remove_const_t<T>>
class MovieView {
 public:
  MovieView() = default;
  /// A movie in C order.
  MovieView(T* data, std::size_t frames, Extent extent)
      : MovieView(data, frames, extent, static_cast<std::ptrdiff_t>(extent.area()),
                  static_cast<std::ptrdiff_t>(extent.width), 1) {}
  MovieView(T* data, std::size_t frames, Extent extent, std::ptrdiff_t frame_stride,
            std::ptrdiff_t row_stride, std::ptrdiff_t column_stride)
      : data_(data),
        frames_(frames),
        extent_(extent),
        frame_stride_(frame_stride),
        row_stride_(row_stride),
        column_stride_(column_stride) {}

  /// Number of frames.
  [[nodiscard]] std::size_t size() const { return frames_; }
  [[nodiscard]] Extent extent() const { return extent_; }
  [[nodiscard]] FrameView<T> operator[](std::size_t frame) const {
    return {data_ + static_cast<std::ptrdiff_t>(frame) * frame_stride_, extent_, row_stride_,
            column_stride_};
  }
  /// Frames [begin, end) alone.
  [[nodiscard]] MovieView frames(std::size_t begin, std::size_t end) const {
    return {data_ + static_cast<std::ptrdiff_t>(begin) * frame_stride_,
            end - begin,
            extent_,
            frame_stride_,
            row_stride_,
            column_stride_};
  }

  /// The part of every frame that begins at (top, left).
  [[nodiscard]] MovieView region(std::size_t top, std::size_t left, Extent extent) const {
    return {data_ + static_cast<std::ptrdiff_t>(top) * row_stride_ +
                static_cast<std::ptrdiff_t>(left) * column_stride_,
            frames_,
            extent,
            frame_stride_,
            row_stride_,
            column_stride_};
  }

  // NOLINTNEXTLINE(google-explicit-constructor): as from T* to const T*
  operator MovieView<const T>() const requires(!std::is_const_v<T>) {
    return {data_, frames_, extent_, frame_stride_, row_stride_, column_stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t frames_ = 0;
  Extent extent_;
  std::ptrdiff_t frame_stride_ = 0;
  std::ptrdiff_t row_stride_ = 0;
  std::ptrdiff_t column_stride_ = 1;
};

/// A stack of templates, (node, slot, height, width), with the slots first / aggregate / last.
template <class T>
requires Pixel<std::remove_const_t<T>>
class StackView {
 public:
  static constexpr std::size_t slots = 3;

  StackView() = default;
  /// A stack in C order.
  StackView(T* data, std::size_t nodes, Extent extent)
      : StackView(data, nodes, extent, static_cast<std::ptrdiff_t>(slots * extent.area()),
                  static_cast<std::ptrdiff_t>(extent.area()),
                  static_cast<std::ptrdiff_t>(extent.width), 1) {}
  StackView(T* data, std::size_t nodes, Extent extent, std::ptrdiff_t node_stride,
            std::ptrdiff_t slot_stride, std::ptrdiff_t row_stride, std::ptrdiff_t column_stride)
      : data_(data),
        nodes_(nodes),
        extent_(extent),
        node_stride_(node_stride),
        slot_stride_(slot_stride),
        row_stride_(row_stride),
        column_stride_(column_stride) {}

  /// Number of nodes.
  [[nodiscard]] std::size_t size() const { return nodes_; }
  [[nodiscard]] Extent extent() const { return extent_; }
  [[nodiscard]] FrameView<T> operator()(std::size_t node, std::size_t slot) const {
    return {data_ + static_cast<std::ptrdiff_t>(node) * node_stride_ +
                static_cast<std::ptrdiff_t>(slot) * slot_stride_,
            extent_, row_stride_, column_stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t nodes_ = 0;
  Extent extent_;
  std::ptrdiff_t node_stride_ = 0;
  std::ptrdiff_t slot_stride_ = 0;
  std::ptrdiff_t row_stride_ = 0;
  std::ptrdiff_t column_stride_ = 1;
};

}  // namespace stillscope
