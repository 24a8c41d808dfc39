// SPDX-License-Identifier: GPL-3.0-or-later
/// Residual motion: frames are moved, binned and compared with a template by optical flow.
#include "stillscope/movie/residual_motion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "stillscope/core/error.hpp"
#include "stillscope/quality/frame_flags.hpp"
#include "stillscope/quality/optical_flow.hpp"
#include "stillscope/refine/coverage.hpp"
#include "stillscope/refine/mean_template.hpp"
#include "stillscope/tree/frame_copies.hpp"

namespace stillscope {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
/// Standard deviation of what is compared: the flow takes less than 1 for flat.
constexpr double contrast = 50.0;
/// A template of our own is believed where this share of the frames lies.
constexpr double believed_share = 0.5;
constexpr std::size_t binned_side = 112;

/// Frames read at once: whole groups of the mean, about 16 million pixels.
std::size_t block_size(Extent extent) {
  constexpr std::size_t group = MeanTemplate::group;
  constexpr std::size_t pixels = std::size_t{1} << 24;
  return std::clamp<std::size_t>(pixels / extent.area() / group, 1, 8) * group;
}

/// Means of squares of pixels, over an area of whole squares.
struct BinnedImage {
  Area area;  ///< In squares.
  std::vector<float> values;

  [[nodiscard]] float at(std::ptrdiff_t y, std::ptrdiff_t x) const {
    return values[static_cast<std::size_t>(y - area.top) * area.width() +
                  static_cast<std::size_t>(x - area.left)];
  }
};

/// The squares that lie in an area of pixels as a whole.
Area whole_squares(const Area& pixels, std::size_t binning) {
  const auto side = static_cast<std::ptrdiff_t>(binning);
  return {(pixels.top + side - 1) / side, pixels.bottom / side, (pixels.left + side - 1) / side,
          pixels.right / side};
}

/// Bins rows that come from the top down: `row(y, out)` writes row `y` of the image, `width` long.
template <class Row>
BinnedImage binned(const Area& area, std::size_t binning, std::size_t width, Row&& row) {
  BinnedImage image{area, std::vector<float>(area.size(), 0.0F)};
  std::vector<float> pixels(width);
  const float share = 1.0F / static_cast<float>(binning * binning);
  for (std::size_t i = 0; i < area.height(); ++i) {
    float* out = image.values.data() + i * area.width();
    for (std::size_t k = 0; k < binning; ++k) {
      row((static_cast<std::size_t>(area.top) + i) * binning + k, pixels.data());
      const float* from = pixels.data() + static_cast<std::size_t>(area.left) * binning;
      for (std::size_t j = 0; j < area.width(); ++j) {
        float sum = 0.0F;
        for (std::size_t l = 0; l < binning; ++l) sum += from[j * binning + l];
        out[j] += share * sum;
      }
    }
  }
  return image;
}

/// The rectangle of all finite squares.
Area finite_area(const BinnedImage& image) {
  Area found{image.area.bottom, image.area.top, image.area.right, image.area.left};
  for (std::ptrdiff_t y = image.area.top; y < image.area.bottom; ++y) {
    for (std::ptrdiff_t x = image.area.left; x < image.area.right; ++x) {
      if (!std::isfinite(image.at(y, x))) continue;
      found = {std::min(found.top, y), std::max(found.bottom, y + 1), std::min(found.left, x),
               std::max(found.right, x + 1)};
    }
  }
  return found;
}

/// Brings the squares that count to a mean of 0 and the contrast of the flow; 0 in the others.
/// False where they have no contrast.
bool normalise(std::vector<float>& values, const std::vector<bool>& counts) {
  double n = 0.0;
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!counts[i]) continue;
    n += 1.0;
    sum += static_cast<double>(values[i]);
  }
  const double mean = n > 0.0 ? sum / n : 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!counts[i]) continue;
    const double difference = static_cast<double>(values[i]) - mean;
    squares += difference * difference;
  }
  const double factor = contrast / std::sqrt(squares / n);
  if (!(squares > 0.0 && std::isfinite(factor))) return false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] =
        counts[i] ? static_cast<float>(factor * (static_cast<double>(values[i]) - mean)) : 0.0F;
  }
  return true;
}

/// Compares frames with the template; one object a thread.
template <Pixel T>
class FlowMeter {
 public:
  double operator()(const FrameView<const T>& frame, const Shift& shift,
                    const BinnedImage& reference, std::size_t binning) {
    const Translation translation(shift, frame.extent());
    const Area area = whole_squares(covered_by(translation), binning) & reference.area;
    if (area.is_empty() || std::min(area.height(), area.width()) < ResidualSettings::least_side) {
      return unknown;
    }
    warper_.begin(frame, translation, 0.0F);
    BinnedImage moved =
        binned(area, binning, frame.width(), [&](std::size_t y, float* out) { warper_(y, out); });
    std::vector<float> expected(area.size());
    std::vector<bool> counts(area.size());
    std::size_t at = 0;
    for (std::ptrdiff_t y = area.top; y < area.bottom; ++y) {
      for (std::ptrdiff_t x = area.left; x < area.right; ++x, ++at) {
        expected[at] = reference.at(y, x);
        counts[at] = std::isfinite(expected[at]) && std::isfinite(moved.values[at]);
      }
    }
    if (!normalise(expected, counts) || !normalise(moved.values, counts)) return unknown;
    const Extent extent{area.height(), area.width()};
    rows_.resize(area.size());
    columns_.resize(area.size());
    optical_flow({expected.data(), extent}, {moved.values.data(), extent}, {rows_.data(), extent},
                 {columns_.data(), extent});
    double n = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < area.size(); ++i) {
      if (!counts[i]) continue;
      const auto height = static_cast<double>(rows_[i]);
      const auto width = static_cast<double>(columns_[i]);
      n += 1.0;
      squares += height * height + width * width;
    }
    return static_cast<double>(binning) * std::sqrt(squares / n);
  }

 private:
  RowWarper<T> warper_;
  std::vector<float> rows_;
  std::vector<float> columns_;
};

