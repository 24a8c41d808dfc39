// SPDX-License-Identifier: GPL-3.0-or-later
/// Readings of a movie in which frames are fitted to the mean of all deformed frames.
#include "stillscope/nonrigid/estimate_deformation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "stillscope/core/error.hpp"
#include "stillscope/nonrigid/deformation_fitter.hpp"
#include "stillscope/nonrigid/deformation_template.hpp"
#include "stillscope/nonrigid/deformed_mean.hpp"
#include "stillscope/nonrigid/field_measures.hpp"
#include "stillscope/nonrigid/spline_warp.hpp"
#include "stillscope/tree/frame_copies.hpp"

namespace stillscope {
namespace {

/// A movie whose frames deform by less than this [px, root mean square] is taken for rigid: so much
/// do vignettes and cells that light up make of a scene that only moves. Of seven simulated movies
/// that do not deform up to 0.049.
constexpr double least_size = 0.06;
/// A frame deforms by more than is usual where it does so by so many times ...
constexpr double unusual = 2.0;
/// ... and by so many standard deviations of what others do.
constexpr double unusual_deviations = 8.0;
/// Frames whose shorter side is this long [px] are pooled by 2 on the way.
constexpr std::size_t least_pooled = 160;
/// What is missing from fields, squared [px^2], is of no concern up to this.
constexpr double least_held_back = 0.1;
/// An unusual deformation is larger by so many times where it is.
constexpr double part_of_frame = 4.0;
/// Deformations are of about this size [px] until more is known.
constexpr double first_guess = 1.0;
/// Errors of fields that noise may make [px].
constexpr double small_error = 0.03;
/// So many frames, spread evenly, make the template of the next reading.
constexpr std::size_t enough_frames = 128;
/// Of deformed frames that are held at once.
constexpr std::size_t most_pixels = std::size_t{1} << 24;
/// Frames with these flags are not looked at.
constexpr std::uint16_t hopeless = flag_non_finite | flag_black | flag_flash | flag_given;
/// The template is believed where this share of the frames lies.
constexpr float believed_share = 0.5F;

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <Pixel T>
class DeformationEstimator {
 public:
  DeformationEstimator(MovieSource<T>& movie, std::span<FrameState> states,
                       const NonrigidSettings& settings, const FitSettings& fit,
                       const Executor& executor)
      : movie_(movie),
        states_(states),
        settings_(settings),
        executor_(executor),
        extent_(movie.extent()),
        coarse_(extent_, settings.grid(extent_),
                std::min(extent_.height, extent_.width) >= least_pooled ? 2 : 1),
        fine_(extent_, settings.grid(extent_), 1),
        prior_(coarse_),
        fits_(movie.size()) {
    fit_.has_brightness = fit.has_brightness;
    fit_.robust = fit.robust;
    for (std::size_t i = 0; i < fits_.size(); ++i) {
      fits_[i].shift = states[i].fit.shift;
      fits_[i].gain = states[i].fit.gain;
      fits_[i].offset = states[i].fit.offset;
      was_torn_.push_back((states[i].flags & flag_torn) != 0);
    }
  }

  Deformation operator()(FrameView<const float> mean, const Area& area,
                         std::span<const float> weights, double highpass, double lowpass) {
    Deformation result;
    result.grid = coarse_.grid();
    result.frames.resize(fits_.size());
    // expected, of each frame
    std::vector<double> sizes(fits_.size(), settings_.expected.value_or(first_guess));
    double noise = first_noise();
    Template plane = pooled(mean, area, weights, coarse_);
    while (true) {
      // The last reading looks at all pixels as they are, from near by.
      const bool is_last = result.passes + 1 >= settings_.passes;
      const bool is_fine =
          is_last && result.passes > 0 && settings_.method != NonrigidMethod::patches;
      const DeformationLattice& lattice = is_fine ? fine_ : coarse_;
      const double usual = result.passes == 0 ? settings_.expected.value_or(first_guess)
                                              : std::max(result.size, least_size);
      const auto ready = make_ready(lattice, plane, highpass, lowpass, noise, usual);
      const DeformationTemplate& reference = *ready;
      pass(reference, sizes, result.passes, is_last);
      ++result.passes;
      judge(result, sizes);
      if (is_last || result.is_rigid) {
        result.errors =
            reference.errors(ExpectedSize::nearest(std::max(result.size, least_size)), executor_);
        break;
      }
      noise = usual_noise();
      const std::vector<double> common = centre();
      const bool is_fine_next =
          result.passes + 1 >= settings_.passes && settings_.method != NonrigidMethod::patches;
      plane = next_template(common, weights, is_fine_next ? fine_ : coarse_);
      if (is_fine_next) {
        // From pooled pixels to pixels.
        const auto side = static_cast<double>(coarse_.pooling());
        noise *= side;
        for (DeformationFit& fit : fits_) fit.sigma *= side;
      }
    }
    if (!result.is_rigid) {
      const std::vector<float> shaped = shaped_mean(centre());
      result.mean.reserve(extent_.area());
      std::copy(shaped.begin(), shaped.end(), result.mean.data());
    }
    finish(result);
    return result;
  }

