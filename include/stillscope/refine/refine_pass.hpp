// SPDX-License-Identifier: GPL-3.0-or-later
/// One reading of a movie, in which every frame is fitted to a template and added to the next one.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "stillscope/core/executor.hpp"
#include "stillscope/quality/frame_flags.hpp"
#include "stillscope/refine/frame_fitter.hpp"
#include "stillscope/refine/locator.hpp"
#include "stillscope/refine/mean_template.hpp"
#include "stillscope/refine/reference_template.hpp"
#include "stillscope/tree/frame_copies.hpp"

namespace stillscope {

/// What is known of a frame from pass to pass.
struct FrameState {
  FrameFit fit;
  Location location;               ///< Where the template's detail says that it is.
  double similarity_before = 0.0;  ///< Correlation with the movie's plain mean, as it is.
  bool has_holes = false;          ///< Pixels that are not finite.
  double filling = 0.0;            ///< What they are taken for.
  std::uint16_t flags = 0;
};

/// Options of `RefinePass`.
struct PassSettings {
  FitSettings fit;
  std::optional<double> max_shift;  ///< [px], on each axis.
  /// A frame is of low confidence whose place is not this much better than the best other one.
  double least_ratio = 1.25;
  /// Whether frames are fitted, rather than left where they are and compared there.
  bool is_fitting = true;
};

/// Fits frames to `reference` and adds them to the template of the next pass. Which frames are
/// fitted together makes no difference.
template <Pixel T>
class RefinePass {
 public:
  /// `target`: where to look for frames first; or null. `plain`: the mean of the frames as they
  /// are, for the similarity before; or null.
  RefinePass(const ReferenceTemplate& reference, const LocatorTarget* target,
             const ReferenceTemplate* plain, const PassSettings& settings)
      : reference_(reference), target_(target), plain_(plain), settings_(settings) {}

  /// Takes consecutive frames, in groups of `MeanTemplate::group` from the movie's first on, and
  /// their states.
  void operator()(const MovieView<const T>& frames, std::span<FrameState> states,
                  MeanTemplate& next, const Executor& executor) {
    constexpr std::size_t group = MeanTemplate::group;
    const std::size_t batch = MeanTemplate::batch(executor);
    for (std::size_t begin = 0; begin < frames.size(); begin += batch) {
      const std::size_t end = std::min(begin + batch, frames.size());
      std::vector<std::unique_ptr<Scratch>> held(end - begin);
      std::vector<FrameView<const T>> views(end - begin);
      executor.for_each(end - begin, [&](std::size_t i) {
        held[i] = pool_.take([&] { return std::make_unique<Scratch>(reference_, settings_); });
        const FrameState& state = states[begin + i];
        held[i]->copies.clear();
        views[i] = held[i]->copies.usable(frames[begin + i], state.has_holes, state.filling);
        fit(views[i], states[begin + i], *held[i]);
        // Copies live until the frames have been added.
        if (views[i].data() == frames[begin + i].data()) pool_.give(std::move(held[i]));
      });
      for (std::size_t first = begin; first < end; first += group) {
        std::vector<RegisteredFrame<T>> good;
        for (std::size_t i = first; i < std::min(first + group, end); ++i) {
          if (states[i].flags == 0) good.push_back({views[i - begin], states[i].fit.shift});
        }
        next.add<T>(good, executor);
      }
      for (auto& scratch : held) {
        if (scratch) pool_.give(std::move(scratch));
      }
    }
  }

 private:
  /// Frames with these flags are not looked at.
  static constexpr std::uint16_t hopeless = flag_non_finite | flag_black | flag_flash | flag_given;

  struct Scratch {
    Scratch(const ReferenceTemplate& reference, const PassSettings& settings)
        : fitter(reference.extent(), settings.fit) {
      if (LocatorTarget::can_locate(reference.extent())) {
        locator.emplace(reference.extent(), settings.max_shift);
      }
    }
    FrameFitter<T> fitter;
    std::optional<Locator<T>> locator;
    FrameCopies<T> copies;
  };

  void fit(const FrameView<const T>& frame, FrameState& state, Scratch& scratch) const {
    if (plain_ != nullptr) {
      state.similarity_before = scratch.fitter.similarity(frame, *plain_, {});
    }
    if ((state.flags & hopeless) != 0) return;
    if (!settings_.is_fitting) {
      state.fit.similarity = scratch.fitter.similarity(frame, reference_, state.fit.shift);
      return;
    }
    const bool looks = target_ != nullptr && scratch.locator.has_value();
    FrameFit best = scratch.fitter(frame, reference_, state.fit);
    if (looks) {
      state.location = (*scratch.locator)(frame, *target_);
      const Shift there{static_cast<double>(state.location.shift.height),
                        static_cast<double>(state.location.shift.width)};
      const Shift away = there - state.fit.shift;
      const double distance = std::max(std::fabs(away.height), std::fabs(away.width));
      const bool is_sure =
          state.location.ratio() >= std::max(settings_.least_ratio, scratch.locator->noise_ratio());
      if (is_sure && (distance > near || !best.has_converged)) {
        FrameFit start;
        start.shift = there;
        const FrameFit other = scratch.fitter(frame, reference_, start);
        const bool is_better =
            other.has_converged && (!best.has_converged || other.similarity > best.similarity);
        if (is_better) best = other;
      }
      set(state.flags, flag_low_confidence, !is_sure);
    }
    state.fit = best;
    set(state.flags, flag_not_converged, !best.has_converged);
    set(state.flags, flag_at_limit,
        settings_.max_shift && std::max(std::fabs(best.shift.height), std::fabs(best.shift.width)) >
                                   *settings_.max_shift);
  }

  static void set(std::uint16_t& flags, FrameFlag flag, bool is_set) {
    const auto bits = static_cast<unsigned>(flags);
    const auto bit = static_cast<unsigned>(flag);
    flags = static_cast<std::uint16_t>(is_set ? bits | bit : bits & ~bit);
  }

  /// The fit finds its way from this far [px].
  static constexpr double near = 2.5;

  const ReferenceTemplate& reference_;
  const LocatorTarget* target_;
  const ReferenceTemplate* plain_;
  PassSettings settings_;
  Pool<std::unique_ptr<Scratch>> pool_;
};

}  // namespace stillscope