/// The mean of the moved frames, not finite where less than half of them lie.
template <Pixel T>
AlignedBuffer<float> moved_mean(MovieSource<T>& movie, std::span<const Shift> shifts,
                                const Executor& executor) {
  constexpr std::size_t group = MeanTemplate::group;
  const Extent extent = movie.extent();
  MeanTemplate mean(extent);
  FrameCopies<T> copies;
  const std::size_t block = block_size(extent);
  for (std::size_t begin = 0; begin < movie.size(); begin += block) {
    const MovieView<const T> view = movie.read(begin, std::min(begin + block, movie.size()));
    for (std::size_t first = 0; first < view.size(); first += group) {
      const std::size_t size = std::min(group, view.size() - first);
      std::vector<FrameStatistics> statistics(size);
      executor.for_each(size, [&](std::size_t k) {
        statistics[k] = frame_statistics<T>(view[first + k], nullptr);
      });
      copies.clear();
      std::vector<RegisteredFrame<T>> frames;
      for (std::size_t k = 0; k < size; ++k) {
        if (!statistics[k].has_finite) continue;
        const FrameView<const T> frame = view[first + k];
        frames.push_back({copies.usable(frame, statistics[k].non_finite > 0, statistics[k].mean),
                          shifts.empty() ? Shift{} : shifts[begin + first + k]});
      }
      mean.add<T>(frames, executor);
    }
  }
  AlignedBuffer<float> plane(extent.area());
  mean.mean(plane.data());
  const Area believed = mean.common(believed_share);
  for (std::size_t i = 0; i < extent.area(); ++i) {
    const auto y = static_cast<std::ptrdiff_t>(i / extent.width);
    const auto x = static_cast<std::ptrdiff_t>(i % extent.width);
    const bool is_believed =
        y >= believed.top && y < believed.bottom && x >= believed.left && x < believed.right;
    if (!is_believed) plane.data()[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return plane;
}

}  // namespace

std::size_t ResidualSettings::binning_of(Extent extent) const {
  if (binning > 0) return binning;
  return std::max<std::size_t>(1, std::min(extent.height, extent.width) / binned_side);
}

void ResidualSettings::validate(Extent extent) const {
  const std::size_t side = binning_of(extent);
  if (std::min(extent.height, extent.width) / side < least_side) {
    throw_invalid("binning",
                  "at least " + std::to_string(least_side) + " binned px on each axis of " +
                      to_string(extent) + " px",
                  side);
  }
  if (reference.data() != nullptr && reference.extent() != extent) {
    throw_invalid("template", to_string(extent), to_string(reference.extent()));
  }
}

template <Pixel T>
std::vector<double> residual_motion(MovieSource<T>& movie, std::span<const Shift> shifts,
                                    const ResidualSettings& settings, const Executor& executor) {
  const Extent extent = movie.extent();
  if (movie.size() == 0) throw_invalid("movie", "at least one frame", "none");
  if (!shifts.empty() && shifts.size() != movie.size()) {
    throw_invalid("shifts", std::to_string(movie.size()) + " shifts, one a frame", shifts.size());
  }
  settings.validate(extent);
  const std::size_t binning = settings.binning_of(extent);

  FrameView<const float> reference = settings.reference;
  AlignedBuffer<float> mean;
  if (reference.data() == nullptr) {
    mean = moved_mean<T>(movie, shifts, executor);
    reference = {mean.data(), extent};
  }
  const BinnedImage whole = binned(whole_squares(Area::of(extent), binning), binning, extent.width,
                                   [&](std::size_t y, float* out) {
                                     for (std::size_t x = 0; x < extent.width; ++x) {
                                       out[x] = reference(y, x);
                                     }
                                   });
  BinnedImage target{finite_area(whole), {}};
  for (std::ptrdiff_t y = target.area.top; y < target.area.bottom; ++y) {
    for (std::ptrdiff_t x = target.area.left; x < target.area.right; ++x) {
      target.values.push_back(whole.at(y, x));
    }
  }

  std::vector<double> lengths(movie.size());
  Pool<std::unique_ptr<FlowMeter<T>>> pool;
  const std::size_t block = block_size(extent);
  for (std::size_t begin = 0; begin < movie.size(); begin += block) {
    const MovieView<const T> view = movie.read(begin, std::min(begin + block, movie.size()));
    executor.for_each(view.size(), [&](std::size_t k) {
      auto meter = pool.take([] { return std::make_unique<FlowMeter<T>>(); });
      const Shift shift = shifts.empty() ? Shift{} : shifts[begin + k];
      lengths[begin + k] = (*meter)(view[k], shift, target, binning);
      pool.give(std::move(meter));
    });
  }
  return lengths;
}

template <Pixel T>
std::vector<double> residual_motion(const MovieView<const T>& movie, std::span<const Shift> shifts,
                                    const ResidualSettings& settings, const Executor& executor) {
  ViewSource<T> source(movie);
  return residual_motion<T>(source, shifts, settings, executor);
}

#define STILLSCOPE_INSTANTIATE(T)                                                                 \
  template std::vector<double> residual_motion(MovieSource<T>&, std::span<const Shift>,           \
                                               const ResidualSettings&, const Executor&);         \
  template std::vector<double> residual_motion(const MovieView<const T>&, std::span<const Shift>, \
                                               const ResidualSettings&, const Executor&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

}  // namespace stillscope
