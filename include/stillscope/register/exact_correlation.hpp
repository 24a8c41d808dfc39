// SPDX-License-Identifier: GPL-3.0-or-later
/// The exact full-size correlation at chosen displacements, summed in the spatial domain.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/register/frame_ref.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// Eq. (1), R(d) = sum over x of src(x + d) dst(x) with circular indices, up to a constant that is
/// the same for all displacements of a pair. Integer frames in integer arithmetic, exact. Float
/// frames less their offsets, in float32 over four rows at a time and in double beyond. Holds its
/// sums: one object a thread.
template <Pixel T>
class ExactCorrelation {
 public:
  using Sum = ProductSum<T>;
  /// window[1 + dy][1 + dx] = R(centre + (dy, dx)).
  using Window = std::array<std::array<Sum, 3>, 3>;

  /// What is asked of a pair of frames.
  struct Request {
    PixelOffset centre;
    bool is_window = true;  ///< All nine values, or the middle one alone.
    Window values{};        ///< The answer.
  };

  /// Answers all requests in one pass over both frames, which have one size. As in the whole
  /// library, `src` has moved by the peak relative to `dst`. The executor shares the rows out; the
  /// sums do not depend on it.
  void operator()(const FrameRef<T>& src, const FrameRef<T>& dst, std::span<Request> requests,
                  const Executor& executor = SerialExecutor()) {
    const std::size_t height = dst.view.height();
    const std::size_t bands = (height + rows_per_band - 1) / rows_per_band;
    sums_.assign(bands * requests.size(), {});
    executor.for_each(bands, [&](std::size_t band) {
      const std::size_t begin = band * rows_per_band;
      const std::size_t rows = std::min(rows_per_band, height - begin);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        add_band(src, dst, requests[i], begin, rows, sums_[band * requests.size() + i].data());
      }
    });
    for (std::size_t i = 0; i < requests.size(); ++i) {
      std::array<Sum, 9> total{};
      for (std::size_t band = 0; band < bands; ++band) {
        for (std::size_t k = 0; k < 9; ++k) total[k] += sums_[band * requests.size() + i][k];
      }
      for (std::size_t k = 0; k < 9; ++k) requests[i].values[k / 3][k % 3] = total[k];
      if (!requests[i].is_window) requests[i].values[1][1] = total[0];
    }
  }

  /// By how much values are above those of frames less their means. `src_mean`, `dst_mean`: of the
  /// frames less their offsets.
  [[nodiscard]] static double constant(const FrameRef<T>& src, const FrameRef<T>& dst,
                                       double src_mean, double dst_mean) {
    // Bytes are taken as they are.
    constexpr bool is_raw = sizeof(T) == 1;
    const double src_left = src_mean + src.offset - (is_raw ? 0.0 : src.source_offset());
    const double dst_left = dst_mean + (is_raw ? dst.offset : 0.0);
    return static_cast<double>(dst.view.extent().area()) * src_left * dst_left;
  }

  /// The window round `centre`.
  [[nodiscard]] Window operator()(const FrameRef<T>& src, const FrameRef<T>& dst,
                                  PixelOffset centre, const Executor& executor = SerialExecutor()) {
    Request request{centre, true, {}};
    (*this)(src, dst, std::span(&request, 1), executor);
    return request.values;
  }

 private:
  // Fixed, so that sums are grouped alike for any number of threads.
  static constexpr std::size_t rows_per_band = 32;
  static constexpr std::ptrdiff_t rows_ahead = 8;

  /// Rows [begin, begin + rows) of dst.
  static void add_band(const FrameRef<T>& src, const FrameRef<T>& dst, const Request& request,
                       std::size_t begin, std::size_t rows, Sum* sums) {
    const Extent extent = dst.view.extent();
    std::array<const T*, rows_per_band> dst_rows;
    std::array<const T*, rows_per_band + 2> src_rows;
    for (std::size_t r = 0; r < rows; ++r) dst_rows[r] = dst.view.row(begin + r);
    for (std::size_t r = 0; r < rows + 2; ++r) {
      const std::ptrdiff_t y = static_cast<std::ptrdiff_t>(begin + r) + request.centre.height - 1;
      src_rows[r] = src.view.row(wrap_index(y, extent.height));
    }
    const CorrelationBand<T> band{dst_rows.data(),
                                  src_rows.data(),
                                  rows,
                                  extent.width,
                                  wrap_index(request.centre.width - 1, extent.width),
                                  dst.offset,
                                  src.source_offset(),
                                  safe_products(src, dst),
                                  rows_ahead * dst.view.row_stride(),
                                  rows_ahead * src.view.row_stride()};
    const PixelKernels<T>& kernels = pixel_kernels<T>();
    (request.is_window ? kernels.correlate_window : kernels.correlate_point)(band, sums);
  }

  /// How many sums of two products fit 32 bits.
  static std::size_t safe_products(const FrameRef<T>& src, const FrameRef<T>& dst) {
    if constexpr (std::is_floating_point_v<T>) return 0;
    constexpr double most = std::numeric_limits<std::int32_t>::max();
    const double largest = sizeof(T) == 1 ? 255.0 * 255.0 : src.source_reach() * dst.reach;
    return static_cast<std::size_t>(most / (2.0 * std::max(largest, 1.0)));
  }

  std::vector<std::array<Sum, 9>> sums_;  // by band, then by request
};

}  // namespace stillscope
