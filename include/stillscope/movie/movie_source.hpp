// SPDX-License-Identifier: GPL-3.0-or-later
/// Where frames come from, a run of them at a time.
#pragma once

#include <cstddef>

#include "stillscope/core/view.hpp"

namespace stillscope {

/// A movie that need not be in memory. Read by one thread, from the front to the end, several
/// times.
template <Pixel T>
class MovieSource {
 public:
  virtual ~MovieSource() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual Extent extent() const = 0;
  /// Frames [begin, end); the view holds until the next call.
  [[nodiscard]] virtual MovieView<const T> read(std::size_t begin, std::size_t end) = 0;
};

/// A movie in memory: views of it, no copies.
template <Pixel T>
class ViewSource final : public MovieSource<T> {
 public:
  explicit ViewSource(const MovieView<const T>& movie) : movie_(movie) {}
  [[nodiscard]] std::size_t size() const override { return movie_.size(); }
  [[nodiscard]] Extent extent() const override { return movie_.extent(); }
  [[nodiscard]] MovieView<const T> read(std::size_t begin, std::size_t end) override {
    return movie_.frames(begin, end);
  }

 private:
  MovieView<const T> movie_;
};

}  // namespace stillscope
