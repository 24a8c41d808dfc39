// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cstddef>
#include <vector>

#include "stillscope/tree/counts.hpp"
#include "stillscope/tree/tree_plan.hpp"
#include "stillscope/tree/walk.hpp"
#include "support/catch.hpp"
#include "support/thread_executor.hpp"

namespace stillscope {
namespace {

using Sizes = std::vector<std::size_t>;

Sizes leaf_sizes(const TreePlan& plan) {
  Sizes sizes;
  for (const std::size_t leaf : plan.leaves) sizes.push_back(plan.nodes[leaf].items);
  return sizes;
}

TEST_CASE("array_split makes groups that differ by one at most, the larger first", "[plan]") {
  CHECK(array_split(9, 3) == Sizes{3, 3, 3});
  CHECK(array_split(10, 4) == Sizes{3, 3, 2, 2});
  CHECK(array_split(11, 4) == Sizes{3, 3, 3, 2});
  CHECK(array_split(1, 1) == Sizes{1});
  CHECK(array_split(2, 4) == Sizes{1, 1, 0, 0});
}

TEST_CASE("Up to npart frames are one leaf", "[plan]") {
  for (const std::size_t items : {1, 2, 3}) {
    const TreePlan plan = plan_tree(items, 0, 3);
    REQUIRE(plan.nodes.size() == 1);
    CHECK(plan.root() == 0);
    CHECK(plan.nodes[0].is_leaf());
    CHECK(plan.nodes[0].parts() == items);
    CHECK(plan.nodes[0].parent == TreeNode::none);
    CHECK(plan.nodes[0].level == 0);
  }
}

TEST_CASE("Ten frames in one chunk make four leaves, two nodes and a root", "[plan]") {
  const TreePlan plan = plan_tree(10, 0, 3);
  CHECK(leaf_sizes(plan) == Sizes{3, 3, 2, 2});
  REQUIRE(plan.nodes.size() == 7);
  CHECK(plan.nodes[4].children == Sizes{0, 1});
  CHECK(plan.nodes[5].children == Sizes{2, 3});
  CHECK(plan.nodes[6].children == Sizes{4, 5});
  CHECK(plan.nodes[5].first_item == 6);
  CHECK(plan.nodes[5].items == 4);
  CHECK(plan.nodes[6].level == 2);
  CHECK_FALSE(plan.nodes[6].merges_chunks);
}

TEST_CASE("Four chunks of nine are merged by three, then what is left by one", "[plan]") {
  const TreePlan plan = plan_tree(36, 9, 3);
  CHECK(leaf_sizes(plan) == Sizes(12, 3));
  // A chunk: three leaves and their root. Above: [0, 1, 2], [3], and the top.
  REQUIRE(plan.nodes.size() == 4 * 4 + 3);
  CHECK(plan.nodes[16].children == Sizes{3, 7, 11});
  CHECK(plan.nodes[17].children == Sizes{15});
  CHECK(plan.nodes[18].children == Sizes{16, 17});
  CHECK(plan.nodes[18].merges_chunks);
  CHECK_FALSE(plan.nodes[15].merges_chunks);
  CHECK(plan.nodes[17].level == 2);
  CHECK(plan.nodes[18].level == 3);
}

TEST_CASE("A shorter last chunk and a chunk longer than the movie are planned", "[plan]") {
  CHECK(leaf_sizes(plan_tree(11, 4, 3)) == Sizes{2, 2, 2, 2, 3});
  CHECK(leaf_sizes(plan_tree(5, 100, 3)) == Sizes{3, 2});
  CHECK(leaf_sizes(plan_tree(5, 1, 2)) == Sizes{1, 1, 1, 1, 1});
}

TEST_CASE("Every plan is a tree over its items", "[plan]") {
  for (const std::size_t npart : {2, 3, 5, 8}) {
    for (const std::size_t chunk : {0, 1, 2, 7, 9, 30}) {
      for (std::size_t items = 1; items <= 70; ++items) {
        CAPTURE(items, chunk, npart);
        const TreePlan plan = plan_tree(items, chunk, npart);
        std::size_t next_item = 0;
        bool leaves_in_order = true;
        for (const std::size_t leaf : plan.leaves) {
          const TreeNode& node = plan.nodes[leaf];
          leaves_in_order = leaves_in_order && node.is_leaf() && node.first_item == next_item;
          next_item += node.items;
        }
        CHECK(leaves_in_order);
        CHECK(next_item == items);  // every item in exactly one leaf

        std::size_t leaves = 0;
        bool is_sound = true;
        std::vector<std::size_t> parents(plan.nodes.size(), 0);
        for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
          const TreeNode& node = plan.nodes[i];
          leaves += node.is_leaf() ? 1 : 0;
          is_sound = is_sound && node.parts() >= 1 && node.parts() <= npart;
          std::size_t first = node.first_item;
          std::size_t level = 0;
          for (const std::size_t child : node.children) {
            is_sound = is_sound && child < i && plan.nodes[child].parent == i &&
                       plan.nodes[child].first_item == first;
            first += plan.nodes[child].items;
            level = std::max(level, plan.nodes[child].level + 1);
            ++parents[child];
          }
          is_sound = is_sound && node.level == level;
          is_sound = is_sound && (node.is_leaf() || first == node.first_item + node.items);
        }
        CHECK(is_sound);
        CHECK(leaves == plan.leaves.size());
        CHECK(std::count(parents.begin(), parents.end(), 1U) ==
              static_cast<std::ptrdiff_t>(plan.nodes.size() - 1));
        CHECK(parents[plan.root()] == 0);
        CHECK(plan.nodes[plan.root()].items == items);

        // Depth: that of the longest chunk, then that of the reduction.
        const std::size_t length = chunk == 0 ? items : std::min(chunk, items);
        const auto depth = [&](std::size_t n) {
          std::size_t levels = 0;
          for (; n > 1; n = (n + npart - 1) / npart) ++levels;
          return levels;
        };
        const std::size_t chunks = (items + length - 1) / length;
        const std::size_t expected = std::max<std::size_t>(depth(length), 1) - 1 + depth(chunks);
        CHECK(plan.nodes[plan.root()].level == expected);
      }
    }
  }
}

TEST_CASE("A plan of nothing, or with npart below two, is refused", "[plan][errors]") {
  CHECK_REFUSES("items", (void)plan_tree(0, 3, 3));
  CHECK_REFUSES("npart", (void)plan_tree(4, 0, 1));
  CHECK_REFUSES("npart", (void)plan_tree(4, 0, 0));
}

TEST_CASE("A walk runs each node once, after its children, on any number of threads", "[plan]") {
  const TreePlan plan = plan_tree(100, 13, 3);
  for (const std::size_t threads : {1, 2, 7}) {
    CAPTURE(threads);
    std::vector<std::atomic<int>> runs(plan.nodes.size());
    std::atomic<bool> children_first = true;
    walk(
        plan, test::ThreadExecutor(threads), [] { return 0; },
        [&](std::size_t node, int /*context*/) {
          for (const std::size_t child : plan.nodes[node].children) {
            if (runs[child] != 1) children_first = false;
          }
          ++runs[node];
        });
    CHECK(children_first.load());
    CHECK(std::all_of(runs.begin(), runs.end(), [](const auto& count) { return count == 1; }));
  }
}

TEST_CASE("On one thread a walk is depth first", "[plan]") {
  const TreePlan plan = plan_tree(9, 0, 3);
  std::vector<std::size_t> order;
  walk(
      plan, SerialExecutor(), [] { return 0; },
      [&](std::size_t node, int /*context*/) { order.push_back(node); });
  CHECK(order == Sizes{0, 1, 2, 3});
  order.clear();
  const TreePlan two = plan_tree(18, 9, 3);
  walk(
      two, SerialExecutor(), [] { return 0; },
      [&](std::size_t node, int /*context*/) { order.push_back(node); });
  CHECK(order == Sizes{0, 1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("Planned counts are those counted by hand", "[plan]") {
  // Three leaves of three frames under one node of three templates.
  const TreePlan plan = plan_tree(9, 0, 3);
  const TreeCounts counts = planned_counts(plan, ChunkSettings{}, 1, false);
  CHECK(counts.leaves == 3);
  CHECK(counts.nodes == 1);
  CHECK(counts.registrations == 3 * 2 + 2 * 2);
  CHECK(counts.spectra == 3 * 3 + 7);    // 7, not 9: the outermost slots are never used
  CHECK(counts.warps == 3 * 3 + 3 + 2);  // the slots' sums, and the outermost slots
  CHECK(counts.runs == std::vector<std::uint32_t>(4, 1));
  const TreeCounts plain = planned_counts(plan, ChunkSettings{.alt_error = std::nullopt}, 1, false);
  CHECK(plain.registrations == 3 * 2 + 2);
  CHECK(plain.spectra == 9 + 3);
  CHECK(plain.warps == 9 + 3);
  const TreeCounts highest = planned_counts(plan, {.aggregation = Aggregation::max}, 1, false);
  CHECK(highest.warps == 3 * 3 + 9);  // a maximum needs every slot warped
}

}  // namespace
}  // namespace stillscope
