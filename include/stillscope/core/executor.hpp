// SPDX-License-Identifier: GPL-3.0-or-later
/// Who runs independent pieces of work, and on how many threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

namespace stillscope {

/// Runs `body(0) ... body(count - 1)`, each once, and returns when all are done. An exception that
/// leaves a body is thrown again here.
class Executor {
 public:
  virtual ~Executor() = default;
  /// A body may call it again.
  virtual void for_each(std::size_t count, const std::function<void(std::size_t)>& body) const = 0;
  /// How many bodies may run at once.
  [[nodiscard]] virtual std::size_t concurrency() const = 0;
};

/// One after the other on the calling thread: this order defines the result.
class SerialExecutor final : public Executor {
 public:
  void for_each(std::size_t count, const std::function<void(std::size_t)>& body) const override {
    for (std::size_t i = 0; i < count; ++i) body(i);
  }
  [[nodiscard]] std::size_t concurrency() const override { return 1; }
};

/// Calls `body(begin, end)` for runs of `run` indices below `count`, the last of which may be
/// shorter.
template <class Body>
void for_each_run(std::size_t count, std::size_t run, const Executor& executor, Body&& body) {
  executor.for_each((count + run - 1) / run,
                    [&](std::size_t k) { body(k * run, std::min((k + 1) * run, count)); });
}

/// On oneTBB, in an arena of its own that all calls with the same number of threads in a process
/// share: however many threads call, no more than that number run, nor more than the process has
/// processors. Indices are taken in order.
class TbbExecutor final : public Executor {
 public:
  /// Throws `std::invalid_argument` where `threads` is 0.
  explicit TbbExecutor(std::size_t threads);
  void for_each(std::size_t count, const std::function<void(std::size_t)>& body) const override;
  [[nodiscard]] std::size_t concurrency() const override;

 private:
  std::size_t threads_;
};

/// The number of threads for a call: `requested`, else the environment's STILLSCOPE_NUM_THREADS,
/// else OMP_NUM_THREADS, else what the process may use (affinity and cgroup quota). The environment
/// is read at each call. Throws `std::invalid_argument` where `requested` or STILLSCOPE_NUM_THREADS
/// is not a number of at least 1.
[[nodiscard]] std::size_t thread_count(std::optional<std::size_t> requested = std::nullopt);

/// The executor for that number of threads.
[[nodiscard]] std::unique_ptr<Executor> make_executor(
    std::optional<std::size_t> threads = std::nullopt);

}  // namespace stillscope
