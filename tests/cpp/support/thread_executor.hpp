// SPDX-License-Identifier: GPL-3.0-or-later
/// An executor on plain threads, which ThreadSanitizer understands.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "stillscope/core/executor.hpp"

namespace stillscope::test {

/// Fresh threads at each call; whoever is free takes the next index.
class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(std::size_t threads) : threads_(threads) {}

  void for_each(std::size_t count, const std::function<void(std::size_t)>& body) const override {
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    const auto work = [&] {
      for (std::size_t i = next++; i < count; i = next++) {
        try {
          body(i);
        } catch (...) {
          const std::scoped_lock lock(mutex);
          if (!failure) failure = std::current_exception();
          next = count;
        }
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < threads_; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
  }
  [[nodiscard]] std::size_t concurrency() const override { return threads_; }

 private:
  std::size_t threads_;
};

}  // namespace stillscope::test
