// SPDX-License-Identifier: GPL-3.0-or-later
/// Aligned memory, and a pool that hands the same buffers out again.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace stillscope {

/// Uninitialised memory for `size` elements at a 64-byte boundary; move-only.
template <class T>
class AlignedBuffer {
 public:
  static constexpr std::size_t alignment = 64;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<T*>(::operator new (size * sizeof(T), std::align_val_t{alignment}))),
        size_(size) {}

  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] T* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return data_ == nullptr; }
  [[nodiscard]] std::span<T> span() const { return {data_.get(), size_}; }

 private:
  struct Delete {
    void operator()(T* data) const { ::operator delete (data, std::align_val_t{alignment}); }
  };

  std::unique_ptr<T, Delete> data_;
  std::size_t size_ = 0;
};

/// A thread-safe free list. A fresh frame-sized buffer costs as much as a Fourier transform, in
/// page faults; so whatever is used again and again (templates, workspaces) is taken from here.
template <class Item>
class Pool {
 public:
  /// A free item, or what `make()` returns where none is free.
  template <class Make>
  [[nodiscard]] Item take(Make&& make) {
    {
      const std::scoped_lock lock(mutex_);
      if (!free_.empty()) {
        Item item = std::move(free_.back());
        free_.pop_back();
        return item;
      }
    }
    return std::forward<Make>(make)();
  }

  void give(Item&& item) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(item));
  }

  /// Calls `visit(item)` for every free item.
  template <class Visit>
  void for_each(Visit&& visit) {
    const std::scoped_lock lock(mutex_);
    for (Item& item : free_) visit(item);
  }

 private:
  std::mutex mutex_;
  std::vector<Item> free_;
};

}  // namespace stillscope
