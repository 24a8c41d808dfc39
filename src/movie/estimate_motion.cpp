// SPDX-License-Identifier: GPL-3.0-or-later
/// The estimate: the tree, then readings of the movie in which frames are fitted to their mean.
#include "stillscope/movie/estimate_motion.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "stillscope/core/archive.hpp"
#include "stillscope/core/error.hpp"
#include "stillscope/filter/fixed_pattern.hpp"
#include "stillscope/filter/pattern_search.hpp"
#include "stillscope/movie/filtered_source.hpp"
#include "stillscope/quality/frame_flags.hpp"
#include "stillscope/quality/frame_watch.hpp"
#include "stillscope/refine/coverage.hpp"
#include "stillscope/refine/refine_pass.hpp"
#include "stillscope/tree/chunk_merger.hpp"
#include "stillscope/tree/reduction.hpp"

namespace stillscope {
namespace {

/// Shifts that move less than this from one reading to the next [px, root mean square] have
/// arrived.
constexpr double arrived = 0.004;
/// A fit ends with a shorter step than this [px] where another reading follows, and else.
constexpr double rough_tolerance = 0.03;
constexpr double fine_tolerance = 0.01;
/// What all frames have in common is no motion.
constexpr double common_share = 0.95;
/// The template is believed where this share of the frames lies.
constexpr double believed_share = 0.5;
/// Of fewer frames each is so large a part of their mean that it would be fitted to its own noise.
constexpr std::size_t least_frames = 4;
/// To be raised with any change of what checkpoints hold.
constexpr std::size_t archive_version = 1;

std::size_t default_chunk(Extent extent) {
  constexpr std::size_t pixels = std::size_t{1} << 26;
  return std::clamp<std::size_t>(pixels / extent.area(), 16, 256);
}

/// Frames read at once after the tree; whole groups of the mean.
std::size_t block_size(Extent extent) {
  constexpr std::size_t group = MeanTemplate::group;
  return std::clamp<std::size_t>(default_chunk(extent) / 4 / group, 1, 8) * group;
}

template <Pixel T>
class MotionEstimator {
 public:
  /// `filtered`: the movie, where it is filtered; or null. `checkpoint`: or null.
  MotionEstimator(MovieSource<T>& movie, FilteredMovie* filtered, const EstimateSettings& settings,
                  const Executor& executor, Checkpoint* checkpoint)
      : movie_(movie),
        filtered_(filtered),
        settings_(settings),
        executor_(executor),
        checkpoint_(checkpoint),
        frames_(movie.size()),
        extent_(movie.extent()),
        has_quality_(settings.refine.passes > 0),
        looks_(has_quality_ || settings.filter.fixed_pattern),
        watch_(looks_ && filtered == nullptr ? frames_ : 0),
        states_(looks_ ? frames_ : 0) {
    if (looks_) plain_.emplace(extent_);
    if (has_quality_) next_.emplace(extent_);
  }

  MovieMotion operator()() {
    MovieMotion motion;
    resume(motion);
    if (stage_ == Stage::tree) {
      static_cast<MotionEstimate&>(motion) = run_tree(looks_, &motion);
      if (!looks_) return motion;
      motion.plain_mean = AlignedBuffer<float>(extent_.area());
      plain_->mean(motion.plain_mean.data());
      stage_ = Stage::pattern;
      begin_ = 0;
      keep(motion);
    }
    if (stage_ == Stage::pattern) {
      if (settings_.filter.fixed_pattern) find_pattern(motion);
      start_from(motion.shifts);
      area_ = covered(motion.shifts);
      shaped_ = frames_;
      before_ = motion.shifts;
      stage_ = Stage::refinement;
    }
    if (!has_quality_) {
      for (std::size_t i = 0; i < frames_; ++i) {
        if (statistics()[i].has_finite) motion.shifts[i] = states_[i].fit.shift;
      }
      return motion;
    }
    if (!motion.merged.is_empty()) refine(motion);
    if (is_nonrigid() && !motion.deformation) leave_rigid(motion);
    describe(motion);
    interpolate(motion);
    for (std::size_t i = 0; i < frames_; ++i) motion.shifts[i] = states_[i].fit.shift;
    if (motion.deformation) add_shifts(*motion.deformation, motion.shifts);
    return motion;
  }

