// SPDX-License-Identifier: GPL-3.0-or-later
/// A whole movie: estimate and apply, by size, type, chunk and threads. The estimate is checked
/// against the known motion before it is timed. Arguments: frames, height, width, chunk, threads.
#include <map>

#include "stillscope/movie/apply_deformation.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "support.hpp"

namespace stillscope::bench {
namespace {

// RMS error [px] of the tree on these movies; measured 0.075 (480x752) to 0.115 (331x457).
constexpr double largest_error = 0.2;

template <Pixel T>
const Movie<T>& movie(std::size_t frames, Extent extent) {
  static std::map<std::vector<std::size_t>, Movie<T>> movies;
  const std::vector<std::size_t> key = {frames, extent.height, extent.width};
  const auto found = movies.find(key);
  if (found != movies.end()) return found->second;
  return movies.emplace(key, Movie<T>(frames, extent)).first->second;
}

struct Case {
  std::size_t frames;
  Extent extent;
  std::size_t chunk;
  std::size_t threads;

  explicit Case(const benchmark::State& state)
      : frames(at(state, 0)),
        extent{at(state, 1), at(state, 2)},
        chunk(at(state, 3)),
        threads(at(state, 4)) {}

  static std::size_t at(const benchmark::State& state, std::size_t index) {
    return static_cast<std::size_t>(state.range(index));
  }
};

void set_per_frame(benchmark::State& state, std::size_t frames) {
  state.counters["frame"] = benchmark::Counter(
      static_cast<double>(frames),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

template <Pixel T>
void estimate(benchmark::State& state) {
  const Case parameters(state);
  const auto& frames = movie<T>(parameters.frames, parameters.extent);
  const auto settings = EstimateSettings::tree_alone(EstimateSettings().tree, parameters.chunk);
  const auto executor = make_executor(parameters.threads);
  const MotionEstimate motion = estimate_motion(frames.view(), settings, *executor);
  const double error = residual(motion.shifts, frames.displacement);
  require(error < largest_error, "estimated motion");
  for (auto _ : state) {
    benchmark::DoNotOptimize(estimate_motion(frames.view(), settings, *executor));
  }
  set_per_frame(state, parameters.frames);
  state.counters["error_px"] = error;
}

template <Pixel T>
void apply(benchmark::State& state) {
  const Case parameters(state);
  const auto& frames = movie<T>(parameters.frames, parameters.extent);
  std::vector<Shift> shifts;
  for (const Shift& moved : frames.displacement) shifts.push_back(-moved);
  std::vector<T> pixels(frames.pixels.size());
  const MovieView<T> out(pixels.data(), parameters.frames, parameters.extent);
  const auto executor = make_executor(parameters.threads);
  apply_motion<T>(frames.view(), shifts, out, {}, *executor);
  // In the middle the scene stands still: noise is all that is left between two frames.
  const std::size_t y = parameters.extent.height / 2;
  double difference = 0.0;
  for (std::size_t x = 50; x < parameters.extent.width - 50; ++x) {
    difference +=
        static_cast<double>(out[parameters.frames - 1](y, x)) - static_cast<double>(out[0](y, x));
  }
  difference /= static_cast<double>(parameters.extent.width - 100);
  require(std::fabs(difference) < 1.0, "applied motion");
  for (auto _ : state) {
    apply_motion<T>(frames.view(), shifts, out, {}, *executor);
    benchmark::ClobberMemory();
  }
  set_per_frame(state, parameters.frames);
}

/// The movies do not deform, so that fields that are expected to be there must be small.
template <Pixel T>
void estimate_nonrigid(benchmark::State& state) {
  const Case parameters(state);
  const auto& frames = movie<T>(parameters.frames, parameters.extent);
  EstimateSettings settings;
  settings.nonrigid.method = NonrigidMethod::spline;
  settings.nonrigid.expected = 1.0;
  const auto executor = make_executor(parameters.threads);
  const MovieMotion motion = estimate_motion<T>(frames.view(), settings, *executor);
  double square = 0.0;
  for (const FrameDeformation& frame : motion.deformation->frames) {
    square += frame.size * frame.size / static_cast<double>(parameters.frames);
  }
  require(std::sqrt(square) < largest_error, "fields of a movie that does not deform");
  for (auto _ : state) {
    benchmark::DoNotOptimize(estimate_motion<T>(frames.view(), settings, *executor));
  }
  set_per_frame(state, parameters.frames);
}

template <Pixel T>
void apply_fields(benchmark::State& state) {
  const Case parameters(state);
  const auto& frames = movie<T>(parameters.frames, parameters.extent);
  const ControlGrid grid = ControlGrid::with_spacing(parameters.extent, 75.0);
  std::vector<double> coefficients;
  for (const Shift& moved : frames.displacement) {
    coefficients.insert(coefficients.end(), grid.points(), moved.width);
    coefficients.insert(coefficients.end(), grid.points(), moved.height);
  }
  std::vector<T> pixels(frames.pixels.size());
  const MovieView<T> out(pixels.data(), parameters.frames, parameters.extent);
  const auto executor = make_executor(parameters.threads);
  apply_deformation<T>(frames.view(), grid, coefficients, out, {}, *executor);
  // A field that is the same everywhere is a shift.
  std::vector<Shift> shifts;
  for (const Shift& moved : frames.displacement) shifts.push_back(-moved);
  std::vector<T> expected(frames.pixels.size());
  apply_motion<T>(frames.view(), shifts,
                  MovieView<T>(expected.data(), parameters.frames, parameters.extent), {},
                  *executor);
  double worst = 0.0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    worst = std::fmax(worst,
                      std::fabs(static_cast<double>(pixels[i]) - static_cast<double>(expected[i])));
  }
  require(worst < 1.5, "applied fields");
  for (auto _ : state) {
    apply_deformation<T>(frames.view(), grid, coefficients, out, {}, *executor);
    benchmark::ClobberMemory();
  }
  set_per_frame(state, parameters.frames);
}

void cases(benchmark::internal::Benchmark* family) {
  family->ArgNames({"frames", "height", "width", "chunk", "threads"})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
  for (const auto& [height, width] :
       {std::pair{480, 752}, {608, 608}, {512, 512}, {600, 600}, {331, 457}}) {
    family->Args({120, height, width, 0, 1});
  }
  family->Args({120, 480, 752, 0, 2})->Args({120, 480, 752, 30, 1})->Args({120, 480, 752, 30, 2});
}

BENCHMARK(estimate<float>)->Apply(cases);
BENCHMARK(estimate<std::uint8_t>)->Apply(cases);
BENCHMARK(estimate_nonrigid<float>)->Apply(cases);
BENCHMARK(apply<float>)->Apply(cases);
BENCHMARK(apply<std::uint8_t>)->Apply(cases);
BENCHMARK(apply_fields<float>)->Apply(cases);
BENCHMARK(apply_fields<std::uint8_t>)->Apply(cases);

}  // namespace
}  // namespace stillscope::bench

int main(int argc, char** argv) { return stillscope::bench::run(argc, argv); }
