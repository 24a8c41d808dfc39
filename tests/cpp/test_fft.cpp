// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cmath>
#include <complex>
#include <thread>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/register/spectra.hpp"
#include "support/catch.hpp"
#include "support/reference.hpp"

namespace stillscope {
namespace {

// Share of the largest coefficient; measured 2.1e-7 and 1.1e-15.
template <class Real>
constexpr double transform_tolerance = std::is_same_v<Real, float> ? 2e-6 : 2e-14;
// Pixels; measured 4e-15.
constexpr double displacement_tolerance = 1e-11;

const std::vector<Extent>& sizes() {
  static const std::vector<Extent> list{{1, 1}, {1, 2}, {2, 1},  {2, 2},  {1, 7},   {7, 1},
                                        {1, 8}, {8, 1}, {5, 13}, {6, 10}, {11, 12}, {16, 9}};
  return list;
}

test::Image<double> random_image(Extent extent, std::uint64_t seed) {
  test::Random random(seed);
  return test::noise<double>(extent, random);
}

template <class Real>
AlignedBuffer<std::complex<Real>> transformed(const RealFft<Real>& fft,
                                              const test::Image<double>& image) {
  AlignedBuffer<Real> frame(image.pixels.size());
  std::transform(image.pixels.begin(), image.pixels.end(), frame.data(),
                 [](double pixel) { return static_cast<Real>(pixel); });
  AlignedBuffer<std::complex<Real>> spectrum(fft.spectrum_size());
  fft.forward(frame.data(), spectrum.data());
  return spectrum;
}

TEMPLATE_TEST_CASE("A forward transform has np.fft.rfft2's layout and values", "[fft]", float,
                   double) {
  const std::uint64_t seed = 21;
  CAPTURE(seed);
  for (const Extent extent : sizes()) {
    for (const FftPlanning planning : {FftPlanning::quick, FftPlanning::thorough}) {
      CAPTURE(extent, static_cast<int>(planning));
      const auto image = random_image(extent, seed);
      const RealFft<TestType> fft(extent, planning);
      const auto expected = test::direct_rfft2(image);
      const auto spectrum = transformed(fft, image);
      REQUIRE(spectrum.size() == expected.size());
      double error = 0.0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        error = std::max(error, std::abs(std::complex<double>(spectrum.data()[i]) - expected[i]));
      }
      CHECK(error < transform_tolerance<TestType> * std::abs(expected[0]));
    }
  }
}

TEMPLATE_TEST_CASE("The inverse of the forward transform is the frame times its area", "[fft]",
                   float, double) {
  const std::uint64_t seed = 22;
  CAPTURE(seed);
  for (const Extent extent : sizes()) {
    CAPTURE(extent);
    const auto image = random_image(extent, seed);
    const RealFft<TestType> fft(extent);
    auto spectrum = transformed(fft, image);
    AlignedBuffer<TestType> back(extent.area());
    fft.inverse(spectrum.data(), back.data());
    double error = 0.0;
    for (std::size_t i = 0; i < extent.area(); ++i) {
      const double pixel = static_cast<double>(back.data()[i]) / static_cast<double>(extent.area());
      error = std::max(error, std::abs(pixel - image.pixels[i]));
    }
    CHECK(error < transform_tolerance<TestType> * 255.0);
  }
}

TEST_CASE("A forward transform keeps its input", "[fft]") {
  const RealFft<float> fft({6, 7});
  AlignedBuffer<float> frame(42);
  for (std::size_t i = 0; i < 42; ++i) frame.data()[i] = static_cast<float>(i * i % 17);
  const std::vector<float> before(frame.data(), frame.data() + 42);
  AlignedBuffer<std::complex<float>> spectrum(fft.spectrum_size());
  fft.forward(frame.data(), spectrum.data());
  CHECK(std::equal(before.begin(), before.end(), frame.data()));
}

TEST_CASE("Plans are made and used from several threads at once", "[fft]") {
  const auto image = random_image({12, 15}, 23);
  const auto expected = test::direct_rfft2(image);
  std::vector<double> errors(4, 1e9);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    threads.emplace_back([&, i] {
      for (std::size_t extra = 0; extra < 5; ++extra) {
        const RealFft<float> other({3 + extra, 4 + i});  // plans while others execute
        const RealFft<double> fft(image.extent);
        const auto spectrum = transformed(fft, image);
        errors[i] = 0.0;
        for (std::size_t k = 0; k < expected.size(); ++k) {
          errors[i] = std::max(errors[i], std::abs(spectrum.data()[k] - expected[k]));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const double error : errors) {
    CHECK(error < transform_tolerance<double> * std::abs(expected[0]));
  }
}

TEST_CASE("A transform of no pixel is refused", "[fft][errors]") {
  CHECK_REFUSES("extent", RealFft<float>({0, 4}));
  CHECK_REFUSES("extent", RealFft<double>({4, 0}));
}

TEST_CASE("The cross-power is src conj(dst) without its constant term", "[fft]") {
  const std::vector<std::complex<double>> src{{1, 2}, {3, -4}, {0, 5}};
  const std::vector<std::complex<double>> dst{{6, 7}, {-8, 9}, {10, 0}};
  std::vector<std::complex<double>> product(3);
  cross_power(src.data(), dst.data(), 3, product.data());
  CHECK(product[0] == 0.0);
  CHECK(product[1] == src[1] * std::conj(dst[1]));
  CHECK(product[2] == src[2] * std::conj(dst[2]));
}

TEST_CASE("A spectrum is computed once for each key until it is released", "[fft]") {
  SpectrumCache<> cache;
  std::size_t computed = 0;
  const auto compute = [&](Spectrum& spectrum) {
    spectrum.energy = static_cast<double>(++computed);
  };
  CHECK(cache.get(4, compute).energy == 1.0);
  CHECK(cache.get(9, compute).energy == 2.0);
  CHECK(cache.get(4, compute).energy == 1.0);
  cache.release(4);
  cache.release(77);
  CHECK(cache.get(9, compute).energy == 2.0);
  CHECK(cache.get(4, compute).energy == 3.0);
  cache.clear();
  CHECK(cache.get(9, compute).energy == 4.0);
}

TEST_CASE("From spectra comes plus the peak of the direct correlation", "[fft]") {
  const std::uint64_t seed = 24;
  CAPTURE(seed);
  for (const Extent extent : sizes()) {
    CAPTURE(extent);
    const auto src = random_image(extent, seed);
    const auto dst = random_image(extent, seed + 1);
    const RealFft<double> fft(extent);
    const Shift found = displacement_from_spectra(transformed(fft, src).data(),
                                                  transformed(fft, dst).data(), extent);
    const Shift expected = -test::direct_shift(src, dst);
    CHECK(std::abs(found.height - expected.height) < displacement_tolerance);
    CHECK(std::abs(found.width - expected.width) < displacement_tolerance);
  }
}

}  // namespace
}  // namespace stillscope