 private:
  /// What is under way, from `begin_` on where that can be kept.
  enum class Stage : std::uint8_t { tree, pattern, refinement };

  template <class Archive>
  void archive(Archive& io, MovieMotion& motion) {
    io(stage_, begin_, motion, states_, unmoved_, scene_, area_, shaped_, before_);
    if (filtered_ != nullptr) {
      filtered_->archive(io);
    } else {
      io(watch_);
    }
    if (plain_) io(*plain_);
    if (stage_ == Stage::tree) {
      if (!merger_) start_tree();
      io(*merger_);
    } else if (next_) {
      io(*next_);
    }
  }

  /// Of which movie and settings a checkpoint is, as far as sizes tell.
  [[nodiscard]] std::array<std::size_t, 9> identity() const {
    return {archive_version,
            frames_,
            extent_.height,
            extent_.width,
            sizeof(T),
            has_quality_,
            filtered_ != nullptr,
            settings_.filter.fixed_pattern,
            static_cast<std::size_t>(settings_.nonrigid.method)};
  }

  void keep(MovieMotion& motion) {
    if (checkpoint_ == nullptr || !checkpoint_->is_due()) return;
    ArchiveWriter io;
    auto of = identity();
    io(of);
    archive(io, motion);
    checkpoint_->save(io.finish());
  }

  void resume(MovieMotion& motion) {
    if (checkpoint_ == nullptr) return;
    const std::span<const std::byte> state = checkpoint_->load();
    if (state.empty()) return;
    ArchiveReader io(state);
    auto of = identity();
    io(of);
    if (of != identity()) {
      throw_invalid("checkpoint", "one of this movie and these settings", "another");
    }
    archive(io, motion);
    io.finish();
    if (stage_ > Stage::refinement || begin_ > frames_ ||
        states_.size() != (looks_ ? frames_ : 0)) {
      throw_invalid("checkpoint", "a state of this movie", "another");
    }
  }

  void start_tree() {
    ChunkSettings upper = settings_.tree;
    if (upper.aggregation == Aggregation::mean) upper.warped_values = WarpedValues::by_type;
    merger_.emplace(upper, extent_, executor_);
  }

  /// Where every frame is, roughly: chunk by chunk. May look at each frame meanwhile; leaves out
  /// those that were flagged. `kept`: what goes into checkpoints, or null for none.
  MotionEstimate run_tree(bool looks, MovieMotion* kept) {
    const std::size_t chunk =
        std::min(settings_.chunk == 0 ? default_chunk(extent_) : settings_.chunk, frames_);
    if (!merger_) start_tree();
    for (std::size_t begin = begin_; begin < frames_; begin += chunk) {
      const std::size_t end = std::min(begin + chunk, frames_);
      const MovieView<const T> view = movie_.read(begin, end);
      std::vector<std::uint16_t> flags;
      if (looks) {
        look(view, begin);
        flags = flag_frames(statistics().subspan(begin, end - begin));
        add_given(begin, flags);
      } else if (looks_) {
        for (std::size_t i = begin; i < end; ++i) flags.push_back(states_[i].flags);
      } else if (filtered_ != nullptr) {
        // The filter has filled frames without any finite pixel, which have no shift.
        for (std::size_t i = begin; i < end; ++i) {
          flags.push_back(statistics()[i].has_finite ? 0 : flag_non_finite);
        }
      }
      const ChosenFrames<T> chosen{view, flags};
      const TreePlan plan = plan_tree(view.size(), 0, settings_.tree.npart);
      merger_->add(TreeReducer<T, ChosenFrames<T>>(chosen, plan, settings_.tree, {})(executor_),
                   begin);
      begin_ = end;
      if (kept != nullptr) keep(*kept);
    }
    if (looks) {
      std::vector<std::uint16_t> flags = flag_frames(statistics());
      add_given(0, flags);
      for (std::size_t i = 0; i < frames_; ++i) {
        states_[i].flags = flags[i];
        states_[i].has_holes = has_holes(statistics()[i]);
        states_[i].filling = statistics()[i].mean;
      }
    }
    MotionEstimate tree = merger_->finish();
    merger_.reset();
    begin_ = 0;
    if (looks || filtered_ != nullptr) {
      // Some of these the tree never saw.
      tree.repaired = 0;
      tree.dead = 0;
      for (const FrameStatistics& frame : statistics()) {
        if (frame.non_finite == 0) continue;
        ++(frame.non_finite == extent_.area() ? tree.dead : tree.repaired);
      }
    }
    return tree;
  }

