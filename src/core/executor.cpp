// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/core/executor.hpp"

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "stillscope/core/error.hpp"

namespace stillscope {
namespace {

/// More than oneTBB has workers for would run no faster, and makes it print a warning.
int arena_size(std::size_t threads) {
  const int most = tbb::info::default_concurrency();
  return threads < static_cast<std::size_t>(most) ? static_cast<int>(threads) : most;
}

tbb::task_arena& arena_of(std::size_t threads) {
  // Never destroyed: a static's destructor may come after oneTBB's own.
  static auto* arenas = new std::map<int, tbb::task_arena>;
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  const int size = arena_size(threads);
  return arenas->try_emplace(size, size).first->second;
}

/// The number that `text` is, where that is at least 1.
std::optional<std::size_t> count_in(std::string_view text) {
  std::size_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = result.ptr == text.data() + text.size();
  if (result.ec != std::errc{} || !is_whole || value == 0) return std::nullopt;
  return value;
}

std::size_t threads_of_affinity() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
#endif
  return std::max(1U, std::thread::hardware_concurrency());
}

/// The quota of control groups version 2 ("max 100000" or "150000 100000"), rounded up.
std::optional<std::size_t> threads_of_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0.0;
  double period = 0.0;
  if (!(file >> quota >> period) || quota <= 0.0 || period <= 0.0) return std::nullopt;
  return static_cast<std::size_t>(std::max(1.0, quota / period + 0.999));
}

}  // namespace

TbbExecutor::TbbExecutor(std::size_t threads) : threads_(threads) {
  if (threads == 0) throw_invalid("threads", "at least 1", threads);
}

void TbbExecutor::for_each(std::size_t count, const std::function<void(std::size_t)>& body) const {
  // Whoever is free takes the next index: all threads are at neighbouring ones, whose results are
  // put together soon, while they are in the cache.
  std::atomic<std::size_t> next = 0;
  const auto take_turns = [&](std::size_t /*taker*/) {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        next = count;  // the others need not go on
        throw;
      }
    }
  };
  const auto run = [&] {
    const std::size_t takers = std::min(count, concurrency());
    tbb::parallel_for(std::size_t{0}, takers, take_turns, tbb::simple_partitioner());
  };
  // Who waits for the end of a loop within a body does not start on another body meanwhile.
  arena_of(threads_).execute([&] { tbb::this_task_arena::isolate(run); });
}

std::size_t TbbExecutor::concurrency() const {
  return static_cast<std::size_t>(arena_size(threads_));
}

std::size_t thread_count(std::optional<std::size_t> requested) {
  if (requested) {
    if (*requested == 0) throw_invalid("n_threads", "at least 1", *requested);
    return *requested;
  }
  if (const char* text = std::getenv("STILLSCOPE_NUM_THREADS"); text != nullptr && *text != '\0') {
    const auto count = count_in(text);
    if (!count) throw_invalid("STILLSCOPE_NUM_THREADS", "a number of at least 1", text);
    return *count;
  }
  if (const char* text = std::getenv("OMP_NUM_THREADS"); text != nullptr) {
    const std::string_view list = text;  // one number for each level of nesting
    if (const auto count = count_in(list.substr(0, list.find(',')))) return *count;
  }
  return std::min(threads_of_affinity(), threads_of_quota().value_or(threads_of_affinity()));
}

std::unique_ptr<Executor> make_executor(std::optional<std::size_t> threads) {
  const std::size_t count = thread_count(threads);
  if (count == 1) return std::make_unique<SerialExecutor>();
  return std::make_unique<TbbExecutor>(count);
}

}  // namespace stillscope
