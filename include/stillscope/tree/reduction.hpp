// SPDX-License-Identifier: GPL-3.0-or-later
/// The reduction: (template, shifts) tuples, merged exactly once per node of the plan.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/tree/group.hpp"
#include "stillscope/tree/motion_estimate.hpp"
#include "stillscope/tree/tree_plan.hpp"
#include "stillscope/tree/walk.hpp"

namespace stillscope {

/// Planes of an item: 1 for a movie, 3 for a stack of templates.
template <Pixel T>
[[nodiscard]] constexpr std::size_t item_slots(const MovieView<const T>& /*frames*/) {
  return 1;
}
template <Pixel T>
[[nodiscard]] constexpr std::size_t item_slots(const ChosenFrames<T>& /*frames*/) {
  return 1;
}
template <Pixel T>
[[nodiscard]] constexpr std::size_t item_slots(const StackView<const T>& /*templates*/) {
  return StackView<const T>::slots;
}

/// Runs the plan over `input`, a MovieView<const T>, a ChosenFrames<T> or a StackView<const T>.
/// `incoming`: a list of shifts for each item, which the item's motions are added to; empty: one
/// shift of zero an item. The executor changes who does the work, never the result.
template <Pixel T, class Input>
class TreeReducer {
 public:
  TreeReducer(const Input& input, const TreePlan& plan, const ChunkSettings& settings,
              std::span<const ShiftList> incoming)
      : input_(input),
        plan_(plan),
        settings_(settings),
        incoming_(incoming),
        level_sizes_(plan.nodes.back().level + 1),
        results_(plan.nodes.size()),
        reports_(plan.nodes.size()),
        runs_(plan.nodes.size()) {
    for (const TreeNode& node : plan.nodes) ++level_sizes_[node.level];
  }

  MotionEstimate operator()(const Executor& executor) {
    walk(
        plan_, executor, [&] { return Lease(*this); },
        [&](std::size_t node, Lease& lease) { run(node, lease.workspace(), executor); });
    return collect();
  }

 private:
  struct Workspace {
    Workspace(Extent extent, const ChunkSettings& settings, std::size_t frames)
        : items(extent, settings, frames), templates(extent, settings, frames) {}
    Group<T> items;
    Group<std::int16_t> templates;
  };

  /// A workspace, given back at the end of its scope.
  class Lease {
   public:
    explicit Lease(TreeReducer& owner)
        : owner_(owner), workspace_(owner.workspaces_.take([&] {
            return std::make_unique<Workspace>(owner.input_.extent(), owner.settings_,
                                               owner.input_.size());
          })) {}
    ~Lease() { owner_.workspaces_.give(std::move(workspace_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Workspace& workspace() { return *workspace_; }

   private:
    TreeReducer& owner_;
    std::unique_ptr<Workspace> workspace_;
  };

  struct NodeResult {
    CodedTemplate merged;
    ShiftList shifts;
  };

  void run(std::size_t index, Workspace& workspace, const Executor& executor) {
    runs_[index].fetch_add(1, std::memory_order_relaxed);
    const TreeNode& node = plan_.nodes[index];
    if (node.is_leaf()) {
      std::vector<GroupItem<T>> items;
      for (std::size_t i = 0; i < node.items; ++i) {
        items.push_back(group_item<T>(input_, node.first_item + i));
      }
      reduce(index, workspace.items, std::move(items), item_values(), executor);
    } else {
      std::vector<GroupItem<std::int16_t>> items;
      for (const std::size_t child : node.children) {
        items.push_back(group_item(results_[child].merged));
      }
      // Means have a float type; maxima keep the frames'.
      const WarpedValues values =
          settings_.aggregation == Aggregation::mean ? WarpedValues::by_type : item_values();
      reduce(index, workspace.templates, std::move(items), values, executor);
    }
  }

  /// Registers and merges the items of a node.
  template <Pixel U>
  void reduce(std::size_t index, Group<U>& group, std::vector<GroupItem<U>> items,
              WarpedValues values, const Executor& executor) {
    // Towards the root there are too few nodes for the threads: these share a node's rows.
    const SerialExecutor serial;
    const bool is_alone = level_sizes_[plan_.nodes[index].level] < 2 * executor.concurrency();
    const GroupMotions motions = group.estimate(
        std::move(items), is_alone ? executor : static_cast<const Executor&>(serial));
    const Extent extent = input_.extent();
    const std::size_t slots = settings_.has_slots() ? 3 : 1;
    CodedTemplate merged;
    if (group.has_good() && index == plan_.root()) {
      // The result itself: in full precision.
      top_ = TemplateStack(slots, extent);
      group.merge(motions.shifts, values, top_);
    } else if (group.has_good()) {
      merged = CodedTemplate(slots, extent, group.template_range());
      group.merge(motions.shifts, values, merged);
    }
    join(plan_.nodes[index], motions.shifts, std::move(merged), results_[index]);
    reports_[index] = motions.report;
  }

  /// What warped pixels of the items become.
  [[nodiscard]] WarpedValues item_values() const {
    const bool is_whole = settings_.warped_values == WarpedValues::by_type && std::is_integral_v<T>;
    return is_whole ? WarpedValues::whole : settings_.warped_values;
  }

  /// Joins the tuples of a node's parts into its own and lets their memory go.
  void join(const TreeNode& node, const ShiftList& motions, CodedTemplate merged,
            NodeResult& result) {
    result.merged = std::move(merged);
    for (std::size_t part = 0; part < node.parts(); ++part) {
      const Shift& motion = motions[part];
      if (node.is_leaf()) {
        if (incoming_.empty()) {
          result.shifts.push_back(motion);
        } else {
          for (const Shift& shift : incoming_[node.first_item + part]) {
            result.shifts.push_back(shift + motion);
          }
        }
      } else {
        NodeResult& child = results_[node.children[part]];
        for (const Shift& shift : child.shifts) result.shifts.push_back(shift + motion);
        child = {};
      }
    }
  }

  MotionEstimate collect() {
    MotionEstimate estimate;
    estimate.planned = planned_counts(
        plan_, settings_, item_slots(input_),
        settings_.aggregation == Aggregation::mean && item_values() == WarpedValues::by_type);
    estimate.merged = std::move(top_);
    estimate.shifts = std::move(results_[plan_.root()].shifts);
    for (std::size_t i = 0; i < plan_.nodes.size(); ++i) {
      const GroupReport& report = reports_[i];
      estimate.counts.add_node(plan_.nodes[i].is_leaf(), runs_[i].load(std::memory_order_relaxed));
      if (plan_.nodes[i].is_leaf()) {
        estimate.repaired += report.repaired;
        estimate.dead += report.dead;
      }
      if (settings_.circ_thres && 10 * report.good < 9 * report.items) {
        estimate.few_good.push_back({plan_.nodes[i].first_item, report});
      }
    }
    workspaces_.for_each([&](const std::unique_ptr<Workspace>& workspace) {
      estimate.counts.add_work(workspace->items);
      estimate.counts.add_work(workspace->templates);
    });
    return estimate;
  }

  const Input& input_;
  const TreePlan& plan_;
  const ChunkSettings& settings_;
  std::span<const ShiftList> incoming_;
  std::vector<std::size_t> level_sizes_;  // nodes a level
  std::vector<NodeResult> results_;
  std::vector<GroupReport> reports_;
  std::vector<std::atomic<std::uint32_t>> runs_;
  TemplateStack top_;
  Pool<std::unique_ptr<Workspace>> workspaces_;
};

}  // namespace stillscope
