// SPDX-License-Identifier: GPL-3.0-or-later
/// What a reduction did, and what its plan says it must do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "stillscope/core/settings.hpp"
#include "stillscope/register/registrar.hpp"
#include "stillscope/tree/tree_plan.hpp"

namespace stillscope {

/// Counts of the work of a tree. Of those of its registrars, the registrations and the spectra are
/// planned.
struct TreeCounts : RegistrarCounts {
  std::size_t leaves = 0;
  std::size_t nodes = 0;  ///< Nodes above the leaves.
  /// Registrations through touching slots that could not have changed the answer, and were not
  /// made: each spares two spectra.
  std::size_t spared = 0;
  std::size_t warps = 0;            ///< Frames.
  std::vector<std::uint32_t> runs;  ///< How often each node of the plan ran.

  friend bool operator==(const TreeCounts&, const TreeCounts&) = default;

  void add_node(bool is_leaf, std::uint32_t times) {
    (is_leaf ? leaves : nodes) += times;
    runs.push_back(times);
  }
  /// Adds the counts of another tree, whose leaves merge what other trees made where
  /// `merges_trees`.
  void add(const TreeCounts& other, bool merges_trees) {
    RegistrarCounts::operator+=(other);
    (merges_trees ? nodes : leaves) += other.leaves;
    nodes += other.nodes;
    spared += other.spared;
    warps += other.warps;
    runs.insert(runs.end(), other.runs.begin(), other.runs.end());
  }
  template <class Archive>
  void archive(Archive& io) {
    io(static_cast<RegistrarCounts&>(*this), leaves, nodes, spared, warps, runs);
  }
  template <class Group>
  void add_work(const Group& group) {
    RegistrarCounts::operator+=(group.registrar_counts());
    warps += group.warps();
    spared += group.spared();
  }
};

/// The counts of a plan where every item is good and no registration is spared: registrations +
/// spared = planned registrations, spectra + 2 spared = planned spectra. `item_slots`: 1 for a
/// movie, 3 for a stack of templates. `items_are_linear`: a stack's slots are added before they are
/// warped, as the templates of nodes are where their mean is taken.
[[nodiscard]] inline TreeCounts planned_counts(const TreePlan& plan, const ChunkSettings& settings,
                                               std::size_t item_slots, bool items_are_linear) {
  TreeCounts counts;
  for (const TreeNode& node : plan.nodes) {
    counts.add_node(node.is_leaf(), 1);
    const std::size_t n = node.parts();
    const std::size_t slots = node.is_leaf() ? item_slots : (settings.has_slots() ? 3 : 1);
    const bool touches = slots == 3 && settings.has_slots();
    const bool is_linear =
        node.is_leaf() ? items_are_linear : settings.aggregation == Aggregation::mean;
    counts.registrations += (n - 1) * (touches ? 2 : 1);
    counts.spectra += n > 1 ? n + (touches ? 2 * (n - 1) : 0) : 0;
    // The sums, and the outermost slots by themselves.
    counts.warps += slots == 3 && is_linear ? n + (settings.has_slots() ? 2 : 0) : n * slots;
  }
  return counts;
}

}  // namespace stillscope