  /// Of all frames that have been read, before any filter.
  [[nodiscard]] std::span<const FrameStatistics> statistics() const {
    return filtered_ != nullptr ? filtered_->statistics() : watch_.statistics();
  }

  /// Whether a frame has pixels that are not finite: filters fill them.
  [[nodiscard]] bool has_holes(const FrameStatistics& frame) const {
    return filtered_ == nullptr && frame.non_finite > 0;
  }

  /// Looks at a chunk's frames; their share in the plain mean.
  void look(const MovieView<const T>& view, std::size_t begin) {
    constexpr std::size_t group = MeanTemplate::group;
    const std::size_t batch = MeanTemplate::batch(executor_);
    FrameCopies<T> copies;
    for (std::size_t first = 0; first < view.size(); first += group) {
      const std::size_t end = std::min(first + group, view.size());
      if (filtered_ == nullptr && first % batch == 0) {
        watch_.look(view, first, std::min(first + batch, view.size()), begin, executor_);
      }
      copies.clear();
      std::vector<RegisteredFrame<T>> frames;
      for (std::size_t i = first; i < end; ++i) {
        const FrameStatistics& frame = statistics()[begin + i];
        if (!frame.has_finite) continue;
        frames.push_back({copies.usable(view[i], has_holes(frame), frame.mean), Shift{}});
      }
      plain_->add<T>(frames, executor_);
    }
  }

  void add_given(std::size_t begin, std::vector<std::uint16_t>& flags) const {
    if (settings_.bad_frames.empty()) return;
    for (std::size_t i = 0; i < flags.size(); ++i) {
      if (settings_.bad_frames[begin + i] != 0) flags[i] |= flag_given;
    }
  }

  /// Frames that the tree left out begin where the frame before them is, or the first one known.
  void start_from(const ShiftList& shifts) {
    const auto first = std::find_if(shifts.begin(), shifts.end(),
                                    [](const Shift& shift) { return shift.is_finite(); });
    Shift last = first != shifts.end() ? *first : Shift{};
    for (std::size_t i = 0; i < frames_; ++i) {
      if (shifts[i].is_finite()) last = shifts[i];
      states_[i].fit.shift = last;
    }
  }

  /// Tells what stays on the sensor from the scene. Where it outshines the scene, the tree says
  /// that nothing moves; so there is a second tree without the plain mean, in which a scene that
  /// moves has little part, and means over the frames at both trees' shifts tell which of the two
  /// is right.
  void find_pattern(MovieMotion& motion) {
    filtered_->remove({motion.plain_mean.data(), extent_.area()});
    MotionEstimate other = run_tree(false, nullptr);
    filtered_->remove({});
    PatternSearch search(extent_, {&motion.shifts, &other.shifts});
    const std::size_t block = block_size(extent_);
    for (std::size_t begin = 0; begin < frames_; begin += block) {
      const std::size_t end = std::min(begin + block, frames_);
      std::vector<bool> is_good;
      for (std::size_t i = begin; i < end; ++i) is_good.push_back(states_[i].flags == 0);
      search.add(movie_.read(begin, end), begin, is_good, executor_);
    }
    motion.fixed_pattern = AlignedBuffer<float>(extent_.area());
    if (search.is_second_right(executor_)) {
      static_cast<MotionEstimate&>(motion) = std::move(other);
    }
    if (!search.has_pattern(executor_)) {
      std::fill_n(motion.fixed_pattern.data(), extent_.area(), 0.0F);
      return;
    }
    unmoved_ = search.unmoved();
    scene_ = search.split(motion.fixed_pattern.data(), executor_);
    take_away(motion);
  }

