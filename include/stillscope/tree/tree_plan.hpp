// SPDX-License-Identifier: GPL-3.0-or-later
/// The reduction tree as data: integers that can be printed and tested, and nothing else.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace stillscope {

/// A group of items that are registered to one another and merged into one template.
struct TreeNode {
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  /// Items of the input below this node: [first_item, first_item + items).
  std::size_t first_item = 0;
  std::size_t items = 0;
  /// Nodes whose templates this one merges, in order; none for a leaf, which merges the items.
  std::vector<std::size_t> children;
  std::size_t parent = none;
  /// 0 for a leaf, else one more than its highest child.
  std::size_t level = 0;
  /// True for a node that merges the results of chunks rather than groups of one chunk.
  bool merges_chunks = false;

  [[nodiscard]] bool is_leaf() const { return children.empty(); }
  /// Number of things merged here: items for a leaf, templates otherwise.
  [[nodiscard]] std::size_t parts() const { return is_leaf() ? items : children.size(); }
};

/// The nodes in an order in which children come before their parents; the last one is the root.
struct TreePlan {
  std::vector<TreeNode> nodes;
  std::vector<std::size_t> leaves;  ///< In the order of their items.

  [[nodiscard]] std::size_t root() const { return nodes.size() - 1; }
};

/// Sizes of `groups` groups of `n` items by the rule of `np.array_split`: they differ by at most
/// one, the larger first. Throws `std::invalid_argument` where `groups` is 0.
[[nodiscard]] std::vector<std::size_t> array_split(std::size_t n, std::size_t groups);

/// Plans the tree over `items` items in consecutive chunks of `chunk` (the last may be shorter; 0:
/// all in one). In a chunk, while there are more than `npart` items, they are split into
/// ceil(n / npart) groups by `array_split`, and the groups' templates are the next items. Then
/// consecutive groups of `npart` chunk results are merged until one is left.
/// Throws `std::invalid_argument` where `items` is 0 or `npart` is below 2.
[[nodiscard]] TreePlan plan_tree(std::size_t items, std::size_t chunk, std::size_t npart);

}  // namespace stillscope
