// SPDX-License-Identifier: GPL-3.0-or-later
/// The kernels of the estimate and the applier on one 480x752 frame, beside their floors: `memcpy`
/// of the frame and one transform. Each answer is checked before it is timed.
#include <cstring>

#include "stillscope/fft/real_fft.hpp"
#include "stillscope/fft/spectrum.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/warp/translation.hpp"
#include "support.hpp"

namespace stillscope::bench {
namespace {

constexpr Extent extent{480, 752};

template <Pixel T>
const Movie<T>& movie() {
  static const Movie<T> instance(3, extent);
  return instance;
}

template <Pixel T>
FrameRef<T> frame_ref(std::size_t index) {
  return make_frame_ref(movie<T>().view()[index], index);
}

/// The time of one frame per iteration, and the rate at which its pixels go by.
template <Pixel T>
void set_frame_rate(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(extent.area() * sizeof(T)));
}

template <Pixel T>
void memcpy_floor(benchmark::State& state) {
  const auto& frames = movie<T>();
  std::vector<T> out(extent.area());
  for (auto _ : state) {
    std::memcpy(out.data(), frames.pixels.data(), extent.area() * sizeof(T));
    benchmark::ClobberMemory();
  }
  set_frame_rate<T>(state);
}

void transform(benchmark::State& state) {
  const RealFft<float> fft(extent, FftPlanning::thorough);
  AlignedBuffer<float> plane(extent.area());
  AlignedBuffer<std::complex<float>> spectrum(fft.spectrum_size());
  std::copy_n(movie<float>().pixels.data(), extent.area(), plane.data());
  fft.forward(plane.data(), spectrum.data());
  fft.inverse(spectrum.data(), plane.data());
  const float back = plane.data()[12345] / static_cast<float>(extent.area());
  require(std::fabs(back - movie<float>().pixels[12345]) < 1e-2F, "transform and back");
  const bool is_forward = state.range(0) == 0;
  for (auto _ : state) {
    if (is_forward) {
      fft.forward(plane.data(), spectrum.data());
    } else {
      fft.inverse(spectrum.data(), plane.data());
    }
    benchmark::ClobberMemory();
  }
  state.SetLabel(is_forward ? "forward" : "inverse");
}

void cross_power_of_spectra(benchmark::State& state) {
  const std::size_t size = extent.height * (extent.width / 2 + 1);
  std::vector<std::complex<float>> a(size, {1.0F, 2.0F});
  std::vector<std::complex<float>> b(size, {3.0F, -4.0F});
  std::vector<std::complex<float>> c(size);
  cross_power(a.data(), b.data(), size, c.data());
  require(c[size - 1] == a[0] * std::conj(b[0]), "cross-power");
  for (auto _ : state) {
    cross_power(a.data(), b.data(), size, c.data());
    benchmark::ClobberMemory();
  }
}

template <Pixel T>
void exact_peak(benchmark::State& state) {
  const auto src = frame_ref<T>(0);
  const auto dst = frame_ref<T>(1);
  ExactCorrelation<T> exact;
  const auto window = exact(src, dst, PixelOffset{2, -1});
  double expected = 0.0;  // R(2, -1) - R(2, -2), by its definition
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      const std::size_t row = (y + 2) % extent.height;
      const auto value = static_cast<double>(dst.view(y, x));
      expected += value * static_cast<double>(src.view(row, (x + extent.width - 1) % extent.width));
      expected -= value * static_cast<double>(src.view(row, (x + extent.width - 2) % extent.width));
    }
  }
  const auto found = static_cast<double>(window[1][1] - window[1][0]);
  require(std::fabs(found - expected) < 1e-4 * std::fabs(expected) + 1.0, "exact correlation");
  for (auto _ : state) benchmark::DoNotOptimize(exact(src, dst, PixelOffset{2, -1}));
  set_frame_rate<T>(state);
}

template <Pixel T>
void register_pair(benchmark::State& state) {
  FftRegistrar<T> registrar(extent, FftPlanning::thorough);
  const auto src = frame_ref<T>(1);
  const auto dst = frame_ref<T>(0);
  const Shift shift = registrar.shift_to_register(src, dst);
  const auto& truth = movie<T>().displacement;
  const Shift error = shift + (truth[1] - truth[0]);
  require(std::fabs(error.height) < 0.1 && std::fabs(error.width) < 0.1, "registration");
  for (auto _ : state) {
    registrar.clear();
    benchmark::DoNotOptimize(registrar.shift_to_register(src, dst));
  }
  state.SetLabel("two spectra, one correlation");
}

template <Pixel T>
void warp(benchmark::State& state) {
  const FrameView<const T> frame = movie<T>().view()[0];
  const Translation translation({1.25, -2.5}, extent);
  RowWarper<T> warper;
  std::vector<float> out(extent.area());
  const auto run = [&] {
    warper.begin(frame, translation, 0.0F);
    for (std::size_t y = 0; y < extent.height; ++y) warper(y, out.data() + y * extent.width);
  };
  run();
  const auto at = [&](std::size_t y, std::size_t x) { return static_cast<double>(frame(y, x)); };
  const double expected =  // out(100, 100) lies at (98.75, 102.5)
      0.25 * 0.5 * (at(98, 102) + at(98, 103)) + 0.75 * 0.5 * (at(99, 102) + at(99, 103));
  const double found = static_cast<double>(out[100 * extent.width + 100]);
  require(std::fabs(found - expected) < 1e-3, "bilinear translation");
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  set_frame_rate<T>(state);
}

void circularity_of_frame(benchmark::State& state) {
  const FrameView<const float> frame = movie<float>().view()[0];
  const double value = circularity(frame, 100);
  require(value >= 0.0 && value < 1.5, "circularity");
  for (auto _ : state) benchmark::DoNotOptimize(circularity(frame, 100));
}

BENCHMARK(memcpy_floor<float>)->Unit(benchmark::kMicrosecond);
BENCHMARK(memcpy_floor<std::uint8_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(transform)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(cross_power_of_spectra)->Unit(benchmark::kMicrosecond);
BENCHMARK(exact_peak<float>)->Unit(benchmark::kMicrosecond);
BENCHMARK(exact_peak<std::uint8_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(exact_peak<std::uint16_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(register_pair<float>)->Unit(benchmark::kMicrosecond);
BENCHMARK(register_pair<std::uint8_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(warp<float>)->Unit(benchmark::kMicrosecond);
BENCHMARK(warp<std::uint8_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(warp<std::uint16_t>)->Unit(benchmark::kMicrosecond);
BENCHMARK(circularity_of_frame)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace stillscope::bench

int main(int argc, char** argv) { return stillscope::bench::run(argc, argv); }