 private:
  [[nodiscard]] bool is_usable(std::size_t i) const {
    return (states_[i].flags & hopeless) == 0 && states_[i].fit.shift.is_finite();
  }
  [[nodiscard]] bool is_good(std::size_t i) const {
    return states_[i].flags == 0 && !fits_[i].deviation.empty();
  }

  /// A template's pixels in C order, where they are believed, and how much they count.
  struct Template {
    std::vector<float> pixels;
    Area area;
    std::vector<float> weights;
  };

  /// The template for a reading. The less of what is smooth counts, the less do vignettes and cells
  /// that light up look like deformations, and the more does noise: as little as it allows.
  std::unique_ptr<DeformationTemplate> make_ready(const DeformationLattice& lattice,
                                                  const Template& plane, double highpass,
                                                  double lowpass, double noise, double size) const {
    const auto make = [&](double width) {
      return std::make_unique<DeformationTemplate>(
          lattice, prior_, FrameView<const float>(plane.pixels.data(), lattice.pooled()),
          plane.area, plane.weights, width, lowpass, noise, executor_);
    };
    for (const double narrow : {4.0, 8.0}) {
      if (narrow >= highpass || narrow < 4.0 * static_cast<double>(lattice.pooling())) continue;
      auto ready = make(narrow);
      if (median(ready->errors(ExpectedSize::nearest(size), executor_)) < small_error) return ready;
    }
    return make(highpass);
  }

  /// From planes of whole pixels to those of a lattice. What is not known is 0.
  Template pooled(const FrameView<const float>& mean, const Area& area,
                  std::span<const float> weights, const DeformationLattice& lattice) const {
    const auto side = static_cast<std::ptrdiff_t>(lattice.pooling());
    const Extent size = lattice.pooled();
    Template result;
    result.area = Area{(area.top + side - 1) / side, area.bottom / side,
                       (area.left + side - 1) / side, area.right / side} &
                  Area::of(size);
    const auto pool = [&](auto&& value_at) {
      std::vector<float> plane(size.area());
      for (std::size_t y = 0; y < size.height; ++y) {
        for (std::size_t x = 0; x < size.width; ++x) {
          float sum = 0.0F;
          for (std::size_t k = 0; k < lattice.pooling(); ++k) {
            for (std::size_t l = 0; l < lattice.pooling(); ++l) {
              sum += value_at(y * lattice.pooling() + k, x * lattice.pooling() + l);
            }
          }
          plane[y * size.width + x] = sum / static_cast<float>(side * side);
        }
      }
      return plane;
    };
    result.pixels = pool([&](std::size_t y, std::size_t x) {
      const float pixel = mean(y, x);
      return std::isfinite(pixel) ? pixel : 0.0F;
    });
    if (!weights.empty()) {
      result.weights =
          pool([&](std::size_t y, std::size_t x) { return weights[y * extent_.width + x]; });
    }
    return result;
  }

