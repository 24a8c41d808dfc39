// SPDX-License-Identifier: GPL-3.0-or-later
/// The stages of an estimate on 480x752 frames, each beside its floor: what it would cost to do no
/// more than move the data through memory, or to run the bare transform. `per_frame` says how many
/// times a frame of a movie pays for a stage, as counted in an estimate of the same movie; a
/// stage's time times that, summed over the stages, is the estimate's. Each answer is checked
/// before it is timed. Frames come in the order of the movie, from memory; templates and a group's
/// frames from the cache, as in an estimate.
#include <cstring>
#include <span>

#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/register/coarse_candidates.hpp"
#include "stillscope/register/exact_correlation.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/tree/template_merger.hpp"
#include "support.hpp"

namespace stillscope::bench {
namespace {

using TemplatePixel = std::int16_t;

constexpr Extent extent{480, 752};
// More than caches hold.
constexpr std::size_t frames = 96;
constexpr std::size_t group = 3;
constexpr std::size_t slots = 3;
constexpr std::size_t pooling = 8;

template <Pixel T>
const Movie<T>& movie() {
  static const Movie<T> instance(frames, extent);
  return instance;
}

template <Pixel T>
FrameView<const T> frame(std::size_t index) {
  return movie<T>().view()[index % frames];
}

template <Pixel T>
FrameRef<T> frame_ref(std::size_t index) {
  return make_frame_ref(frame<T>(index), index % frames);
}

/// How often the stages of an estimate run: measured.
struct Work {
  TreeCounts counts;
  std::size_t leaf_registrations;

  [[nodiscard]] double per_frame(std::size_t count) const {
    return static_cast<double>(count) / static_cast<double>(frames);
  }
  [[nodiscard]] double leaf_share() const {
    return static_cast<double>(leaf_registrations) / static_cast<double>(counts.registrations);
  }
};

const auto tree_alone = EstimateSettings::tree_alone(EstimateSettings().tree);

template <Pixel T>
const Work& work() {
  static const Work instance = [] {
    const MotionEstimate motion = estimate_motion(movie<T>().view(), tree_alone);
    return Work{motion.counts, frames - motion.counts.leaves};
  }();
  return instance;
}

/// Of the frames of a group.
template <Pixel T>
PixelRange range() {
  T lowest = movie<T>().pixels[0];
  T highest = lowest;
  pixel_kernels<T>().range(movie<T>().pixels.data(), group * extent.area(), &lowest, &highest);
  return {static_cast<double>(lowest), static_cast<double>(highest)};
}

/// A group of templates: frames in 14 bits.
template <Pixel T>
struct Templates {
  std::vector<CodedTemplate> nodes;

