// SPDX-License-Identifier: GPL-3.0-or-later
#include "stillscope/tree/tree_plan.hpp"

#include <algorithm>
#include <numeric>

#include "stillscope/core/error.hpp"

namespace stillscope {
namespace {

std::size_t divide_up(std::size_t n, std::size_t by) { return n / by + (n % by != 0 ? 1 : 0); }

class Planner {
 public:
  explicit Planner(std::size_t npart) : npart_(npart) {}

  /// Adds the nodes of a chunk and returns its root.
  std::size_t add_chunk(std::size_t first_item, std::size_t items) {
    const auto sizes = array_split(items, divide_up(items, npart_));
    std::vector<std::size_t> level;
    for (const std::size_t size : sizes) {
      level.push_back(add_leaf(first_item, size));
      first_item += size;
    }
    while (level.size() > 1) {
      level = merge(level, array_split(level.size(), divide_up(level.size(), npart_)), false);
    }
    return level.front();
  }

  /// Merges the results of chunks.
  void add_reduction(std::vector<std::size_t> level) {
    while (level.size() > 1) {
      std::vector<std::size_t> sizes(level.size() / npart_, npart_);
      if (level.size() % npart_ != 0) sizes.push_back(level.size() % npart_);
      level = merge(level, sizes, true);
    }
  }

  TreePlan take() { return std::move(plan_); }

 private:
  std::size_t add_leaf(std::size_t first_item, std::size_t items) {
    TreeNode node;
    node.first_item = first_item;
    node.items = items;
    plan_.nodes.push_back(node);
    plan_.leaves.push_back(plan_.nodes.size() - 1);
    return plan_.leaves.back();
  }

  std::vector<std::size_t> merge(const std::vector<std::size_t>& below,
                                 const std::vector<std::size_t>& sizes, bool merges_chunks) {
    std::vector<std::size_t> above;
    auto child = below.begin();
    for (const std::size_t size : sizes) {
      TreeNode node;
      node.children.assign(child, child + static_cast<std::ptrdiff_t>(size));
      node.first_item = plan_.nodes[node.children.front()].first_item;
      node.merges_chunks = merges_chunks;
      for (const std::size_t index : node.children) {
        TreeNode& below_node = plan_.nodes[index];
        below_node.parent = plan_.nodes.size();
        node.items += below_node.items;
        node.level = std::max(node.level, below_node.level + 1);
      }
      above.push_back(plan_.nodes.size());
      plan_.nodes.push_back(std::move(node));
      child += static_cast<std::ptrdiff_t>(size);
    }
    return above;
  }

  std::size_t npart_;
  TreePlan plan_;
};

}  // namespace

std::vector<std::size_t> array_split(std::size_t n, std::size_t groups) {
  if (groups == 0) throw_invalid("groups", "at least 1", groups);
  std::vector<std::size_t> sizes(groups, n / groups);
  for (std::size_t i = 0; i < n % groups; ++i) ++sizes[i];
  return sizes;
}

TreePlan plan_tree(std::size_t items, std::size_t chunk, std::size_t npart) {
  if (items == 0) throw_invalid("items", "at least 1", items);
  if (npart < 2) throw_invalid("npart", "at least 2", npart);
  if (chunk == 0) chunk = items;
  Planner planner(npart);
  std::vector<std::size_t> chunks;
  for (std::size_t first = 0; first < items; first += chunk) {
    chunks.push_back(planner.add_chunk(first, std::min(chunk, items - first)));
  }
  planner.add_reduction(std::move(chunks));
  return planner.take();
}

}  // namespace stillscope