  /// Over its gain, what the rigid fit left of a usual frame, whose noise pooling makes less.
  [[nodiscard]] double first_noise() const {
    std::vector<double> sigmas;
    for (const FrameState& state : states_) {
      if (state.flags == 0) sigmas.push_back(state.fit.sigma / state.fit.gain);
    }
    return std::max(median(std::move(sigmas)) / static_cast<double>(coarse_.pooling()), 1e-12);
  }
  [[nodiscard]] double usual_noise() const {
    std::vector<double> sigmas;
    for (std::size_t i = 0; i < fits_.size(); ++i) {
      if (is_good(i)) sigmas.push_back(fits_[i].sigma / fits_[i].gain);
    }
    return std::max(median(std::move(sigmas)), 1e-12);
  }

  struct Scratch {
    Scratch(const DeformationLattice& lattice, const DeformationFitSettings& fit)
        : fitter(lattice, fit), warper(lattice.grid(), lattice.frame()) {
      if (lattice.pooling() > 1) warped.reserve(lattice.stride() * lattice.pooled().height);
    }
    DeformationFitter<T> fitter;
    SplineWarper warper;
    AlignedBuffer<float> warped;  // pooled
    FrameCopies<T> copies;
  };

  /// Reads the movie once: fits each frame, and adds it to the mean.
  void pass(const DeformationTemplate& reference, const std::vector<double>& sizes,
            std::size_t number, bool is_last) {
    constexpr std::size_t group = DeformedMean::group;
    const DeformationLattice& lattice = reference.lattice();
    const bool is_whole = lattice.pooling() == 1;
    mean_ = std::make_unique<DeformedMean>(extent_, fine_.stride());
    level_ = is_whole ? reference.level() : 0.0;
    DeformationFitSettings fit = fit_;
    fit.starts_near = number > 0;
    fit.most_steps = number == 0 && !is_last ? 4 : 12;
    const std::size_t every =
        is_last ? 1 : std::max<std::size_t>(1, (fits_.size() + enough_frames - 1) / enough_frames);
    Pool<std::unique_ptr<Scratch>> pool;
    // Many frames a thread, so that none waits long for another's last one, but no more than some
    // 64 MiB of planes.
    const std::size_t threads = executor_.concurrency();
    const std::size_t room = std::max<std::size_t>(1, most_pixels / extent_.area() / group);
    const std::size_t batch = group * (threads > 1 ? std::min(2 * threads, room) : 1);
    // Pixels of the deformed frames, for the mean.
    std::vector<AlignedBuffer<float>> whole(batch);
    for (auto& buffer : whole) buffer.reserve(fine_.stride() * extent_.height);
    for (std::size_t begin = 0; begin < fits_.size(); begin += batch) {
      const std::size_t end = std::min(begin + batch, fits_.size());
      const MovieView<const T> frames = movie_.read(begin, end);
      executor_.for_each(end - begin, [&](std::size_t k) {
        const std::size_t i = begin + k;
        if (!is_usable(i)) return;
        auto scratch = pool.take([&] { return std::make_unique<Scratch>(lattice, fit); });
        scratch->copies.clear();
        const FrameView<const T> view =
            scratch->copies.usable(frames[k], states_[i].has_holes, states_[i].filling);
        scratch->fitter.load(view, reference.level());
        const std::size_t step = ExpectedSize::nearest(sizes[i]);
        float* warped = is_whole ? whole[k].data() : scratch->warped.data();
        if (settings_.method == NonrigidMethod::patches) {
          scratch->fitter.by_patches(reference, step, number == 0, fits_[i], warped);
        } else {
          scratch->fitter(reference, step, fits_[i], warped);
        }
        flag(i, is_last);
        if (!is_whole && is_good(i) && i % every == 0) {
          const FrameView<float> out(whole[k].data(), extent_,
                                     static_cast<std::ptrdiff_t>(fine_.stride()), 1);
          scratch->warper(view, total(fits_[i]), out, false, SampleBorder::half_pixel,
                          std::numeric_limits<float>::quiet_NaN(), PixelRounding::none);
        }
        pool.give(std::move(scratch));
      });
      for (std::size_t first = begin; first < end; first += group) {
        std::vector<const float*> planes;
        for (std::size_t i = first; i < std::min(first + group, end); ++i) {
          if (is_good(i) && i % every == 0) planes.push_back(whole[i - begin].data());
        }
        mean_->add(planes, executor_);
      }
    }
  }