  Templates() {
    for (std::size_t i = 0; i < group; ++i) {
      nodes.emplace_back(slots, extent, range<T>());
      for (const Slot slot : {first_slot, aggregate_slot, last_slot}) {
        for (std::size_t y = 0; y < extent.height; ++y) {
          std::vector<float> row(extent.width);
          pixel_kernels<T>().to_float(frame<T>(i).row(y), extent.width, row.data());
          const BlendedRow plain{row.data(), row.data(), 0.0F, 1.0F};
          nodes.back().store(slot, y, {&plain, 1, false});
        }
      }
    }
  }
  [[nodiscard]] FrameRef<TemplatePixel> ref(std::size_t index) const {
    const CodedTemplate& node = nodes[index];
    return make_frame_ref(FrameView<const TemplatePixel>(node[aggregate_slot]), index,
                          node.pixel_range());
  }
};

template <Pixel T>
const Templates<T>& templates() {
  static const Templates<T> instance;
  return instance;
}

/// Frames of T, one after the other, or the templates that they become.
template <Pixel T, Pixel U>
FrameRef<U> source(std::size_t index) {
  if constexpr (std::same_as<U, TemplatePixel>) {
    return templates<T>().ref(index % group);
  } else {
    return frame_ref<U>(index);
  }
}

void set_per_frame(benchmark::State& state, double times) { state.counters["per_frame"] = times; }

/// Reads a frame from the cache, and keeps none of it.
template <Pixel U>
void read(const FrameView<const U>& view) {
  constexpr std::size_t piece = 4096;
  alignas(64) char sink[piece];
  const char* from = reinterpret_cast<const char*>(view.data());
  const std::size_t size = view.extent().area() * sizeof(U);
  for (std::size_t i = 0; i < size; i += piece) {
    std::memcpy(sink, from + i, std::min(piece, size - i));
    benchmark::DoNotOptimize(sink);
  }
}

/// The same from memory, which gives most where it is read in several places at a time.
template <Pixel U>
void read_from_memory(const FrameView<const U>& view) {
  constexpr std::size_t streams = 8;
  const std::size_t rows = view.height() / streams;
  std::vector<U> sink(view.width());
  for (std::size_t y = 0; y < rows; ++y) {
    for (std::size_t k = 0; k < streams; ++k) {
      std::memcpy(sink.data(), view.row(k * rows + y), view.width() * sizeof(U));
      benchmark::DoNotOptimize(sink.data());
    }
  }
}

// --- spectra of pooled frames --------------------------------------------------------------------

/// Of a movie's frames, or of templates (U).
template <Pixel T, Pixel U>
void stage_spectra(benchmark::State& state, double per_frame) {
  PooledSpectra<U> spectra(extent, pooling);
  const auto first = source<T, U>(0);
  double mean = 0.0;
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) mean += static_cast<double>(first.view(y, x));
  }
  mean /= static_cast<double>(extent.area());
  require(std::fabs(spectra(first).mean + first.offset - mean) < 1e-4 * std::fabs(mean),
          "pooling keeps the mean");
  std::size_t index = 0;
  for (auto _ : state) {
    spectra.clear();
    benchmark::DoNotOptimize(spectra(source<T, U>(index++)));
  }
  set_per_frame(state, per_frame);
}

/// The frame is read, and cells are transformed.
template <Pixel T, Pixel U>
void floor_spectra(benchmark::State& state, double per_frame) {
  const RealFft<float> fft(CoarseGrid(extent, pooling).extent());
  AlignedBuffer<float> plane(fft.extent().area());
  AlignedBuffer<std::complex<float>> spectrum(fft.spectrum_size());
  std::fill_n(plane.data(), fft.extent().area(), 1.0F);
  std::size_t index = 0;
  for (auto _ : state) {
    if constexpr (std::same_as<U, TemplatePixel>) {
      read(source<T, U>(index++).view);
    } else {
      read_from_memory(source<T, U>(index++).view);
    }
    fft.forward(plane.data(), spectrum.data());
  }
  set_per_frame(state, per_frame);
}

// --- the small correlation -----------------------------------------------------------------------

template <Pixel T>
void stage_small_correlation(benchmark::State& state, double per_frame) {
  CoarseCandidates<T> candidates(extent, pooling, false, FftRegistrar<T>::transform_margin);
  const auto& a = candidates.pooled(frame_ref<T>(0));
  const auto& b = candidates.pooled(frame_ref<T>(1));
  const Nominees* nominees = candidates(a, b);
  require(nominees != nullptr && nominees->hills.size() == 1, "one hill");
  const Shift moved = movie<T>().displacement[0] - movie<T>().displacement[1];
  const PixelOffset top = nominees->hills[0].top;
  require(std::fabs(static_cast<double>(top.height) - moved.height) < 2.0 &&
              std::fabs(static_cast<double>(top.width) - moved.width) < 2.0,
          "the hill is where the motion is");
  for (auto _ : state) benchmark::DoNotOptimize(candidates(a, b));
  set_per_frame(state, per_frame);
}

/// The inverse transform alone.
void floor_small_correlation(benchmark::State& state, double per_frame) {
  const RealFft<float> fft(CoarseGrid(extent, pooling).extent());
  AlignedBuffer<float> plane(fft.extent().area());
  AlignedBuffer<std::complex<float>> spectrum(fft.spectrum_size());
  for (auto _ : state) {
    std::fill_n(spectrum.data(), fft.spectrum_size(), 1.0F);
    fft.inverse(spectrum.data(), plane.data());
  }
  set_per_frame(state, per_frame);
}

// --- exact sums ----------------------------------------------------------------------------------

