// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "support/catch.hpp"
#include "support/images.hpp"
#include "support/textures.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

/// Sets an environment variable for a scope; none: unset.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, std::optional<std::string> value) : name_(name) {
    if (const char* text = std::getenv(name)) before_ = text;
    set(value);
  }
  ~ScopedVariable() { set(before_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  void set(const std::optional<std::string>& value) const {
    if (value) {
      setenv(name_, value->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

void check_runs_each_once(const Executor& executor) {
  for (const std::size_t count : {0, 1, 2, 13, 1000}) {
    std::vector<std::atomic<int>> runs(count);
    executor.for_each(count, [&](std::size_t i) { ++runs[i]; });
    CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& n) { return n == 1; }));
  }
}

void check_passes_exceptions_on(const Executor& executor) {
  for (const std::size_t thrower : {0, 7, 99}) {
    std::string message;
    try {
      executor.for_each(100, [&](std::size_t i) {
        if (i == thrower) throw std::runtime_error("from " + std::to_string(i));
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "from " + std::to_string(thrower));
  }
  check_runs_each_once(executor);  // and is none the worse for it
}

TEST_CASE("Serially and on plain threads each body runs once and exceptions come out",
          "[threads]") {
  check_passes_exceptions_on(SerialExecutor());
  for (const std::size_t threads : {1, 2, 7}) {
    check_passes_exceptions_on(test::ThreadExecutor(threads));
  }
}

TEST_CASE("On oneTBB each body runs once and exceptions come out", "[threads][tbb]") {
  for (const std::size_t threads : {1, 2, 7}) check_passes_exceptions_on(TbbExecutor(threads));
}

TEST_CASE("The serial executor goes in order, on the calling thread", "[threads]") {
  std::vector<std::size_t> order;
  bool is_here = true;
  const std::thread::id caller = std::this_thread::get_id();
  SerialExecutor().for_each(5, [&](std::size_t i) {
    order.push_back(i);
    is_here = is_here && std::this_thread::get_id() == caller;
  });
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
  CHECK(is_here);
}

TEST_CASE("However many threads call oneTBB, no more than asked for run at once",
          "[threads][tbb]") {
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&] {
      TbbExecutor(2).for_each(40, [&](std::size_t) {
        const int now = ++running;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        --running;
      });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(most.load() <= 2);
}

TEST_CASE("Several threads may estimate at once", "[threads]") {
  const auto movie = test::moving_scene<float>(20, {20, 23}, 2.0, 5.0, 111);
  const ShiftList expected = estimate_motion<float>(movie.view(), {}, SerialExecutor()).shifts;
  std::vector<ShiftList> found(4);
  std::vector<std::thread> callers;
  for (ShiftList& shifts : found) {
    callers.emplace_back(
        [&] { shifts = estimate_motion<float>(movie.view(), {}, test::ThreadExecutor(2)).shifts; });
  }
  for (std::thread& caller : callers) caller.join();
  for (const ShiftList& shifts : found) CHECK(shifts == expected);
}

TEST_CASE("The number of threads: argument, then our variable, then OpenMP's, then the machine",
          "[threads]") {
  const ScopedVariable own("STILLSCOPE_NUM_THREADS", "3");
  const ScopedVariable openmp("OMP_NUM_THREADS", "5");
  CHECK(thread_count(2) == 2);
  CHECK(thread_count() == 3);
  {
    const ScopedVariable unset("STILLSCOPE_NUM_THREADS", std::nullopt);
    CHECK(thread_count() == 5);
    const ScopedVariable list("OMP_NUM_THREADS", "6,2");
    CHECK(thread_count() == 6);
    const ScopedVariable none("OMP_NUM_THREADS", std::nullopt);
    CHECK(thread_count() >= 1);
    CHECK(thread_count() <= std::max(1U, std::thread::hardware_concurrency()));
  }
  const ScopedVariable empty("STILLSCOPE_NUM_THREADS", "");
  CHECK(thread_count() == 5);
}

TEST_CASE("A number of threads that is none is refused by name", "[threads][errors]") {
  CHECK_REFUSES("n_threads", (void)thread_count(0));
  CHECK_REFUSES("n_threads", (void)make_executor(0));
  CHECK_REFUSES("threads", TbbExecutor(0));
  for (const char* text :
       {"0", "-2", "many", "2.5", "4 threads", "2,4", "99999999999999999999999"}) {
    CAPTURE(text);
    const ScopedVariable own("STILLSCOPE_NUM_THREADS", text);
    CHECK_REFUSES("STILLSCOPE_NUM_THREADS", (void)thread_count());
    CHECK(thread_count(2) == 2);
  }
  // OpenMP's variable is not ours to judge: what is no number is passed over.
  const ScopedVariable own("STILLSCOPE_NUM_THREADS", std::nullopt);
  const ScopedVariable openmp("OMP_NUM_THREADS", "many");
  CHECK(thread_count() >= 1);
}

TEST_CASE("An executor of more threads than there are processors works", "[threads][tbb]") {
  check_runs_each_once(TbbExecutor(1000));
  check_runs_each_once(TbbExecutor(std::size_t{1} << 40));
}

// --- the same bits
// --------------------------------------------------------------------------------

/// A textured scene that moves, between frames behind bars.
template <Pixel T>
test::Movie<T> restless(std::size_t frames, Extent extent, std::uint64_t seed) {
  test::Random random(seed);
  const auto scene = test::texture(extent, 3, random);
  test::Movie<T> movie(frames, extent);
  for (std::size_t t = 0; t < frames; ++t) {
    const Shift move{random.uniform(-4.0, 4.0), random.uniform(-4.0, 4.0)};
    const auto seen = test::sum_of(test::moved(scene, move), 0.5, test::white(extent, random));
    auto bars = seen;
    for (std::size_t i = 0; i < extent.area(); ++i) {
      bars.pixels[i] = 0.2 * seen.pixels[i] + (i % extent.width % 20 < 6 ? 3.5 : -3.5);
    }
    movie.set(t, test::stored<T>(t % 6 == 4 ? bars : seen));
  }
  return movie;
}

void check_same_bits(const MotionEstimate& a, const MotionEstimate& b) {
  REQUIRE(a.shifts.size() == b.shifts.size());
  CHECK(std::memcmp(a.shifts.data(), b.shifts.data(), a.shifts.size() * sizeof(Shift)) == 0);
  REQUIRE(a.merged.slots() == b.merged.slots());
  CHECK(std::memcmp(a.merged[first_slot].data(), b.merged[first_slot].data(),
                    a.merged.slots() * a.merged.extent().area() * sizeof(float)) == 0);
  CHECK(a.counts == b.counts);
  CHECK(a.few_good == b.few_good);
}

/// By the serial executor and by those of `make(threads)`, twice each.
template <Pixel T, class Make>
void check_threads(const test::Movie<T>& movie, const ChunkSettings& tree, Make&& make) {
  for (const std::size_t chunk : {0, 7}) {
    const auto settings = EstimateSettings::tree_alone(tree, chunk);
    const MotionEstimate serial = estimate_motion<T>(movie.view(), settings, SerialExecutor());
    for (const std::size_t threads : {1, 2, 3, 8}) {
      for (int repeat = 0; repeat < 2; ++repeat) {
        CAPTURE(movie.extent, chunk, threads, repeat);
        check_same_bits(serial, estimate_motion<T>(movie.view(), settings, *make(threads)));
      }
    }
  }
}

/// Frames for one grid with every option, and frames for both grids.
template <Pixel T, class Make>
void check_variants(Make&& make) {
  const std::uint64_t seed = 112;
  CAPTURE(seed);
  const auto movie = restless<T>(20, {60, 74}, seed);
  check_threads<T>(movie, {}, make);
  check_threads<T>(movie, {.alt_error = std::nullopt}, make);
  check_threads<T>(movie, {.alt_error = 0.2, .aggregation = Aggregation::max}, make);
  const ChunkSettings choosy{.alt_error = 0.2, .circ_thres = 0.5, .max_sh = 30};
  check_threads<T>(movie, choosy, make);
  // Some frames are good and some are not, else that was no test.
  const auto estimate =
      estimate_motion<T>(movie.view(), EstimateSettings::tree_alone(choosy, 7), SerialExecutor());
  CHECK_FALSE(estimate.few_good.empty());
  CHECK(estimate.few_good.size() < estimate.counts.leaves);
  check_threads<T>(restless<T>(10, {256, 261}, seed), {}, make);
}

TEMPLATE_TEST_CASE("1, 2, 3 and 8 plain threads give the serial bits with any option", "[threads]",
                   std::uint8_t, float) {
  check_variants<TestType>(
      [](std::size_t threads) { return std::make_unique<test::ThreadExecutor>(threads); });
}

TEMPLATE_TEST_CASE("1, 2, 3 and 8 threads of oneTBB give the serial bits with any option",
                   "[threads][tbb]", std::uint8_t, float) {
  check_variants<TestType>(
      [](std::size_t threads) { return std::make_unique<TbbExecutor>(threads); });
}

}  // namespace
}  // namespace stillscope