  /// A torn frame whose every part was found is none. One that fits nowhere is flagged.
  void flag(std::size_t i, bool is_last) {
    DeformationFit& fit = fits_[i];
    auto flags = static_cast<unsigned>(states_[i].flags);
    const bool is_found = fit.has_converged && fit.lost_cells == 0;
    if (is_found) flags &= ~static_cast<unsigned>(flag_torn);
    const bool is_lost = !fit.has_converged && is_last;
    flags = is_lost ? flags | flag_field_not_converged
                    : flags & ~static_cast<unsigned>(flag_field_not_converged);
    states_[i].flags = static_cast<std::uint16_t>(flags);
  }

  [[nodiscard]] std::vector<double> total(const DeformationFit& fit) const {
    std::vector<double> coefficients(coarse_.unknowns());
    coarse_.to_coefficients(fit.deviation, fit.shift, coefficients);
    return coefficients;
  }

  /// Of what frames agree on: the mean but for a few wild ones, the median, and how far from that
  /// most are, as a standard deviation.
  struct Usual {
    double mean = 0.0;
    double middle = 0.0;
    double deviation = 0.0;

    /// What is so far beyond is not usual.
    [[nodiscard]] double limit() const {
      return std::max(middle + unusual_deviations * deviation, 4.0 * least_size * least_size);
    }
  };
  [[nodiscard]] Usual usual_of(double DeformationFit::*square) const {
    std::vector<double> squares;
    for (std::size_t i = 0; i < fits_.size(); ++i) {
      if (is_good(i)) squares.push_back(fits_[i].*square);
    }
    if (squares.empty()) return {};
    std::sort(squares.begin(), squares.end());
    const std::size_t wild = squares.size() < 8 ? 0 : std::max<std::size_t>(1, squares.size() / 50);
    Usual usual;
    for (std::size_t i = 0; i + wild < squares.size(); ++i) usual.mean += squares[i];
    usual.mean = std::max(usual.mean / static_cast<double>(squares.size() - wild), 0.0);
    usual.middle = squares[squares.size() / 2];
    for (double& value : squares) value = std::fabs(value - usual.middle);
    usual.deviation = 1.4826 * median(std::move(squares));
    return usual;
  }

  /// How much the movie deforms, and which frames do so more than is usual.
  void judge(Deformation& result, std::vector<double>& sizes) {
    const Usual agreed = usual_of(&DeformationFit::agreed_square);
    const Usual held_back = usual_of(&DeformationFit::held_back_square);
    result.size = std::sqrt(agreed.mean);
    result.is_rigid = result.size < least_size && !settings_.expected;
    const double usual = settings_.expected.value_or(std::max(result.size, least_size));
    unusual_.assign(fits_.size(), false);
    for (std::size_t i = 0; i < fits_.size(); ++i) {
      if (fits_[i].deviation.empty()) continue;
      const double own = fits_[i].agreed_square;
      const bool is_large = own > std::max(agreed.limit(), unusual * unusual * agreed.mean);
      const bool is_held_back =
          fits_[i].held_back_square > std::max(held_back.limit(), least_held_back);
      unusual_[i] = is_large || is_held_back;
      // What is unusual is often of a part of the frame, where it is larger.
      sizes[i] =
          unusual_[i] ? part_of_frame * std::max(usual, std::sqrt(std::max(own, 0.0))) : usual;
    }
  }

  /// What good frames have in common is the template's shape, not their deformation: takes it away,
  /// and returns it.
  std::vector<double> centre() {
    const std::size_t n = coarse_.unknowns();
    std::vector<double> mean(n);
    double count = 0.0;
    for (std::size_t i = 0; i < fits_.size(); ++i) {
      if (!is_good(i)) continue;
      for (std::size_t k = 0; k < n; ++k) mean[k] += fits_[i].deviation[k];
      count += 1.0;
    }
    if (count == 0.0) return mean;
    for (double& value : mean) value /= count;
    for (DeformationFit& fit : fits_) {
      for (std::size_t k = 0; k < fit.deviation.size(); ++k) fit.deviation[k] -= mean[k];
    }
    return mean;
  }