/// The window round (2, -1), checked and timed.
template <Pixel U>
void exact_window(benchmark::State& state, const FrameRef<U>& src, const FrameRef<U>& dst) {
  ExactCorrelation<U> exact;
  const auto window = exact(src, dst, PixelOffset{2, -1});
  double expected = 0.0;  // R(2, -1) - R(2, -2), by its definition
  for (std::size_t y = 0; y < extent.height; ++y) {
    for (std::size_t x = 0; x < extent.width; ++x) {
      const std::size_t row = (y + 2) % extent.height;
      const auto value = static_cast<double>(dst.view(y, x)) - dst.offset;
      expected += value * static_cast<double>(src.view(row, (x + extent.width - 1) % extent.width));
      expected -= value * static_cast<double>(src.view(row, (x + extent.width - 2) % extent.width));
    }
  }
  const auto found = static_cast<double>(window[1][1] - window[1][0]);
  require(std::fabs(found - expected) < 1e-4 * std::fabs(expected) + 1.0, "exact correlation");
  // Frames come from memory once for pooling; then they are in the cache.
  for (auto _ : state) benchmark::DoNotOptimize(exact(src, dst, PixelOffset{2, -1}));
}

template <Pixel T, Pixel U>
void stage_exact_window(benchmark::State& state, double per_frame) {
  exact_window(state, source<T, U>(0), source<T, U>(1));
  set_per_frame(state, per_frame);
}

/// Of frames of 14 bits, or of 16 because one pixel is saturated.
void exact_window_of_uint16(benchmark::State& state, bool is_saturated) {
  std::vector<std::uint16_t> pixels[2];
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t k = 0; k < extent.area(); ++k) {
      const float value = std::max(0.0F, 16.0F * frame<float>(i).data()[k]);
      pixels[i].push_back(static_cast<std::uint16_t>(value));
    }
    if (is_saturated) pixels[i][0] = 65535;
  }
  const auto ref = [&](std::size_t i) {
    return make_frame_ref(FrameView<const std::uint16_t>(pixels[i].data(), extent), i);
  };
  exact_window(state, ref(0), ref(1));
}

template <Pixel T, Pixel U>
void floor_exact_window(benchmark::State& state, double per_frame) {
  for (auto _ : state) {
    read(source<T, U>(0).view);
    read(source<T, U>(1).view);
  }
  set_per_frame(state, per_frame);
}

// --- warping and merging -------------------------------------------------------------------------

template <Pixel T>
std::vector<MergeSource<T>> leaf_sources() {
  std::vector<MergeSource<T>> sources;
  for (std::size_t i = 0; i < group; ++i) {
    const auto view = frame<T>(i);
    const auto offset = static_cast<double>(i);
    sources.push_back({{view, view, view},
                       1,
                       {},
                       Translation({0.4 - 0.6 * offset, 0.3 * offset + 0.2}, extent),
                       i == 0,
                       i == 1,
                       true});
  }
  return sources;
}

/// A leaf's three frames become its template.
template <Pixel T>
void stage_merge_frames(benchmark::State& state, double per_frame) {
  TemplateMerger<T> merger;
  const CodedTemplate merged(slots, extent, range<T>());
  const MergeRule rule{Aggregation::mean, WarpedValues::by_type, 1.0F / group};
  merger(leaf_sources<T>(), rule, merged);
  const auto view = frame<T>(0);
  const auto at = [&](std::size_t y, std::size_t x) { return static_cast<double>(view(y, x)); };
  const double expected =  // (100, 100) of the first frame lies at (99.6, 99.8)
      0.4 * (0.2 * at(99, 99) + 0.8 * at(99, 100)) + 0.6 * (0.2 * at(100, 99) + 0.8 * at(100, 100));
  const double found = merged.scale().offset +
                       merged.scale().step * static_cast<double>(merged[first_slot](100, 100));
  require(std::fabs(found - expected) < 0.02, "warped into a template");
  const auto sources = leaf_sources<T>();
  for (auto _ : state) {
    merger(sources, rule, merged);
    benchmark::ClobberMemory();
  }
  set_per_frame(state, per_frame);
}

