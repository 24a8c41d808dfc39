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

namespace stillscope {

/// `rfft2` of a frame with its mean removed.
struct Spectrum {
  AlignedBuffer<std::complex<float>> values;
  double energy = 0.0;   ///< Sum of the squares of the frame's pixels less their mean.
  bool is_flat = false;  ///< Every pixel is the same, to rounding.
};

/// product = src * conj(dst), the spectrum of the cross-correlation of Eq. (1), without its constant
/// term: a constant moves no peak, and large ones cost precision.
template <class Real>
void cross_power(const std::complex<Real>* src, const std::complex<Real>* dst, std::size_t size,
                 std::complex<Real>* product) {
  // Written on the parts: std::complex's product looks for infinities.
  const Real* a = reinterpret_cast<const Real*>(src);
  const Real* b = reinterpret_cast<const Real*>(dst);
  Real* c = reinterpret_cast<Real*>(product);
#pragma omp simd
  for (std::size_t i = 0; i < 2 * size; i += 2) {
    c[i] = a[i] * b[i] + a[i + 1] * b[i + 1];
    c[i + 1] = a[i + 1] * b[i] - a[i] * b[i + 1];
  }
  product[0] = 0;
}

/// Spectra by key: computed at the first request, used as source and as destination until released.
/// Released buffers serve the next spectra. Not thread-safe: each workspace has its own.
class SpectrumCache {
 public:
  /// The spectrum of `key`; `compute(Spectrum&)` fills it if it is not here yet. The reference holds
  /// until `release(key)` or `clear()`.
  template <class Compute>
  const Spectrum& get(std::size_t key, Compute&& compute) {
    const auto found = find(key);
    if (found != used_.end()) return *found->second;
    std::unique_ptr<Spectrum> spectrum;
    if (free_.empty()) {
      spectrum = std::make_unique<Spectrum>();
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
  using Entry = std::pair<std::size_t, std::unique_ptr<Spectrum>>;

  std::vector<Entry>::iterator find(std::size_t key) {
    return std::find_if(used_.begin(), used_.end(), [&](const Entry& e) { return e.first == key; });
  }

  std::vector<Entry> used_;  // a handful: a group's neighbours
  std::vector<std::unique_ptr<Spectrum>> free_;
};

}  // namespace stillscope