  /// out = the mean of the deformed frames, C order; NaN where there is none.
  void full_mean(float* out) const {
    const std::size_t stride = fine_.stride();
    std::vector<float> mean(stride * extent_.height);
    mean_->mean(mean.data());
    for (std::size_t y = 0; y < extent_.height; ++y) {
      for (std::size_t x = 0; x < extent_.width; ++x) {
        out[y * extent_.width + x] = mean[y * stride + x] + static_cast<float>(level_);
      }
    }
  }

  /// The mean of the deformed frames, in the shape that `centre` left; NaN where no frame is.
  std::vector<float> shaped_mean(std::span<const double> common) const {
    std::vector<float> mean(extent_.area());
    full_mean(mean.data());
    std::vector<float> filled = mean;
    const auto level = static_cast<float>(usual_level(mean));
    for (float& pixel : filled) pixel = std::isfinite(pixel) ? pixel : level;
    // A pixel of the template at q is one of the new one at q + common(q), or nearly so.
    std::vector<double> coefficients(coarse_.unknowns());
    coarse_.to_coefficients(common, coefficients);
    for (double& value : coefficients) value = -value;
    std::vector<float> moved(extent_.area());
    SplineWarper warper(coarse_.grid(), extent_);
    warper(FrameView<const float>(filled.data(), extent_), coefficients,
           FrameView<float>(moved.data(), extent_), true, SampleBorder::nearest, 0.0F,
           PixelRounding::none);
    for (std::size_t k = 0; k < moved.size(); ++k) {
      if (!std::isfinite(mean[k])) moved[k] = mean[k];
    }
    return moved;
  }

  /// The same as a template, where it is believed.
  Template next_template(std::span<const double> common, std::span<const float> weights,
                         const DeformationLattice& lattice) const {
    const std::vector<float> mean = shaped_mean(common);
    const Area area = mean_->common(believed_share).inset(1) & Area::of(extent_).inset(1);
    return pooled({mean.data(), extent_}, area, weights, lattice);
  }

  static double usual_level(std::span<const float> mean) {
    double sum = 0.0;
    double count = 0.0;
    for (const float pixel : mean) {
      if (!std::isfinite(pixel)) continue;
      sum += static_cast<double>(pixel);
      count += 1.0;
    }
    return count > 0.0 ? sum / count : 0.0;
  }

  /// The fields of all frames. Those of frames that have none deviate as their neighbours do.
  void finish(Deformation& result) {
    const std::size_t n = coarse_.unknowns();
    const std::size_t frames = fits_.size();
    std::vector<std::vector<double>> deviations(frames);
    for (std::size_t i = 0; i < frames; ++i) {
      DeformationFit& fit = fits_[i];
      FrameDeformation& frame = result.frames[i];
      frame.similarity = fit.similarity;
      frame.has_patches = fit.has_patches;
      const bool keeps = (states_[i].flags & ~static_cast<unsigned>(flag_duplicate)) == 0;
      if (!keeps || fit.deviation.empty()) continue;
      // Where the movie is rigid, only frames that clearly deform do; the others are as they were.
      if (result.is_rigid && !is_unusual(i)) {
        if (was_torn_[i]) states_[i].flags |= flag_torn;
        deviations[i].assign(n, 0.0);
        continue;
      }
      frame.has_field = true;
      take_mean(fit);
      frame.shift = fit.shift;
      states_[i].fit.shift = fit.shift;
      deviations[i] = fit.deviation;
    }
    interpolate(deviations, result);
    result.coefficients.resize(frames * n);
    for (std::size_t i = 0; i < frames; ++i) {
      coarse_.to_coefficients(deviations[i], std::span(result.coefficients).subspan(i * n, n));
      result.frames[i].size =
          std::sqrt(std::max(mean_product(coarse_, deviations[i], deviations[i]), 0.0));
    }
  }

  /// What all of a frame has in common is a shift.
  void take_mean(DeformationFit& fit) const {
    const Extent corners = coarse_.corners();
    double mean[2] = {};
    for (std::size_t y = 0; y < corners.height; ++y) {
      for (std::size_t x = 0; x < corners.width; ++x) {
        for (std::size_t axis = 0; axis < 2; ++axis) {
          mean[axis] +=
              coarse_.at_corner(fit.deviation, y, x, axis) / static_cast<double>(corners.area());
        }
      }
    }
    for (std::size_t k = 0; k < fit.deviation.size(); ++k) fit.deviation[k] -= mean[k % 2];
    fit.shift += Shift{-mean[1], -mean[0]};
  }