/// Its frames are read, its template is written.
template <Pixel T>
void floor_merge_frames(benchmark::State& state, double per_frame) {
  const std::size_t size = slots * extent.area();
  AlignedBuffer<TemplatePixel> merged(size);
  for (auto _ : state) {
    for (std::size_t i = 0; i < group; ++i) read(frame<T>(i));
    std::memset(merged.data(), 1, size * sizeof(TemplatePixel));
    benchmark::ClobberMemory();
  }
  set_per_frame(state, per_frame);
}

/// Three templates become one.
template <Pixel T>
void stage_merge_templates(benchmark::State& state, double per_frame) {
  TemplateMerger<TemplatePixel> merger;
  const CodedTemplate merged(slots, extent, range<T>());
  const MergeRule rule{Aggregation::mean, WarpedValues::by_type,
                       1.0F / static_cast<float>(group * slots)};
  std::vector<MergeSource<TemplatePixel>> sources;
  for (std::size_t i = 0; i < group; ++i) {
    const CodedTemplate& node = templates<T>().nodes[i];
    const auto offset = static_cast<double>(i);
    const Translation translation({0.4 - 0.6 * offset, 0.3 * offset + 0.2}, extent);
    const auto add = [&](Slot slot, std::size_t count, bool is_first, bool is_last) {
      sources.push_back({{node[slot], node[aggregate_slot], node[last_slot]},
                         count,
                         node.scale(),
                         translation,
                         is_first,
                         is_last,
                         count == slots});
    };
    add(first_slot, slots, false, false);
    if (i == 0) add(first_slot, 1, true, false);
    if (i + 1 == group) add(last_slot, 1, false, true);
  }
  merger(sources, rule, merged);
  const double found = merged.scale().offset +
                       merged.scale().step * static_cast<double>(merged[first_slot](100, 100));
  const auto& from = templates<T>().nodes[0];
  const auto at = [&](std::size_t y, std::size_t x) {
    return from.scale().offset + from.scale().step * static_cast<double>(from[first_slot](y, x));
  };
  const double expected =
      0.4 * (0.2 * at(99, 99) + 0.8 * at(99, 100)) + 0.6 * (0.2 * at(100, 99) + 0.8 * at(100, 100));
  require(std::fabs(found - expected) < 0.05, "templates warped into one");
  for (auto _ : state) {
    merger(sources, rule, merged);
    benchmark::ClobberMemory();
  }
  set_per_frame(state, per_frame);
}

template <Pixel T>
void floor_merge_templates(benchmark::State& state, double per_frame) {
  const std::size_t size = slots * extent.area();
  AlignedBuffer<TemplatePixel> merged(size);
  for (auto _ : state) {
    for (const CodedTemplate& node : templates<T>().nodes) {
      for (const Slot slot : {first_slot, aggregate_slot, last_slot}) {
        read(FrameView<const TemplatePixel>(node[slot]));
      }
    }
    std::memset(merged.data(), 1, size * sizeof(TemplatePixel));
    benchmark::ClobberMemory();
  }
  set_per_frame(state, per_frame);
}

// --- beside the stages ---------------------------------------------------------------------------

/// The sum that the stages should come to.
template <Pixel T>
void whole_estimate(benchmark::State& state) {
  const auto& input = movie<T>();
  const MotionEstimate motion = estimate_motion(input.view(), tree_alone);
  require(residual(motion.shifts, input.displacement) < 0.2, "estimated motion");
  for (auto _ : state) benchmark::DoNotOptimize(estimate_motion(input.view(), tree_alone));
  set_per_frame(state, 1.0 / static_cast<double>(frames));
}

template <Pixel T>
void apply(benchmark::State& state) {
  const auto& input = movie<T>();
  ShiftList shifts;
  for (const Shift& moved : input.displacement) shifts.push_back(-moved);
  std::vector<T> pixels(input.pixels.size());
  const MovieView<T> out(pixels.data(), frames, extent);
  apply_motion<T>(input.view(), shifts, out);
  double difference = 0.0;  // in the middle the scene stands still
  for (std::size_t x = 50; x < extent.width - 50; ++x) {
    difference +=
        static_cast<double>(out[frames - 1](240, x)) - static_cast<double>(out[0](240, x));
  }
  require(std::fabs(difference) < static_cast<double>(extent.width - 100), "applied motion");
  for (auto _ : state) {
    apply_motion<T>(input.view(), shifts, out);
    benchmark::ClobberMemory();
  }
  set_per_frame(state, 1.0 / static_cast<double>(frames));
}