  void take_away(MovieMotion& motion) {
    filtered_->remove({motion.fixed_pattern.data(), extent_.area()});
    plain_->mean(motion.plain_mean.data());
    for (std::size_t i = 0; i < extent_.area(); ++i) {
      motion.plain_mean.data()[i] -= motion.fixed_pattern.data()[i];
    }
  }

  /// What the mean of frames at better shifts says of the pattern.
  void update_pattern(MovieMotion& motion) {
    ShiftList shifts;
    for (const FrameState& state : states_) {
      if (state.flags == 0) shifts.push_back(state.fit.shift);
    }
    std::vector<float> registered(motion.mean.data(), motion.mean.data() + extent_.area());
    PatternSearch::fill_holes(registered);
    std::vector<float> unmoved(extent_.area());
    for (std::size_t i = 0; i < unmoved.size(); ++i) {
      unmoved[i] = unmoved_[i] - motion.fixed_pattern.data()[i];
    }
    PatternSplit(extent_, shifts, executor_)(unmoved.data(), registered.data(), registered.data(),
                                             unmoved.data());
    for (std::size_t i = 0; i < unmoved.size(); ++i) {
      motion.fixed_pattern.data()[i] += unmoved[i];
      if (std::isfinite(motion.mean.data()[i])) motion.mean.data()[i] = registered[i];
    }
    take_away(motion);
  }

  void refine(MovieMotion& motion) {
    MeanTemplate& mean = *next_;
    PassSettings pass;
    pass.fit = {settings_.refine.has_brightness, settings_.refine.robust};
    pass.max_shift = settings_.max_shift;
    pass.least_ratio = settings_.least_ratio;
    pass.is_fitting = frames_ >= least_frames;
    const double highpass = settings_.refine.highpass;

    std::optional<ReferenceTemplate> plain;
    if (plain_->frames() > 0) {
      plain.emplace(view_of(motion.plain_mean), Area::of(extent_), std::span<const float>{}, 0.0,
                    0.0, executor_);
    }

    // The first reading's template is the tree's.
    FrameView<const float> from = motion.merged[aggregate_slot];
    if (!scene_.empty()) from = FrameView<const float>(scene_.data(), extent_);
    if (motion.passes > 0) from = view_of(motion.mean);
    while (motion.passes < settings_.refine.passes) {
      // The tree's template is blurred, and its noise is that of few frames.
      const double lowpass = settings_.refine.lowpass * (motion.passes == 0 ? 2.0 : 1.0);
      // Nor need shifts on it be exact, where others follow.
      const bool is_last = motion.passes + 1 >= settings_.refine.passes;
      pass.fit.tolerance = motion.passes == 0 && !is_last ? rough_tolerance : fine_tolerance;
      const ReferenceTemplate reference(from, area_, settings_.weights, highpass, lowpass,
                                        executor_);
      std::optional<LocatorTarget> target;
      if (motion.passes == 0 && pass.is_fitting && LocatorTarget::can_locate(extent_)) {
        target.emplace(reference.detail(), shaped_, highpass);
      }
      if (begin_ == 0) mean.clear();
      RefinePass<T> run(reference, target ? &*target : nullptr,
                        motion.passes == 0 && plain ? &*plain : nullptr, pass);
      const std::size_t block = block_size(extent_);
      for (std::size_t begin = begin_; begin < frames_; begin += block) {
        const std::size_t end = std::min(begin + block, frames_);
        run(movie_.read(begin, end), std::span(states_).subspan(begin, end - begin), mean,
            executor_);
        begin_ = end;
        keep(motion);
      }
      begin_ = 0;
      ++motion.passes;
      if (motion.passes == 1 && pass.is_fitting) mark_torn();
      motion.moved.push_back(distance(before_));
      if (mean.frames() == 0) break;
      shaped_ = mean.frames();
      area_ = mean.common(believed_share);
      motion.mean.reserve(extent_.area());
      mean.mean(motion.mean.data());
      motion.common = mean.common(common_share);
      if (!scene_.empty()) update_pattern(motion);
      from = view_of(motion.mean);
      // Where frames deform, their fields say more of their shifts than further passes would.
      if (motion.passes == 1 && is_nonrigid() && deform(motion, area_)) break;
      if (motion.moved.back() < arrived) break;
    }
  }

