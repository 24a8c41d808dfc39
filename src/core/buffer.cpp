// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/core/buffer.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace stillscope {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
// Below, the allocator's own free lists serve, without page faults.
constexpr std::size_t large = std::size_t{64} << 10;
constexpr std::size_t most_kept = std::size_t{128} << 20;

struct Piece {
  void* memory;
  std::size_t bytes;
};

/// Pieces of several megabytes on pages that are as large as the system has them: one page fault
/// for what else takes five hundred. They begin at the page's edge, and a little further each: were
/// all of them at the same distance from such an edge, the rows of several would compete for the
/// same few places in the cache.
void* allocate(std::size_t bytes) {
  if (bytes < huge_page) {
    return ::operator new (bytes, std::align_val_t{AlignedBuffer<char>::alignment});
  }
  constexpr std::size_t stagger = 17 * 64;  // coprime with a small page's 64 cache lines
  static std::atomic<std::size_t> count = 0;
  const std::size_t offset = count++ * stagger % 4096;
  void* memory = ::operator new (bytes + 4096, std::align_val_t{huge_page});
#if defined(__linux__)
  (void)madvise(memory, bytes + 4096, MADV_HUGEPAGE);
#endif
  return static_cast<char*>(memory) + offset;
}

void free_piece(const Piece& piece) noexcept {
  if (piece.bytes < huge_page) {
    ::operator delete (piece.memory, std::align_val_t{AlignedBuffer<char>::alignment});
    return;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(piece.memory);
  ::operator delete (reinterpret_cast<void*>(address / huge_page * huge_page),
                     std::align_val_t{huge_page});
}

/// Free pieces, the last given first.
class Kept {
 public:
  void* take(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(pieces_.begin(), pieces_.end(),
                                    [&](const Piece& piece) { return piece.bytes == bytes; });
    if (found == pieces_.end()) return nullptr;
    void* memory = found->memory;
    pieces_.erase(found);
    bytes_ -= bytes;
    return memory;
  }

  void give(const Piece& piece) {
    const std::scoped_lock lock(mutex_);
    pieces_.push_front(piece);
    bytes_ += piece.bytes;
    shrink(most_kept);
  }

  void clear() {
    const std::scoped_lock lock(mutex_);
    shrink(0);
  }

 private:
  void shrink(std::size_t most) {
    while (bytes_ > most) {
      bytes_ -= pieces_.back().bytes;
      free_piece(pieces_.back());
      pieces_.pop_back();
    }
  }

  std::mutex mutex_;
  std::deque<Piece> pieces_;
  std::size_t bytes_ = 0;
};

Kept& kept() {
  // Never destroyed: buffers of other static objects may be given back after this one's end.
  static auto* instance = new Kept;
  return *instance;
}

}  // namespace

void* take_memory(std::size_t bytes) {
  if (bytes >= large) {
    if (void* memory = kept().take(bytes)) return memory;
  }
  return allocate(bytes);
}

void give_memory(void* memory, std::size_t bytes) noexcept {
  if (bytes < large) {
    free_piece({memory, bytes});
    return;
  }
  try {
    kept().give({memory, bytes});
  } catch (...) {  // no memory for the list
    free_piece({memory, bytes});
  }
}

void release_kept_memory() noexcept { kept().clear(); }

}  // namespace stillscope