template <Pixel T>
void floor_apply(benchmark::State& state) {
  const auto& input = movie<T>();
  std::vector<T> pixels(input.pixels.size());
  for (auto _ : state) {
    std::memcpy(pixels.data(), input.pixels.data(), pixels.size() * sizeof(T));
    benchmark::ClobberMemory();
  }
  set_per_frame(state, 1.0 / static_cast<double>(frames));
}

/// What coarse to fine does without: two full-size spectra and a correlation.
template <Pixel T>
void register_at_full_size(benchmark::State& state) {
  FftRegistrar<T> registrar(extent, FftPlanning::thorough);
  const auto src = frame_ref<T>(1);
  const auto dst = frame_ref<T>(0);
  const Shift error = registrar.shift_to_register(src, dst) +
                      (movie<T>().displacement[1] - movie<T>().displacement[0]);
  require(std::fabs(error.height) < 0.1 && std::fabs(error.width) < 0.1, "registration");
  for (auto _ : state) {
    registrar.clear();
    benchmark::DoNotOptimize(registrar.shift_to_register(src, dst));
  }
}

void circularity_of_frame(benchmark::State& state) {
  const double value = circularity(frame<float>(0), 100);
  require(value >= 0.0 && value < 1.5, "circularity");
  for (auto _ : state) benchmark::DoNotOptimize(circularity(frame<float>(0), 100));
}

template <Pixel T>
void add_stages(const std::string& type) {
  const auto add = [&](const std::string& name, auto function, auto... arguments) {
    benchmark::RegisterBenchmark((name + "<" + type + ">").c_str(), function, arguments...)
        ->Unit(benchmark::kMicrosecond);
  };
  const Work& done = work<T>();
  const TreeCounts& counts = done.counts;
  const double windows = done.per_frame(counts.windows);
  const double of_leaves = windows * done.leaf_share();
  const double leaves = done.per_frame(counts.leaves);
  const double nodes = done.per_frame(counts.nodes);
  const double other_spectra = done.per_frame(counts.spectra) - 1.0;
  const double registrations = done.per_frame(counts.registrations);
  add("stage_spectra_of_frames", stage_spectra<T, T>, 1.0);
  add("floor_spectra_of_frames", floor_spectra<T, T>, 1.0);
  add("stage_spectra_of_templates", stage_spectra<T, TemplatePixel>, other_spectra);
  add("floor_spectra_of_templates", floor_spectra<T, TemplatePixel>, other_spectra);
  add("stage_small_correlation", stage_small_correlation<T>, registrations);
  add("floor_small_correlation", floor_small_correlation, registrations);
  add("stage_exact_sums_of_frames", stage_exact_window<T, T>, of_leaves);
  add("floor_exact_sums_of_frames", floor_exact_window<T, T>, of_leaves);
  add("stage_exact_sums_of_templates", stage_exact_window<T, TemplatePixel>, windows - of_leaves);
  add("floor_exact_sums_of_templates", floor_exact_window<T, TemplatePixel>, windows - of_leaves);
  add("stage_merge_frames", stage_merge_frames<T>, leaves);
  add("floor_merge_frames", floor_merge_frames<T>, leaves);
  add("stage_merge_templates", stage_merge_templates<T>, nodes);
  add("floor_merge_templates", floor_merge_templates<T>, nodes);
  add("whole_estimate", whole_estimate<T>);
  add("apply", apply<T>);
  add("copy", floor_apply<T>);
  add("register_at_full_size", register_at_full_size<T>);
}

}  // namespace
}  // namespace stillscope::bench

int main(int argc, char** argv) {
  using namespace stillscope::bench;
  add_stages<float>("float");
  add_stages<std::uint8_t>("std::uint8_t");
  for (const bool is_saturated : {false, true}) {
    const char* name = is_saturated ? "exact_window<std::uint16_t>/16_bits"
                                    : "exact_window<std::uint16_t>/14_bits";
    benchmark::RegisterBenchmark(name, exact_window_of_uint16, is_saturated)
        ->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark("circularity<float>", circularity_of_frame)
      ->Unit(benchmark::kMicrosecond);
  return run(argc, argv);
}