  [[nodiscard]] bool is_nonrigid() const {
    return settings_.nonrigid.method != NonrigidMethod::none;
  }

  /// Finds motion that differs across the frame, given the mean and where it is believed. Whether
  /// there is any.
  bool deform(MovieMotion& motion, const Area& area) {
    if (frames_ < least_frames) return false;
    motion.deformation = estimate_deformation<T>(
        movie_, states_, view_of(motion.mean), area, settings_.weights, settings_.nonrigid,
        {settings_.refine.has_brightness, settings_.refine.robust}, settings_.refine.highpass,
        settings_.refine.lowpass, executor_);
    const AlignedBuffer<float>& mean = motion.deformation->mean;
    if (!mean.empty()) std::copy_n(mean.data(), extent_.area(), motion.mean.data());
    return !motion.deformation->is_rigid;
  }

  /// Fields that are the shifts.
  void leave_rigid(MovieMotion& motion) const {
    Deformation& deformation = motion.deformation.emplace();
    deformation.grid = settings_.nonrigid.grid(extent_);
    deformation.coefficients.resize(frames_ * deformation.grid.coefficients());
    deformation.frames.resize(frames_);
  }

  /// Where no frame's border lies on the tree's template, but for a few wild frames'.
  [[nodiscard]] Area covered(const ShiftList& shifts) const {
    const auto inner = [&](auto&& value, std::size_t n) {
      std::vector<double> values;
      for (const Shift& shift : shifts) {
        if (shift.is_finite()) values.push_back(value(shift));
      }
      std::sort(values.begin(), values.end());
      const auto at = [&](double share) {
        return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
      };
      const double low = values.empty() ? 0.0 : std::min(0.0, at(0.02));
      const double high = values.empty() ? 0.0 : std::max(0.0, at(0.98));
      const auto size = static_cast<double>(n);
      // Half of the frame is better than nothing.
      const double begin = std::min(std::ceil(high) + 1.0, std::floor(size / 4));
      const double end = std::max(size + std::floor(low) - 1.0, std::ceil(3 * size / 4));
      return std::pair{static_cast<std::ptrdiff_t>(begin), static_cast<std::ptrdiff_t>(end)};
    };
    const auto [top, bottom] = inner([](const Shift& s) { return s.height; }, extent_.height);
    const auto [left, right] = inner([](const Shift& s) { return s.width; }, extent_.width);
    return {top, bottom, left, right};
  }

  [[nodiscard]] FrameView<const float> view_of(const AlignedBuffer<float>& plane) const {
    return {plane.data(), extent_};
  }

  void mark_torn() {
    std::vector<StripReport> reports(frames_);
    std::vector<std::uint16_t> ignored(frames_);
    for (std::size_t i = 0; i < frames_; ++i) {
      const FrameFit& fit = states_[i].fit;
      ignored[i] = states_[i].flags;
      reports[i].is_known = fit.has_converged;
      for (std::size_t k = 0; k < FrameFit::bands; ++k) {
        reports[i].apart[2 * k] = static_cast<float>(fit.band_shifts[k].height);
        reports[i].apart[2 * k + 1] = static_cast<float>(fit.band_shifts[k].width);
        reports[i].gain[k] = static_cast<float>(fit.band_gains[k]);
        reports[i].residual[k] = static_cast<float>(fit.band_residuals[k] / (fit.gain * fit.gain));
      }
    }
    const std::vector<bool> torn = find_torn(reports, ignored);
    for (std::size_t i = 0; i < frames_; ++i) {
      if (torn[i]) states_[i].flags |= flag_torn;
    }
  }

