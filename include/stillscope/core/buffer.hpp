// SPDX-License-Identifier: GPL-3.0-or-later
/// Aligned memory that is handed out again and again.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace stillscope {

/// Memory of at least `bytes` bytes at a 64-byte boundary. A fresh frame costs as much as a Fourier
/// transform, in page faults; so large pieces that were given back are kept for the next ones of
/// their size, up to 128 MiB in a process. Thread-safe. Throws `std::bad_alloc`.
[[nodiscard]] void* take_memory(std::size_t bytes);
/// Gives back what `take_memory(bytes)` returned.
void give_memory(void* memory, std::size_t bytes) noexcept;
/// Returns all that is kept to the system.
void release_kept_memory() noexcept;

/// Uninitialised memory for `size` elements at a 64-byte boundary; move-only.
template <class T>
class AlignedBuffer {
 public:
  static constexpr std::size_t alignment = 64;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<T*>(take_memory(size * sizeof(T))), Give{size * sizeof(T)}),
        size_(size) {}

  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  /// Makes it hold at least `size` elements; what it held is lost where it grows.
  void reserve(std::size_t size) {
    if (size_ < size) *this = AlignedBuffer(size);
  }

  [[nodiscard]] T* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return data_ == nullptr; }
  [[nodiscard]] std::span<T> span() const { return {data_.get(), size_}; }

 private:
  struct Give {
    std::size_t bytes = 0;
    void operator()(T* data) const { give_memory(data, bytes); }
  };

  std::unique_ptr<T, Give> data_;
  std::size_t size_ = 0;
};

/// A thread-safe free list for what is used again and again, such as workspaces.
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
