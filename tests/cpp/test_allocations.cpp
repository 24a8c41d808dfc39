// SPDX-License-Identifier: GPL-3.0-or-later
/// How often memory for a whole frame is asked for. A program of its own: it has the global
/// operator new, with which everything in the library allocates.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace {

std::atomic<std::size_t> counted_from = 0;  // bytes; 0: nothing is counted
std::atomic<std::size_t> counted = 0;

void* allocate(std::size_t bytes, std::size_t alignment) {
  const std::size_t least = counted_from;
  if (least != 0 && bytes >= least) ++counted;
  const std::size_t size =
      (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
  void* memory = alignment > alignof(std::max_align_t) ? std::aligned_alloc(alignment, size)
                                                       : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* try_allocate(std::size_t bytes) noexcept {
  try {
    return allocate(bytes, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

// All forms: sanitizers bring others of their own, which would not match.
void* operator new(std::size_t bytes) { return allocate(bytes, 1); }
void* operator new[](std::size_t bytes) { return allocate(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return try_allocate(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return try_allocate(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace stillscope {
namespace {

// A frame of bytes is larger than what is left to the allocator's own free lists (64 KiB).
constexpr Extent extent{256, 320};

/// How many pieces of at least a frame of T `run()` asks for.
template <Pixel T, class Run>
std::size_t frames_allocated(Run&& run) {
  counted = 0;
  counted_from = extent.area() * sizeof(T);
  run();
  counted_from = 0;
  return counted;
}

/// A scene that jumps about.
template <Pixel T>
test::Movie<T> jumping(std::size_t frames, std::uint64_t seed) {
  test::Random random(seed);
  std::vector<test::Image<T>> places;
  const auto scene = test::texture(extent, 3, random);
  for (int k = 0; k < 8; ++k) {
    const auto moved = test::moved(scene, {random.uniform(-5.0, 5.0), random.uniform(-5.0, 5.0)});
    places.push_back(test::stored<T>(test::sum_of(moved, 0.2, test::white(extent, random))));
  }
  test::Movie<T> movie(frames, extent);
  for (std::size_t t = 0; t < frames; ++t) movie.set(t, places[t * t % 7 + t % 2]);
  return movie;
}

template <Pixel T>
std::size_t estimated(const MovieView<const T>& movie, const EstimateSettings& settings,
                      const Executor& executor) {
  return frames_allocated<T>([&] {
    const MotionEstimate estimate = estimate_motion<T>(movie, settings, executor);
    if (estimate.shifts.size() != movie.size()) throw std::logic_error("shifts");
  });
}

/// The same, and apply_motion into memory that is there.
template <Pixel T>
std::size_t applied(const MovieView<const T>& movie, const MovieView<T>& out,
                    const Executor& executor) {
  ShiftList shifts;
  for (std::size_t t = 0; t < movie.size(); ++t) shifts.push_back({0.3 * double(t), -1.25});
  return frames_allocated<T>([&] { apply_motion<T>(movie, shifts, out, {}, executor); });
}

TEST_CASE("Allocations of at least so many bytes are seen", "[allocations]") {
  const auto count = [](std::size_t bytes) {
    return frames_allocated<std::uint8_t>([&] { std::vector<std::uint8_t> memory(bytes); });
  };
  CHECK(count(extent.area()) == 1);
  CHECK(count(extent.area() - 1) == 0);
  release_kept_memory();
  const auto buffer = [] {
    return frames_allocated<float>([] { AlignedBuffer<float> memory(extent.area()); });
  };
  CHECK(buffer() == 1);
  CHECK(buffer() == 0);  // it was kept
}

const auto tree_alone = EstimateSettings::tree_alone();

TEMPLATE_TEST_CASE("Serially, a second estimate asks for no frame's memory", "[allocations]",
                   std::uint8_t, float) {
  const auto movie = jumping<TestType>(20, 161);
  for (const RegistrarKind registrar : {RegistrarKind::coarse_to_fine, RegistrarKind::fft}) {
    for (const std::size_t chunk : {0, 7}) {
      for (const Aggregation aggregation : {Aggregation::mean, Aggregation::max}) {
        EstimateSettings settings = EstimateSettings::tree_alone({}, chunk);
        settings.tree.registrar = registrar;
        settings.tree.aggregation = aggregation;
        CAPTURE(static_cast<int>(registrar), chunk, static_cast<int>(aggregation));
        release_kept_memory();
        CHECK(estimated<TestType>(movie.view(), settings, SerialExecutor()) > 0);
        CHECK(estimated<TestType>(movie.view(), settings, SerialExecutor()) == 0);
      }
    }
  }
}

TEMPLATE_TEST_CASE("A cold estimate asks for memory by the tree's depth, not by the frames",
                   "[allocations]", std::uint8_t, float) {
  // A level more: as many templates as a group has wait for one another. Measured 3.
  constexpr std::size_t most_a_level = 3;
  std::size_t before = 0;
  for (const std::size_t frames : {9, 27, 81}) {
    const auto movie = jumping<TestType>(frames, 162);
    release_kept_memory();
    const std::size_t cold = estimated<TestType>(movie.view(), tree_alone, SerialExecutor());
    CAPTURE(frames, before, cold);
    if (before > 0) CHECK(cold <= before + most_a_level);
    before = cold;
  }
  // With what the last one left, a movie of twice as many frames wants a level's memory more.
  const auto movie = jumping<TestType>(162, 163);
  const std::size_t longer = estimated<TestType>(movie.view(), tree_alone, SerialExecutor());
  CAPTURE(longer);
  CHECK(longer <= most_a_level);
  CHECK(estimated<TestType>(movie.view(), tree_alone, SerialExecutor()) == 0);
}

/// How many threads' templates are alive at once is a matter of luck: in a later call it may be one
/// more. So of many calls together only a few ask for memory.
template <Pixel T>
void check_threads(const Executor& executor) {
  // Measured at most 4 in all ten.
  constexpr std::size_t few = 12;
  const auto movie = jumping<T>(20, 164);
  const auto longer = jumping<T>(40, 165);
  release_kept_memory();
  (void)estimated<T>(movie.view(), tree_alone, executor);
  std::size_t total = 0;
  for (int call = 0; call < 5; ++call) total += estimated<T>(movie.view(), tree_alone, executor);
  for (int call = 0; call < 5; ++call) total += estimated<T>(longer.view(), tree_alone, executor);
  CAPTURE(total);
  CHECK(total <= few);
}

TEMPLATE_TEST_CASE("On two threads later estimates ask for next to no frame's memory",
                   "[allocations]", std::uint8_t, float) {
  check_threads<TestType>(test::ThreadExecutor(2));
}

TEMPLATE_TEST_CASE("On two threads of oneTBB later estimates ask for next to no frame's memory",
                   "[allocations][tbb]", std::uint8_t, float) {
  check_threads<TestType>(TbbExecutor(2));
}

TEST_CASE("Frames that must be copied are copied into kept memory", "[allocations]") {
  auto movie = jumping<float>(20, 166);
  movie.pixels[4 * extent.area() + 77] = std::numeric_limits<float>::quiet_NaN();
  movie.pixels[11 * extent.area()] = std::numeric_limits<float>::infinity();
  (void)estimated<float>(movie.view(), tree_alone, SerialExecutor());
  CHECK(estimated<float>(movie.view(), tree_alone, SerialExecutor()) == 0);
  // Transposed: no row is contiguous.
  const MovieView<const float> turned(movie.pixels.data(), 20, {extent.width, extent.height},
                                      static_cast<std::ptrdiff_t>(extent.area()), 1,
                                      static_cast<std::ptrdiff_t>(extent.width));
  (void)estimated<float>(turned, tree_alone, SerialExecutor());
  CHECK(estimated<float>(turned, tree_alone, SerialExecutor()) == 0);
}

TEMPLATE_TEST_CASE("Applying asks for no frame's memory, the first time too", "[allocations]",
                   std::uint8_t, std::uint16_t, float, double) {
  const auto movie = jumping<TestType>(9, 167);
  test::Movie<TestType> out(9, extent);
  release_kept_memory();
  CHECK(applied<TestType>(movie.view(), out.target(), SerialExecutor()) == 0);
  CHECK(applied<TestType>(movie.view(), out.target(), test::ThreadExecutor(2)) == 0);
  // Into and from memory that is not contiguous.
  const auto turned = [](auto* pixels) {
    return MovieView(pixels, 9, Extent{extent.width, extent.height},
                     static_cast<std::ptrdiff_t>(extent.area()), 1,
                     static_cast<std::ptrdiff_t>(extent.width));
  };
  CHECK(applied<TestType>(turned(movie.pixels.data()), turned(out.pixels.data()),
                          SerialExecutor()) == 0);
}

TEMPLATE_TEST_CASE("A refinement asks for memory by the pass, not by the frame", "[allocations]",
                   std::uint8_t, float) {
  EstimateSettings settings;
  settings.refine.passes = 1;
  std::size_t before = 0;
  for (const std::size_t frames : {20, 60}) {
    const auto movie = jumping<TestType>(frames, 167);
    (void)estimated<TestType>(movie.view(), settings, SerialExecutor());
    const std::size_t warm = estimated<TestType>(movie.view(), settings, SerialExecutor());
    CAPTURE(frames, before, warm);
    if (before > 0) CHECK(warm <= before);
    before = warm;
  }
  CHECK(before > 0);
}

}  // namespace
}  // namespace stillscope
