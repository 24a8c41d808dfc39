// SPDX-License-Identifier: GPL-3.0-or-later
/// What a pass of the refinement costs a frame of 480x752, and its parts: the first pass, from the
/// tree's shifts, and the one after it; the template that each begins with, whatever the number of
/// frames; the fits and the mean by themselves; and the floor, which is to read the movie once.
/// The answers of passes, fits and means are checked before they are timed.
#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/refine/mean_template.hpp"
#include "stillscope/refine/reference_template.hpp"
#include "stillscope/refine/refine_pass.hpp"
#include "support.hpp"

namespace stillscope::bench {
namespace {

constexpr Extent extent{480, 752};
// More than caches hold.
constexpr std::size_t frames = 96;
// Where no frame's border lies.
const Area area = Area::of(extent).inset(16);

/// The movie, and what is known of it before and after its first pass.
template <Pixel T>
struct Refinement {
  Movie<T> movie{frames, extent};
  EstimateSettings settings;
  MotionEstimate tree;
  std::vector<FrameState> before{frames};
  std::vector<FrameState> after;
  AlignedBuffer<float> mean{extent.area()};
  PassSettings rough;
  PassSettings fine;

  Refinement() : tree(estimate_motion(movie.view(), EstimateSettings::tree_alone({}))) {
    rough.fit = fine.fit = {settings.refine.has_brightness, settings.refine.robust};
    rough.fit.tolerance = 0.03;  // as where another pass follows
    for (std::size_t i = 0; i < frames; ++i) before[i].fit.shift = tree.shifts[i];
    after = before;
    MeanTemplate next(extent);
    const ReferenceTemplate reference = first_template();
    const LocatorTarget target = located(reference);
    RefinePass<T>(reference, &target, nullptr, rough)(movie.view(), after, next, SerialExecutor());
    next.mean(mean.data());
  }

  [[nodiscard]] ReferenceTemplate first_template() const {
    return {tree.merged[aggregate_slot],
            area,
            {},
            settings.refine.highpass,
            2.0 * settings.refine.lowpass};
  }
  [[nodiscard]] ReferenceTemplate second_template() const {
    return {FrameView<const float>(mean.data(), extent),
            area,
            {},
            settings.refine.highpass,
            settings.refine.lowpass};
  }
  /// Where frames are looked for in the first pass.
  [[nodiscard]] LocatorTarget located(const ReferenceTemplate& reference) const {
    return {reference.detail(), frames, settings.refine.highpass};
  }
};

template <Pixel T>
const Refinement<T>& refinement() {
  static const Refinement<T> instance;
  return instance;
}

template <Pixel T>
void check(const std::vector<FrameState>& states, double tolerance) {
  ShiftList shifts;
  for (const FrameState& state : states) {
    require(state.fit.has_converged && state.flags == 0, "a fit");
    shifts.push_back(state.fit.shift);
  }
  require(residual(shifts, refinement<T>().movie.displacement) < tolerance, "refined motion");
}

void set_per_frame(benchmark::State& state) {
  state.counters["per_frame"] = 1.0 / static_cast<double>(frames);
}

/// A pass over the movie; its template, which costs the same for any number of frames, is there.
template <Pixel T>
void pass(benchmark::State& state, bool is_first) {
  const auto& input = refinement<T>();
  const ReferenceTemplate reference = is_first ? input.first_template() : input.second_template();
  std::optional<LocatorTarget> target;
  if (is_first) target.emplace(input.located(reference));
  RefinePass<T> run(reference, target ? &*target : nullptr, nullptr,
                    is_first ? input.rough : input.fine);
  MeanTemplate next(extent);
  std::vector<FrameState> states;
  const auto once = [&] {
    states = is_first ? input.before : input.after;
    next.clear();
    run(input.movie.view(), states, next, SerialExecutor());
  };
  once();
  check<T>(states, is_first ? 0.05 : 0.02);
  for (auto _ : state) once();
  set_per_frame(state);
}

template <Pixel T>
void first_template(benchmark::State& state) {
  const auto& input = refinement<T>();
  for (auto _ : state) benchmark::DoNotOptimize(input.first_template());
}

/// Fits of frames from where they are: one evaluation of all rows each.
template <Pixel T>
void fits(benchmark::State& state) {
  const auto& input = refinement<T>();
  const ReferenceTemplate reference = input.second_template();
  FrameFitter<T> fitter(extent, input.fine.fit);
  std::vector<FrameState> states = input.after;
  for (std::size_t i = 0; i < frames; ++i) {
    states[i].fit = fitter(input.movie.view()[i], reference, input.after[i].fit);
  }
  check<T>(states, 0.02);
  std::size_t evaluations = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < frames; ++i) {
      evaluations += fitter(input.movie.view()[i], reference, input.after[i].fit).evaluations;
    }
  }
  state.counters["evaluations"] =
      static_cast<double>(evaluations) / static_cast<double>(frames * state.iterations());
  set_per_frame(state);
}

template <Pixel T>
void mean(benchmark::State& state) {
  const auto& input = refinement<T>();
  MeanTemplate next(extent);
  const auto once = [&] {
    next.clear();
    for (std::size_t first = 0; first < frames; first += MeanTemplate::group) {
      std::vector<RegisteredFrame<T>> some;
      for (std::size_t i = first; i < first + MeanTemplate::group; ++i) {
        some.push_back({input.movie.view()[i], input.after[i].fit.shift});
      }
      next.add<T>(some, SerialExecutor());
    }
  };
  once();
  // That the first pass made, frame by frame as it fitted them, from the same shifts.
  AlignedBuffer<float> again(extent.area());
  next.mean(again.data());
  require(std::equal(again.data(), again.data() + extent.area(), input.mean.data(),
                     [](float a, float b) { return a == b || (a != a && b != b); }),
          "mean");
  for (auto _ : state) once();
  set_per_frame(state);
}

template <Pixel T>
void floor_reading(benchmark::State& state) {
  const auto& pixels = refinement<T>().movie.pixels;
  for (auto _ : state) {
    for (std::size_t i = 0; i < frames; ++i) {
      benchmark::DoNotOptimize(
          pixel_kernels<T>().sum(pixels.data() + i * extent.area(), extent.area()));
    }
  }
  set_per_frame(state);
}

template <Pixel T>
void add_benchmarks(const std::string& type) {
  const auto add = [&](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark((name + "<" + type + ">").c_str(), function, arguments...)
        ->Unit(benchmark::kMillisecond);
  };
  add("first_pass", pass<T>, true);
  add("later_pass", pass<T>, false);
  add("template", first_template<T>);
  add("fits", fits<T>);
  add("mean", mean<T>);
  add("floor_reading", floor_reading<T>);
}

}  // namespace
}  // namespace stillscope::bench

int main(int argc, char** argv) {
  using namespace stillscope::bench;
  add_benchmarks<float>("float");
  add_benchmarks<std::uint8_t>("std::uint8_t");
  return run(argc, argv);
}
