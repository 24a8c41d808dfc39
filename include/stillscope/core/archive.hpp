// SPDX-License-Identifier: GPL-3.0-or-later
/// The state of what can be interrupted, as bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/error.hpp"

namespace stillscope {

/// Types whose bytes are not all of them have `template <class Archive> void archive(Archive& io)`,
/// which hands every member to `io(...)`: the same function writes and reads. Bytes are read by the
/// program that wrote them, on the same kind of machine.
template <class T, class Archive>
concept Archivable = requires(T& value, Archive& io) {
  value.archive(io);
};

/// Of bytes that are all there as they were written, by FNV-1a on words of eight.
[[nodiscard]] inline std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0xcbf29ce484222325;
  while (!bytes.empty()) {
    std::uint64_t word = bytes.size();
    const std::size_t count = std::min(sizeof(word), bytes.size());
    std::memcpy(&word, bytes.data(), count);
    sum = (sum ^ word) * 0x100000001b3;
    bytes = bytes.subspan(count);
  }
  return sum;
}

/// Writes values behind one another, and their checksum in front.
class ArchiveWriter {
 public:
  ArchiveWriter() : bytes_(sizeof(std::uint64_t)) {}

  template <class... T>
  void operator()(T&... values) {
    (put(values), ...);
  }
  /// All of it, once nothing more comes.
  [[nodiscard]] std::span<const std::byte> finish() {
    const std::uint64_t sum = checksum(std::span(bytes_).subspan(sizeof(std::uint64_t)));
    std::memcpy(bytes_.data(), &sum, sizeof(sum));
    return bytes_;
  }

 private:
  template <class T>
  void put(T& value) {
    if constexpr (Archivable<T, ArchiveWriter>) {
      value.archive(*this);
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      put_bytes(&value, sizeof(T));
    }
  }
  template <class T>
  void put(std::vector<T>& values) {
    put_size(values.size());
    if constexpr (std::is_trivially_copyable_v<T>) {
      put_bytes(values.data(), values.size() * sizeof(T));
    } else {
      for (T& value : values) put(value);
    }
  }
  template <class T>
  void put(AlignedBuffer<T>& buffer) {
    put_size(buffer.size());
    put_bytes(buffer.data(), buffer.size() * sizeof(T));
  }
  void put_size(std::uint64_t size) { put(size); }
  void put_bytes(const void* from, std::size_t size) {
    if (size == 0) return;
    const std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    std::memcpy(bytes_.data() + at, from, size);
  }

  std::vector<std::byte> bytes_;
};

/// Reads what `ArchiveWriter` wrote. Throws `std::invalid_argument` where a bit of it is another,
/// or there is too little.
class ArchiveReader {
 public:
  explicit ArchiveReader(std::span<const std::byte> bytes) : bytes_(bytes) {
    std::uint64_t sum = 0;
    get(sum);
    if (sum != checksum(bytes_))
      throw_invalid("checkpoint", "a state as it was kept", "a damaged one");
  }

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  /// Throws where something is left.
  void finish() const {
    if (!bytes_.empty()) throw_invalid("checkpoint", "no bytes behind the state", bytes_.size());
  }

 private:
  template <class T>
  void get(T& value) {
    if constexpr (Archivable<T, ArchiveReader>) {
      value.archive(*this);
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      get_bytes(&value, sizeof(T));
    }
  }
  template <class T>
  void get(std::vector<T>& values) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      values.resize(get_size(sizeof(T)));
      get_bytes(values.data(), values.size() * sizeof(T));
    } else {
      values.resize(get_size(1));
      for (T& value : values) get(value);
    }
  }
  template <class T>
  void get(AlignedBuffer<T>& buffer) {
    const std::size_t size = get_size(sizeof(T));
    buffer = size == 0 ? AlignedBuffer<T>() : AlignedBuffer<T>(size);
    get_bytes(buffer.data(), size * sizeof(T));
  }
  /// A number of items, which cannot be more than there are bytes for.
  std::size_t get_size(std::size_t item) {
    std::uint64_t size = 0;
    get(size);
    if (size > bytes_.size() / item) too_short();
    return static_cast<std::size_t>(size);
  }
  void get_bytes(void* to, std::size_t size) {
    if (size > bytes_.size()) too_short();
    if (size > 0) std::memcpy(to, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  [[noreturn]] void too_short() const {
    throw_invalid("checkpoint", "the whole state of an estimate", "less");
  }

  std::span<const std::byte> bytes_;
};

}  // namespace stillscope
