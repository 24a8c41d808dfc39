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
#include "stillscope/core/settings.hpp"
#include "stillscope/tree/executor.hpp"
#include "stillscope/tree/group.hpp"
#include "stillscope/tree/motion_estimate.hpp"
#include "stillscope/tree/tree_plan.hpp"
#include "stillscope/tree/walk.hpp"

namespace stillscope {

/// An item of the input as a group takes it.
template <Pixel T>
[[nodiscard]] GroupItem<T> group_item(const MovieView<const T>& frames, std::size_t index) {
  return {{frames[index], frames[index], frames[index]}, 1, false};
}
template <Pixel T>
[[nodiscard]] GroupItem<T> group_item(const StackView<const T>& templates, std::size_t index) {
  return {{templates(index, 0), templates(index, 1), templates(index, 2)}, 3, false};
}

/// Planes of an item: 1 for a movie, 3 for a stack of templates.
template <Pixel T>
[[nodiscard]] constexpr std::size_t item_slots(const MovieView<const T>& /*frames*/) {
  return 1;
}
template <Pixel T>
[[nodiscard]] constexpr std::size_t item_slots(const StackView<const T>& /*templates*/) {
  return StackView<const T>::slots;
}

/// The template of a node as an item of the group above it.
[[nodiscard]] inline GroupItem<float> group_item(const TemplateStack& node) {
  if (node.is_empty()) return {{}, node.slots(), true};
  return {{node[first_slot], node[aggregate_slot], node[last_slot]}, node.slots(), false};
}

/// Runs the plan over `input`, a MovieView<const T> or a StackView<const T>. `incoming`: a list of
/// shifts for each item, which the item's motions are added to; empty: one shift of zero an item.
/// The executor changes who does the work, never the result.
template <Pixel T, class Input>
class TreeReducer {
 public:
  TreeReducer(const Input& input, const TreePlan& plan, const ChunkSettings& settings,
              std::span<const ShiftList> incoming)
      : input_(input),
        plan_(plan),
        settings_(settings),
        incoming_(incoming),
        results_(plan.nodes.size()),
        reports_(plan.nodes.size()),
        runs_(plan.nodes.size()) {}

  MotionEstimate operator()(const Executor& executor) {
    walk(
        plan_, executor, [&] { return Lease(*this); },
        [&](std::size_t node, Lease& lease) { run(node, lease.workspace()); });
    return collect();
  }

 private:
  struct Workspace {
    Workspace(Extent extent, const ChunkSettings& settings, std::size_t frames)
        : items(extent, settings, frames), templates(extent, settings, frames) {}
    Group<T> items;
    Group<float> templates;
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
    TemplateStack merged;
    ShiftList shifts;
  };

  void run(std::size_t index, Workspace& workspace) {
    runs_[index].fetch_add(1, std::memory_order_relaxed);
    const TreeNode& node = plan_.nodes[index];
    const auto take_buffer = [&](std::size_t size) {
      return buffers_.take([&] { return AlignedBuffer<float>(size); });
    };
    WarpedValues values = settings_.warped_values;
    if (values == WarpedValues::by_type && std::is_integral_v<T>) values = WarpedValues::whole;
    GroupResult group;
    if (node.is_leaf()) {
      std::vector<GroupItem<T>> items;
      for (std::size_t i = 0; i < node.items; ++i) {
        items.push_back(group_item<T>(input_, node.first_item + i));
      }
      group = workspace.items(std::move(items), std::is_integral_v<T>, values, take_buffer);
    } else {
      std::vector<GroupItem<float>> items;
      for (const std::size_t child : node.children) {
        items.push_back(group_item(results_[child].merged));
      }
      // Means have a float type; maxima keep the frames'.
      if (settings_.aggregation == Aggregation::mean) values = WarpedValues::by_type;
      group = workspace.templates(std::move(items), true, values, take_buffer);
    }
    merge(node, group, results_[index]);
    reports_[index] = group.report;
  }

  /// Joins the tuples of a node's parts into its own and lets their memory go.
  void merge(const TreeNode& node, GroupResult& group, NodeResult& result) {
    result.merged = std::move(group.merged);
    for (std::size_t part = 0; part < node.parts(); ++part) {
      const Shift& motion = group.motions[part];
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
        if (!child.merged.is_empty()) buffers_.give(child.merged.take_pixels());
        child = {};
      }
    }
  }

  MotionEstimate collect() {
    MotionEstimate estimate;
    estimate.planned = planned_counts(plan_, settings_, item_slots(input_));
    estimate.merged = std::move(results_[plan_.root()].merged);
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
  std::vector<NodeResult> results_;
  std::vector<GroupReport> reports_;
  std::vector<std::atomic<std::uint32_t>> runs_;
  Pool<AlignedBuffer<float>> buffers_;
  Pool<std::unique_ptr<Workspace>> workspaces_;
};

}  // namespace stillscope
