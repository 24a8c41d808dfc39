// SPDX-License-Identifier: GPL-3.0-or-later
/// Spectra of frames, their product, and the cache that computes each of them once.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/rows.hpp"
#include "stillscope/simd/row_kernels.hpp"

namespace stillscope {

/// `rfft2` of a frame less its offset.
struct Spectrum {
  AlignedBuffer<std::complex<float>> values;
  double energy = 0.0;   ///< Sum of the squares of the frame's pixels less their mean.
  bool is_flat = false;  ///< Every pixel of the frame is the same.
};

/// product = gain src conj(dst), the spectrum of the cross-correlation of Eq. (1), without its
/// constant term: a constant moves no peak, and large ones cost precision. `gain` has a factor for
/// each coefficient, or is null. `product` is neither of the factors.
inline void cross_power(const std::complex<float>* src, const std::complex<float>* dst,
                        std::size_t size, std::complex<float>* product,
                        const float* gain = nullptr) {
  float_kernels().multiply_conjugate(reinterpret_cast<const float*>(src),
                                     reinterpret_cast<const float*>(dst), gain, size,
                                     reinterpret_cast<float*>(product));
  product[0] = 0.0F;
}
inline void cross_power(const std::complex<double>* src, const std::complex<double>* dst,
                        std::size_t size, std::complex<double>* product) {
  for (std::size_t i = 0; i < size; ++i) product[i] = src[i] * std::conj(dst[i]);
  product[0] = 0.0;
}

/// Spectra (`Entry` is a `Spectrum` or holds more) by key: computed at the first request, used as
/// source and as destination until released. Released buffers serve the next spectra. Not
/// thread-safe: each workspace has its own.
template <class Entry = Spectrum>
class SpectrumCache {
 public:
  /// The spectrum of `key`; `compute(Entry&)` fills it if it is not here yet. The reference holds
  /// until `release(key)` or `clear()`.
  template <class Compute>
  const Entry& get(std::size_t key, Compute&& compute) {
    const auto found = find(key);
    if (found != used_.end()) return *found->second;
    std::unique_ptr<Entry> spectrum;
    if (free_.empty()) {
      spectrum = std::make_unique<Entry>();
    } else {
      spectrum = std::move(free_.back());
      free_.pop_back();
    }
    compute(*spectrum);
    used_.emplace_back(key, std::move(spectrum));
    return *used_.back().second;
  }

  void release(std::size_t key) {
    const auto found = find(key);
    if (found == used_.end()) return;
    free_.push_back(std::move(found->second));
    used_.erase(found);
  }

  void clear() {
    for (auto& entry : used_) free_.push_back(std::move(entry.second));
    used_.clear();
  }

 private:
  using Keyed = std::pair<std::size_t, std::unique_ptr<Entry>>;

  typename std::vector<Keyed>::iterator find(std::size_t key) {
    return std::find_if(used_.begin(), used_.end(), [&](const Keyed& e) { return e.first == key; });
  }

  std::vector<Keyed> used_;  // a handful: a group's neighbours
  std::vector<std::unique_ptr<Entry>> free_;
};

}  // namespace stillscope
