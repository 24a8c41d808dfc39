// SPDX-License-Identifier: GPL-3.0-or-later
/// Optical flow, the only use of OpenCV's module `video`.
#include "stillscope/quality/optical_flow.hpp"

#include <algorithm>
#include <limits>
#include <opencv2/core.hpp>
#include <opencv2/video/tracking.hpp>
#include <vector>

#include "stillscope/core/error.hpp"

namespace stillscope {
namespace {

/// A side below this [px] is not halved.
constexpr int least_side = 32;
/// The neighbourhood on which an image is taken for a quadratic [px], and its Gaussian weights.
constexpr int neighbourhood = 7;
constexpr double neighbourhood_sigma = 1.5;

cv::Mat1f copied(const FrameView<const float>& frame) {
  cv::Mat1f image(static_cast<int>(frame.height()), static_cast<int>(frame.width()));
  for (std::size_t y = 0; y < frame.height(); ++y) {
    float* row = image[static_cast<int>(y)];
    for (std::size_t x = 0; x < frame.width(); ++x) row[x] = frame(y, x);
  }
  return image;
}

/// Means of 2x2 pixels; an odd row or column at the end is left out.
cv::Mat1f halved(const cv::Mat1f& image) {
  cv::Mat1f half(image.rows / 2, image.cols / 2);
  for (int y = 0; y < half.rows; ++y) {
    const float* upper = image[2 * y];
    const float* lower = image[2 * y + 1];
    for (int x = 0; x < half.cols; ++x) {
      half(y, x) = 0.25F * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]);
    }
  }
  return half;
}

/// The flow of halved images as a start for images of this size.
cv::Mat2f doubled(const cv::Mat2f& flow, int rows, int columns) {
  cv::Mat2f start(rows, columns);
  for (int y = 0; y < rows; ++y) {
    const cv::Vec2f* from = flow[std::min(y / 2, flow.rows - 1)];
    for (int x = 0; x < columns; ++x) start(y, x) = 2.0F * from[std::min(x / 2, flow.cols - 1)];
  }
  return start;
}

}  // namespace

void optical_flow(const FrameView<const float>& reference, const FrameView<const float>& frame,
                  const FrameView<float>& rows, const FrameView<float>& columns,
                  const FlowSettings& settings) {
  const Extent extent = reference.extent();
  const std::size_t longest = std::numeric_limits<int>::max() / 4;
  if (extent.area() == 0 || extent.height > longest || extent.width > longest) {
    throw_invalid("reference", "an image with pixels that OpenCV can index", to_string(extent));
  }
  if (frame.extent() != extent) {
    throw_invalid("frame", to_string(extent), to_string(frame.extent()));
  }
  if (rows.extent() != extent) throw_invalid("rows", to_string(extent), to_string(rows.extent()));
  if (columns.extent() != extent) {
    throw_invalid("columns", to_string(extent), to_string(columns.extent()));
  }
  if (settings.window % 2 == 0 || settings.window > longest) {
    throw_invalid("window", "an odd number", settings.window);
  }
  if (settings.iterations == 0 || settings.iterations > longest) {
    throw_invalid("iterations", "at least 1", settings.iterations);
  }
  // Scales of our own: OpenCV's would be resized on its own threads.
  std::vector<cv::Mat1f> references{copied(reference)};
  std::vector<cv::Mat1f> frames{copied(frame)};
  while (references.size() <= settings.halvings &&
         std::min(references.back().rows, references.back().cols) >= 2 * least_side) {
    references.push_back(halved(references.back()));
    frames.push_back(halved(frames.back()));
  }
  cv::Mat2f flow;
  for (std::size_t scale = references.size(); scale-- > 0;) {
    const cv::Mat1f& from = references[scale];
    flow = flow.empty() ? cv::Mat2f(from.rows, from.cols, cv::Vec2f(0.0F, 0.0F))
                        : doubled(flow, from.rows, from.cols);
    cv::calcOpticalFlowFarneback(from, frames[scale], flow, 0.5, 0,
                                 static_cast<int>(settings.window),
                                 static_cast<int>(settings.iterations), neighbourhood,
                                 neighbourhood_sigma, cv::OPTFLOW_USE_INITIAL_FLOW);
  }
  for (std::size_t y = 0; y < extent.height; ++y) {
    const cv::Vec2f* row = flow[static_cast<int>(y)];
    for (std::size_t x = 0; x < extent.width; ++x) {
      rows(y, x) = row[x][1];
      columns(y, x) = row[x][0];
    }
  }
}

}  // namespace stillscope
