// SPDX-License-Identifier: GPL-3.0-or-later
/// The motion of a movie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "stillscope/core/buffer.hpp"
#include "stillscope/core/executor.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/filter/filter_settings.hpp"
#include "stillscope/movie/movie_source.hpp"
#include "stillscope/nonrigid/estimate_deformation.hpp"
#include "stillscope/refine/area.hpp"
#include "stillscope/tree/motion_estimate.hpp"

namespace stillscope {

/// Options of the refinement: frames are fitted to the mean of all registered frames, again and
/// again.
struct RefineSettings {
  /// Readings of the movie at most; fewer where shifts no longer move. 0: the tree's shifts as they
  /// are, without any frame's quality.
  std::size_t passes = 3;
  /// Whether each frame has a gain and an offset of its own.
  bool has_brightness = true;
  /// Residuals count no more than this many standard deviations; 0: as they are.
  double robust = 3.0;
  /// What is smoother than about this [px], as vignettes are, tells no motion; 0: all does.
  double highpass = 8.0;
  /// Nor does what is finer than about this [px], which is noise; 0: all does.
  double lowpass = 1.0;
};

/// Options of `estimate_motion`.
struct EstimateSettings {
  /// Here the last frame of a group stands for its end; minian 2.0.2 takes the second.
  ChunkSettings tree = {.slot_last = SlotLast::last};
  /// Frames a chunk of the tree; 0: as many as about 64 million pixels, at least 16 and at most
  /// 256.
  std::size_t chunk = 0;
  FilterSettings filter;
  RefineSettings refine;
  /// Motion that differs across the frame; it needs the refinement, and all of the frame.
  NonrigidSettings nonrigid;
  /// Shifts beyond this [px] on an axis are not believed.
  std::optional<double> max_shift = std::nullopt;
  /// A frame is of low confidence whose place on the template is not this much better than the best
  /// other one, or than noise would have it.
  double least_ratio = 1.25;
  /// Not 0 for frames that are known to be bad: one a frame, or nothing.
  std::span<const std::uint16_t> bad_frames = {};
  /// How much each pixel of the template counts in the refinement, from 0: (height, width) in C
  /// order, or nothing.
  std::span<const float> weights = {};

  /// The tree's shifts as they are, in chunks of `chunk` frames; 0: as above.
  [[nodiscard]] static EstimateSettings tree_alone(const ChunkSettings& tree = {},
                                                   std::size_t chunk = 0) {
    EstimateSettings settings;
    settings.tree = tree;
    settings.chunk = chunk;
    settings.refine.passes = 0;
    return settings;
  }

  /// Throws `std::invalid_argument` naming the first option that is out of range.
  void validate(std::size_t frames, Extent extent) const;
};

/// What is known of a frame.
struct FrameQuality {
  double similarity_before = 0.0;  ///< Correlation with the movie's plain mean, as it is.
  double similarity = 0.0;         ///< Correlation with the template, moved.
  double peak = 0.0;      ///< Height of the correlation with the template's detail, over its level.
  double ratio = 0.0;     ///< That peak over the highest place elsewhere.
  double residual = 0.0;  ///< Standard deviation of the difference to the template.
  double uncertainty = 0.0;  ///< Standard error of the shift that the residual makes likely [px].
  double gain = 1.0;         ///< The frame's brightness over the template's.
  std::uint16_t flags = 0;   ///< `FrameFlag`s.
  bool is_interpolated = false;  ///< Its shift is that of its neighbours.
};

/// The motion of a movie, and how sure it is.
struct MovieMotion : MotionEstimate {
  /// One a frame; empty where there was no refinement.
  std::vector<FrameQuality> frames;
  /// Mean of the registered frames that have no flag (height, width), float32, C order; NaN where
  /// no frame lies.
  AlignedBuffer<float> mean;
  /// Mean of the frames as they are.
  AlignedBuffer<float> plain_mean;
  /// What stays on the sensor, in filtered frames; empty where it was not asked for. All of these
  /// means are of what the estimate looked at: of its region, filtered, without this pattern.
  AlignedBuffer<float> fixed_pattern;
  /// The part of corrected frames (not of the region alone) on which 95 % of them lie.
  Area common;
  std::size_t passes = 0;     ///< Readings of the movie after the tree.
  std::vector<double> moved;  ///< How far shifts moved in each of these, root mean square [px].
  /// Motion that differs across the frame, where it was asked for.
  std::optional<Deformation> deformation;

  /// But for `frames`, which are made at the end.
  template <class Archive>
  void archive(Archive& io) {
    MotionEstimate::archive(io);
    io(mean, plain_mean, fixed_pattern, common, passes, moved);
    std::uint8_t fields = deformation.has_value() ? 1 : 0;
    io(fields);
    if (fields != 0 && !deformation) deformation.emplace();
    if (fields != 0) io(*deformation);
  }
};

/// Where an estimate keeps its state from time to time, to go on from there in another process.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  /// Whether to keep the state now; asked after each run of frames.
  [[nodiscard]] virtual bool is_due() = 0;
  /// Keeps the state, in place of the last one.
  virtual void save(std::span<const std::byte> state) = 0;
  /// What was kept, or nothing; it holds until the next call.
  [[nodiscard]] virtual std::span<const std::byte> load() = 0;
};

/// Estimates the motion of every frame of a movie (frame, height, width). Frames that are flagged
/// shape no template; their shifts are interpolated between their neighbours', but for duplicates.
/// Throws `std::invalid_argument` where the movie has no frame or no pixel, or where an option is
/// out of range. The result depends neither on the executor nor on how the source keeps its frames.
/// With a checkpoint of the same movie, settings and version of the library it goes on from there
/// (throws `std::invalid_argument` where it is not of these, as far as it can tell), with the same
/// result.
template <Pixel T>
[[nodiscard]] MovieMotion estimate_motion(MovieSource<T>& movie,
                                          const EstimateSettings& settings = {},
                                          const Executor& executor = *make_executor(),
                                          Checkpoint* checkpoint = nullptr);
/// The same for a movie in memory.
template <Pixel T>
[[nodiscard]] MovieMotion estimate_motion(const MovieView<const T>& movie,
                                          const EstimateSettings& settings = {},
                                          const Executor& executor = *make_executor());

}  // namespace stillscope
