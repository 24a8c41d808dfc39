// SPDX-License-Identifier: GPL-3.0-or-later
/// One walk of the plan for every executor.
#pragma once

#include <atomic>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/tree/tree_plan.hpp"

namespace stillscope {

/// Calls `run(node)` once for every node, after all its children. Whoever finishes a node's last
/// child goes on with the node: on one thread that is the depth-first order, in which about depth x
/// npart templates live at once. `enter()` is called on the thread of each leaf, and what it
/// returns is passed to `run` from there up.
template <class Enter, class Run>
void walk(const TreePlan& plan, const Executor& executor, Enter&& enter, Run&& run) {
  std::vector<std::atomic<std::size_t>> pending(plan.nodes.size());
  for (std::size_t i = 0; i < plan.nodes.size(); ++i) {
    pending[i].store(plan.nodes[i].children.size(), std::memory_order_relaxed);
  }
  executor.for_each(plan.leaves.size(), [&](std::size_t leaf) {
    auto&& context = enter();
    std::size_t node = plan.leaves[leaf];
    while (true) {
      run(node, context);
      node = plan.nodes[node].parent;
      // acq_rel: the one who goes on sees what the others wrote for their children.
      if (node == TreeNode::none || pending[node].fetch_sub(1, std::memory_order_acq_rel) != 1) {
        break;
      }
    }
  });
}

}  // namespace stillscope
