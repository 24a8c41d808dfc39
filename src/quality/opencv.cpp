// SPDX-License-Identifier: GPL-3.0-or-later
/// The only code that knows OpenCV, beside optical_flow.cpp. None of the functions used here starts
/// threads of its own in the versions that distributions ship (a test counts them), so no global
/// setting of OpenCV's is touched.
#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "stillscope/core/error.hpp"
#include "stillscope/quality/adaptive_mask.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/quality/match_template.hpp"

namespace stillscope {
namespace {

/// A copy of `frame`, of the values of its pixels, in single precision with a border of zeros.
template <Pixel T>
cv::Mat1f padded(const FrameView<const T>& frame, std::size_t border,
                 const PixelScale& scale = {}) {
  const std::size_t longest = std::numeric_limits<int>::max() / 4;
  if (border > longest || frame.height() > longest || frame.width() > longest) {
    throw_invalid("max_sh", "a padded frame that OpenCV can index", border);
  }
  cv::Mat1f image(static_cast<int>(frame.height() + 2 * border),
                  static_cast<int>(frame.width() + 2 * border), 0.0F);
  for (std::size_t y = 0; y < frame.height(); ++y) {
    float* row = image.ptr<float>(static_cast<int>(y + border)) + border;
    for (std::size_t x = 0; x < frame.width(); ++x) {
      row[x] = static_cast<float>(scale.offset + scale.step * static_cast<double>(frame(y, x)));
    }
  }
  return image;
}

void check_pixels(std::string_view name, Extent extent) {
  if (extent.area() == 0) throw_invalid(name, "a frame with pixels", to_string(extent));
}

/// Vertex of the quadratic that fits `line` round `peak` best.
double fitted_vertex(const std::vector<float>& line, int peak) {
  constexpr int reach = 5;
  const int first = std::max(0, peak - reach);
  const int count = std::min(static_cast<int>(line.size()), peak + reach + 1) - first;
  if (count < 3) return peak;
  Eigen::MatrixX3d powers(count, 3);
  Eigen::VectorXd values(count);
  for (int k = 0; k < count; ++k) {
    const double x = first + k - peak;  // about the peak: well conditioned
    powers.row(k) << 1.0, x, x * x;
    values[k] = line[static_cast<std::size_t>(first + k)];
  }
  const Eigen::Vector3d fit = powers.colPivHouseholderQr().solve(values);
  return fit[2] == 0.0 ? peak : peak - fit[1] / (2.0 * fit[2]);
}

/// The local maximum nearest to `centre`, the first of equals; there is one, the highest value.
cv::Point nearest_maximum(const cv::Mat1f& values, const cv::Point& centre) {
  cv::Mat1f dilated;
  cv::dilate(values, dilated, cv::Mat());
  cv::Point best;
  long long distance = std::numeric_limits<long long>::max();
  for (int y = 0; y < values.rows; ++y) {
    for (int x = 0; x < values.cols; ++x) {
      const long long dy = y - centre.y;
      const long long dx = x - centre.x;
      if (values(y, x) == dilated(y, x) && dy * dy + dx * dx < distance) {
        distance = dy * dy + dx * dx;
        best = {x, y};
      }
    }
  }
  return best;
}

}  // namespace

template <Pixel T>
double circularity(const FrameView<const T>& frame, std::size_t max_sh, const PixelScale& scale) {
  check_pixels("frame", frame.extent());
  cv::Mat1f difference;
  cv::matchTemplate(padded(frame, max_sh, scale), padded(frame, 0, scale), difference,
                    cv::TM_SQDIFF_NORMED);
  const cv::Mat alike = difference < 1.0F;
  std::vector<std::vector<cv::Point>> contours;
  cv::findContours(alike, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
  if (contours.size() != 1) return 0.0;
  const double perimeter = cv::arcLength(contours.front(), true);
  if (perimeter == 0.0) return 0.0;
  return 4.0 * std::numbers::pi * cv::contourArea(contours.front()) / (perimeter * perimeter);
}

#define STILLSCOPE_INSTANTIATE(T) \
  template double circularity<T>(const FrameView<const T>&, std::size_t, const PixelScale&);
STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_INSTANTIATE)
#undef STILLSCOPE_INSTANTIATE

Shift match_template(const FrameView<const float>& src, const FrameView<const float>& dst,
                     const MatchSettings& settings) {
  check_pixels("src", src.extent());
  check_pixels("dst", dst.extent());
  const cv::Mat1f scene = padded(dst, settings.max_sh);
  const cv::Mat1f patch = padded(src, 0);
  if (patch.rows > scene.rows || patch.cols > scene.cols) {
    throw_invalid("src", "a frame that fits into dst padded by max_sh", to_string(src.extent()));
  }
  cv::Mat1f coefficient;
  cv::matchTemplate(scene, patch, coefficient, cv::TM_CCOEFF_NORMED);
  double lowest = 0.0;
  double highest = 0.0;
  cv::Point peak;
  cv::minMaxLoc(coefficient, &lowest, &highest, nullptr, &peak);
  if (lowest == highest) return {};
  const cv::Point centre(coefficient.cols / 2, coefficient.rows / 2);
  if (settings.local) peak = nearest_maximum(coefficient, centre);
  double y = peak.y;
  double x = peak.x;
  if (settings.subpixel) {
    y = fitted_vertex(cv::Mat1f(coefficient.col(peak.x)), peak.y);
    x = fitted_vertex(cv::Mat1f(coefficient.row(peak.y)), peak.x);
  }
  return {centre.y - y, centre.x - x};
}

void adaptive_mask(const FrameView<const std::uint8_t>& frame, double threshold, int window,
                   const FrameView<std::uint8_t>& mask) {
  check_pixels("frame", frame.extent());
  if (window <= 1 || window % 2 == 0) throw_invalid("window", "an odd number above 1", window);
  if (!std::isfinite(threshold)) throw_invalid("threshold", "a finite number", threshold);
  if (mask.extent() != frame.extent()) {
    throw_invalid("mask", to_string(frame.extent()), to_string(mask.extent()));
  }
  cv::Mat1b image(static_cast<int>(frame.height()), static_cast<int>(frame.width()));
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      image(y, x) = frame(static_cast<std::size_t>(y), static_cast<std::size_t>(x));
    }
  }
  cv::Mat1b above;
  cv::adaptiveThreshold(image, above, 1.0, cv::ADAPTIVE_THRESH_MEAN_C, cv::THRESH_BINARY, window,
                        -threshold);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      mask(static_cast<std::size_t>(y), static_cast<std::size_t>(x)) = above(y, x);
    }
  }
}

}  // namespace stillscope