  /// How far the shifts of frames without a flag are from `before`, but for a constant.
  double distance(ShiftList& before) const {
    Shift mean;
    double count = 0.0;
    const auto step = [&](std::size_t i) { return states_[i].fit.shift - before[i]; };
    const auto counts = [&](std::size_t i) {
      return states_[i].flags == 0 && before[i].is_finite();
    };
    for (std::size_t i = 0; i < frames_; ++i) {
      if (!counts(i)) continue;
      mean += step(i);
      count += 1.0;
    }
    double squares = 0.0;
    for (std::size_t i = 0; i < frames_; ++i) {
      if (counts(i)) {
        const double height = step(i).height - mean.height / count;
        const double width = step(i).width - mean.width / count;
        squares += 0.5 * (height * height + width * width);
      }
      before[i] = states_[i].fit.shift;
    }
    return count > 0.0 ? std::sqrt(squares / count) : 0.0;
  }

  void describe(MovieMotion& motion) const {
    motion.frames.resize(frames_);
    for (std::size_t i = 0; i < frames_; ++i) {
      const FrameState& state = states_[i];
      FrameQuality& frame = motion.frames[i];
      frame.similarity_before = state.similarity_before;
      frame.similarity = state.fit.similarity;
      frame.peak = state.location.noise > 0.0 ? state.location.peak / state.location.noise : 0.0;
      frame.ratio = state.location.ratio();
      frame.residual = state.fit.sigma;
      frame.uncertainty = state.fit.uncertainty;
      frame.gain = state.fit.gain;
      frame.flags = state.flags;
    }
  }

  /// Frames with a flag, but for duplicates, move as those before and after them do.
  void interpolate(MovieMotion& motion) {
    const auto is_good = [&](std::size_t i) {
      return (states_[i].flags & ~static_cast<unsigned>(keep_their_shift)) == 0;
    };
    constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    std::size_t before = none;
    std::size_t i = 0;
    while (i < frames_) {
      if (is_good(i)) {
        before = i++;
        continue;
      }
      std::size_t after = i;
      while (after < frames_ && !is_good(after)) ++after;
      for (; i < after; ++i) {
        Shift& shift = states_[i].fit.shift;
        motion.frames[i].is_interpolated = true;
        if (before == none && after == frames_) {
          shift = {};  // Nothing is known of any frame: none is moved.
        } else if (before == none) {
          shift = states_[after].fit.shift;
        } else if (after == frames_) {
          shift = states_[before].fit.shift;
        } else {
          const Shift& a = states_[before].fit.shift;
          const Shift& b = states_[after].fit.shift;
          const double t = static_cast<double>(i - before) / static_cast<double>(after - before);
          shift = {a.height + t * (b.height - a.height), a.width + t * (b.width - a.width)};
        }
      }
    }
  }

  /// Flags of frames whose shift is as good as any.
  static constexpr std::uint16_t keep_their_shift = flag_duplicate | flag_not_converged;