  void interpolate(std::vector<std::vector<double>>& deviations, Deformation& result) const {
    const std::size_t n = coarse_.unknowns();
    const std::size_t frames = deviations.size();
    std::size_t before = frames;  // none
    std::size_t i = 0;
    while (i < frames) {
      if (!deviations[i].empty()) {
        before = i++;
        continue;
      }
      std::size_t after = i;
      while (after < frames && deviations[after].empty()) ++after;
      for (; i < after; ++i) {
        result.frames[i].is_interpolated = true;
        deviations[i].assign(n, 0.0);
        double t = 0.0;
        if (before == frames) {
          t = 1.0;
        } else if (after < frames) {
          t = static_cast<double>(i - before) / static_cast<double>(after - before);
        }
        for (std::size_t k = 0; k < n; ++k) {
          if (before < frames) deviations[i][k] += (1.0 - t) * deviations[before][k];
          if (after < frames) deviations[i][k] += t * deviations[after][k];
        }
      }
    }
  }

  [[nodiscard]] bool is_unusual(std::size_t i) const {
    return fits_[i].has_converged && !unusual_.empty() && unusual_[i];
  }

  MovieSource<T>& movie_;
  std::span<FrameState> states_;
  const NonrigidSettings& settings_;
  const Executor& executor_;
  Extent extent_;
  DeformationLattice coarse_;
  DeformationLattice fine_;
  DeformationPrior prior_;
  DeformationFitSettings fit_;
  std::vector<DeformationFit> fits_;
  std::vector<bool> was_torn_;
  std::vector<bool> unusual_;
  std::unique_ptr<DeformedMean> mean_;  // less `level_`
  double level_ = 0.0;
};

}  // namespace

void NonrigidSettings::validate(Extent extent) const {
  if (method == NonrigidMethod::none) return;
  if (!(spacing >= 8.0 && std::isfinite(spacing))) {
    throw_invalid("spacing", "a finite number of at least 8 px", spacing);
  }
  if (cells &&
      (cells->area() == 0 || cells->height > extent.height || cells->width > extent.width)) {
    throw_invalid("mesh_size", "at least 1 cell on each axis and no more than pixels",
                  to_string(*cells));
  }
  if (expected && !(*expected > 0.0 && std::isfinite(*expected))) {
    throw_invalid("expected", "a finite number above 0 px", *expected);
  }
  if (passes == 0) throw_invalid("passes", "at least 1", passes);
}

ControlGrid NonrigidSettings::grid(Extent extent) const {
  return cells ? ControlGrid::over(extent, *cells) : ControlGrid::with_spacing(extent, spacing);
}

template <Pixel T>
Deformation estimate_deformation(MovieSource<T>& movie, std::span<FrameState> states,
                                 FrameView<const float> mean, const Area& area,
                                 std::span<const float> weights, const NonrigidSettings& settings,
                                 const FitSettings& fit, double highpass, double lowpass,
                                 const Executor& executor) {
  return DeformationEstimator<T>(movie, states, settings, fit, executor)(mean, area, weights,
                                                                         highpass, lowpass);
}

void add_shifts(Deformation& deformation, std::span<Shift> shifts) {
  const std::size_t points = deformation.grid.points();
  for (std::size_t i = 0; i < shifts.size(); ++i) {
    double* frame = &deformation.coefficients[i * 2 * points];
    const FrameDeformation& known = deformation.frames[i];
    if (known.has_field) shifts[i] = known.shift;
    for (std::size_t k = 0; k < points; ++k) {
      frame[k] -= shifts[i].width;
      frame[points + k] -= shifts[i].height;
    }
  }
}

#define STILLSCOPE_INSTANTIATE(T)                                                            \
  template Deformation estimate_deformation(MovieSource<T>&, std::span<FrameState>,          \
                                            FrameView<const float>, const Area&,             \
                                            std::span<const float>, const NonrigidSettings&, \
                                            const FitSettings&, double, double, const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
