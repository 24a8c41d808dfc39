// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/fft/real_fft.hpp"

#include <fftw3.h>

#include <limits>
#include <map>
#include <mutex>
#include <stdexcept>
#include <tuple>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/error.hpp"

namespace stillscope {
namespace {

/// FFTW's planner is not thread-safe, in either precision: one lock for all of its calls.
std::mutex& planner_mutex() {
  static std::mutex mutex;
  return mutex;
}

template <class Real>
struct Fftw;

template <>
struct Fftw<float> {
  using Plan = fftwf_plan;
  using Complex = fftwf_complex;
  static constexpr auto plan_forward = fftwf_plan_dft_r2c_2d;
  static constexpr auto plan_inverse = fftwf_plan_dft_c2r_2d;
  static constexpr auto forward = fftwf_execute_dft_r2c;
  static constexpr auto inverse = fftwf_execute_dft_c2r;
  static constexpr auto destroy = fftwf_destroy_plan;
};

template <>
struct Fftw<double> {
  using Plan = fftw_plan;
  using Complex = fftw_complex;
  static constexpr auto plan_forward = fftw_plan_dft_r2c_2d;
  static constexpr auto plan_inverse = fftw_plan_dft_c2r_2d;
  static constexpr auto forward = fftw_execute_dft_r2c;
  static constexpr auto inverse = fftw_execute_dft_c2r;
  static constexpr auto destroy = fftw_destroy_plan;
};

template <class Real>
auto* as_fftw(std::complex<Real>* spectrum) {
  return reinterpret_cast<typename Fftw<Real>::Complex*>(spectrum);
}

}  // namespace

template <std::floating_point Real>
requires(std::same_as<Real, float> || std::same_as<Real, double>) struct RealFft<Real>::Plans {
  Plans(Extent extent, unsigned effort) {
    const int height = static_cast<int>(extent.height);
    const int width = static_cast<int>(extent.width);
    // The new-array functions want these buffers' alignment, not the buffers.
    AlignedBuffer<Real> frame(extent.area());
    AlignedBuffer<std::complex<Real>> spectrum(extent.height * (extent.width / 2 + 1));
    forward =
        Fftw<Real>::plan_forward(height, width, frame.data(), as_fftw(spectrum.data()), effort);
    inverse =
        Fftw<Real>::plan_inverse(height, width, as_fftw(spectrum.data()), frame.data(), effort);
    if (forward == nullptr || inverse == nullptr) {
      destroy();
      throw std::runtime_error("FFTW made no plan for frames of " + to_string(extent));
    }
  }
  ~Plans() {
    const std::scoped_lock lock(planner_mutex());
    destroy();
  }
  Plans(const Plans&) = delete;
  Plans& operator=(const Plans&) = delete;

  void destroy() {
    if (forward != nullptr) Fftw<Real>::destroy(forward);
    if (inverse != nullptr) Fftw<Real>::destroy(inverse);
  }

  typename Fftw<Real>::Plan forward = nullptr;
  typename Fftw<Real>::Plan inverse = nullptr;
};

template <std::floating_point Real>
requires(std::same_as<Real, float> ||
         std::same_as<Real, double>) RealFft<Real>::RealFft(Extent extent, FftPlanning planning)
    : extent_(extent) {
  constexpr std::size_t longest = std::numeric_limits<int>::max();
  if (extent.area() == 0 || extent.height > longest || extent.width > longest) {
    throw_invalid("extent", "a frame with pixels", to_string(extent));
  }
  // A plan is a few kilobytes; a process meets a handful of sizes, so plans are kept for good.
  // The mutex comes first: it must outlive the plans, whose destructors lock it.
  const std::scoped_lock lock(planner_mutex());
  static std::map<std::tuple<std::size_t, std::size_t, FftPlanning>, std::shared_ptr<const Plans>>
      plans;
  auto& entry = plans[{extent.height, extent.width, planning}];
  if (!entry) {
    entry = std::make_shared<const Plans>(
        extent, planning == FftPlanning::quick ? FFTW_ESTIMATE : FFTW_MEASURE);
  }
  plans_ = entry;
}

template <std::floating_point Real>
requires(std::same_as<Real, float> || std::same_as<Real, double>) void RealFft<Real>::forward(
    const Real* frame, std::complex<Real>* spectrum) const {
  // Out of place, r2c keeps its input; FFTW's signature is not const.
  Fftw<Real>::forward(plans_->forward, const_cast<Real*>(frame), as_fftw(spectrum));
}

template <std::floating_point Real>
requires(std::same_as<Real, float> ||
         std::same_as<Real, double>) void RealFft<Real>::inverse(std::complex<Real>* spectrum,
                                                                 Real* frame) const {
  Fftw<Real>::inverse(plans_->inverse, as_fftw(spectrum), frame);
}

template class RealFft<float>;
template class RealFft<double>;

}  // namespace stillscope