  MovieSource<T>& movie_;
  FilteredMovie* filtered_;
  const EstimateSettings& settings_;
  const Executor& executor_;
  Checkpoint* checkpoint_;
  std::size_t frames_;
  Extent extent_;
  bool has_quality_;
  bool looks_;
  Stage stage_ = Stage::tree;
  std::size_t begin_ = 0;              // the first frame that the stage has not taken in
  std::optional<ChunkMerger> merger_;  // of the tree that is under way
  std::optional<MeanTemplate> plain_;  // of the frames as they are
  std::optional<MeanTemplate> next_;   // of the refinement's next template
  FrameWatch<T> watch_;                // where nothing filters
  std::vector<FrameState> states_;
  std::vector<float> unmoved_;  // the mean of filtered frames without a flag, with the pattern
  std::vector<float> scene_;    // the first template, where the pattern was found
  // Of the refinement: where its template is believed, of how many frames it is, and where these
  // were before.
  Area area_;
  std::size_t shaped_ = 0;
  ShiftList before_;
};

template <Pixel T>
MovieMotion estimate_filtered(MovieSource<T>& movie, const EstimateSettings& settings,
                              const Executor& executor, Checkpoint* checkpoint) {
  if (!settings.filter.is_active()) {
    return MotionEstimator<T>(movie, nullptr, settings, executor, checkpoint)();
  }
  FilteredSource<T> filtered(movie, settings.filter, executor);
  return MotionEstimator<float>(filtered, &filtered, settings, executor, checkpoint)();
}

/// Where frames of `extent` that moved so lie.
Area common_area(const MovieMotion& motion, Extent extent) {
  Coverage coverage(extent);
  for (std::size_t i = 0; i < motion.frames.size(); ++i) {
    if (motion.frames[i].flags == 0) coverage.add(Translation(motion.shifts[i], extent));
  }
  return coverage.common(common_share);
}

}  // namespace

void EstimateSettings::validate(std::size_t frames, Extent extent) const {
  tree.validate();
  filter.validate(extent);
  if (max_shift && !(*max_shift > 0.0)) throw_invalid("max_shift", "more than 0 px", *max_shift);
  if (!(refine.robust >= 0.0)) throw_invalid("robust", "at least 0", refine.robust);
  const auto check_width = [](const char* name, double sigma) {
    if (!(sigma >= 0.0 && sigma <= widest_gaussian)) {
      throw_invalid(name, "at least 0 and at most 1000 px", sigma);
    }
  };
  check_width("highpass", refine.highpass);
  check_width("lowpass", refine.lowpass);
  nonrigid.validate(extent);
  if (nonrigid.method != NonrigidMethod::none) {
    if (refine.passes == 0) throw_invalid("nonrigid", "none with refine=0", "one");
    if (filter.region) throw_invalid("nonrigid", "none with a region", "one");
  }
  if (!(least_ratio >= 0.0)) throw_invalid("least_ratio", "at least 0", least_ratio);
  if (!bad_frames.empty() && bad_frames.size() != frames) {
    throw_invalid("bad_frames", std::to_string(frames) + " values, one a frame", bad_frames.size());
  }
  if (!weights.empty() && weights.size() != extent.area()) {
    throw_invalid("weights", std::to_string(extent.area()) + " values, one a pixel",
                  weights.size());
  }
  for (const float weight : weights) {
    if (!(weight >= 0.0F && std::isfinite(weight))) {
      throw_invalid("weights", "finite numbers from 0", weight);
    }
  }
}

template <Pixel T>
MovieMotion estimate_motion(MovieSource<T>& movie, const EstimateSettings& settings,
                            const Executor& executor, Checkpoint* checkpoint) {
  if (movie.size() == 0) throw_invalid("movie", "at least one frame", "none");
  if (movie.extent().area() == 0) {
    throw_invalid("movie", "frames with pixels", to_string(movie.extent()));
  }
  settings.validate(movie.size(), movie.extent());
  const FilterSettings& filter = settings.filter;
  if (!filter.region) return estimate_filtered<T>(movie, settings, executor, checkpoint);
  const Extent all = movie.extent();
  RegionSource<T> part(movie, *filter.region);
  EstimateSettings of_part = settings;
  std::vector<float> weights;
  if (!settings.weights.empty()) {
    for (std::ptrdiff_t y = filter.region->top; y < filter.region->bottom; ++y) {
      const auto row = settings.weights.begin() + y * static_cast<std::ptrdiff_t>(all.width);
      weights.insert(weights.end(), row + filter.region->left, row + filter.region->right);
    }
    of_part.weights = weights;
  }
  MovieMotion motion = estimate_filtered<T>(part, of_part, executor, checkpoint);
  motion.common = common_area(motion, all);
  return motion;
}

template <Pixel T>
MovieMotion estimate_motion(const MovieView<const T>& movie, const EstimateSettings& settings,
                            const Executor& executor) {
  ViewSource<T> source(movie);
  return estimate_motion<T>(source, settings, executor);
}

#define STILLSCOPE_INSTANTIATE(T)                                                                 \
  template MovieMotion estimate_motion(MovieSource<T>&, const EstimateSettings&, const Executor&, \
                                       Checkpoint*);                                              \
  template MovieMotion estimate_motion(const MovieView<const T>&, const EstimateSettings&,        \
                                       const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
