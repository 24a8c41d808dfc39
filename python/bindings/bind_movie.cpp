// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"
#include "bindings.hpp"
#include "estimate_values.hpp"
#include "nonrigid_values.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/movie/filter_movie.hpp"
#include "stillscope/movie/residual_motion.hpp"
#include "stillscope/quality/frame_flags.hpp"

namespace stillscope::python {
namespace {

/// Frames that a Python function `read(begin, end)` returns. Called without the GIL.
template <Pixel T>
class PythonSource final : public MovieSource<T> {
 public:
  PythonSource(py::function read, std::size_t frames, Extent extent)
      : read_(std::move(read)), frames_(frames), extent_(extent) {}

  [[nodiscard]] std::size_t size() const override { return frames_; }
  [[nodiscard]] Extent extent() const override { return extent_; }
  [[nodiscard]] MovieView<const T> read(std::size_t begin, std::size_t end) override {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    held_ = py::array();  // before there are two blocks
    held_ = read_(begin, end).template cast<py::array>();
    check_dtype<T>(held_, "movie");
    const auto view = movie_view<const T>(held_, "movie");
    if (view.size() != end - begin || view.extent() != extent_) {
      throw_invalid("movie",
                    std::to_string(end - begin) + " frames of " + to_string(extent_) + " from " +
                        std::to_string(begin) + " on",
                    std::to_string(view.size()) + " of " + to_string(view.extent()));
    }
    return view;
  }

 private:
  py::function read_;
  std::size_t frames_;
  Extent extent_;
  py::array held_;
};

/// A Python object with `is_due()`, `save(bytes)` and `load()`, which returns bytes or None. Called
/// without the GIL.
class PythonCheckpoint final : public Checkpoint {
 public:
  explicit PythonCheckpoint(py::object object) : object_(std::move(object)) {}

  [[nodiscard]] bool is_due() override {
    const py::gil_scoped_acquire gil;
    return object_.attr("is_due")().cast<bool>();
  }
  void save(std::span<const std::byte> state) override {
    const py::gil_scoped_acquire gil;
    object_.attr("save")(py::memoryview::from_memory(state.data(), py::ssize_t_cast(state.size())));
  }
  [[nodiscard]] std::span<const std::byte> load() override {
    const py::gil_scoped_acquire gil;
    loaded_ = object_.attr("load")();
    if (loaded_.is_none()) return {};
    const auto bytes = loaded_.cast<py::bytes>();
    const std::string_view view = bytes;
    return std::as_bytes(std::span(view.data(), view.size()));
  }

 private:
  py::object object_;
  py::object loaded_;
};

/// Memory of an array that the options name, or nothing.
template <class T>
std::span<const T> optional_span(const py::dict& options, const char* name) {
  const py::object value = options[name];
  if (value.is_none()) return {};
  // Of exactly this type, and the dict keeps it: never a copy, which would be gone.
  const auto array = value.cast<py::array>();
  if (!py::isinstance<py::array_t<T, py::array::c_style>>(array)) {
    throw py::type_error(std::string(name) + ": expected a contiguous array of dtype " +
                         py::str(py::dtype::of<T>()).cast<std::string>());
  }
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

/// From a dict that has all of them (`FilterSettings` of the stubs).
FilterSettings filter_settings(const py::dict& options) {
  FilterSettings settings;
  settings.smooth = options["smooth"].cast<double>();
  settings.background = options["background"].cast<double>();
  settings.fixed_pattern = options["fixed_pattern"].cast<bool>();
  using Bounds = std::array<std::ptrdiff_t, 4>;
  if (const auto bounds = options["region"].cast<std::optional<Bounds>>()) {
    settings.region = Area{(*bounds)[0], (*bounds)[1], (*bounds)[2], (*bounds)[3]};
  }
  return settings;
}

EstimateSettings estimate_settings(const py::dict& options) {
  EstimateSettings settings;
  settings.filter = filter_settings(options["filter"].cast<py::dict>());
  settings.tree = chunk_settings(options["tree"].cast<py::dict>());
  settings.chunk = options["chunk"].cast<std::size_t>();
  settings.refine.passes = options["refine"].cast<std::size_t>();
  settings.refine.has_brightness = options["brightness"].cast<bool>();
  settings.refine.robust = options["robust"].cast<double>();
  settings.refine.highpass = options["highpass"].cast<double>();
  settings.refine.lowpass = options["lowpass"].cast<double>();
  settings.nonrigid = nonrigid_settings(options["nonrigid"]);
  settings.max_shift = options["max_shift"].cast<std::optional<double>>();
  settings.bad_frames = optional_span<std::uint16_t>(options, "bad_frames");
  settings.weights = optional_span<float>(options, "weights");
  return settings;
}

py::object plane_array(const AlignedBuffer<float>& plane, Extent extent) {
  if (plane.empty()) return py::none();
  py::array_t<float> array(
      {static_cast<py::ssize_t>(extent.height), static_cast<py::ssize_t>(extent.width)});
  std::copy_n(plane.data(), extent.area(), array.mutable_data());
  return std::move(array);
}

/// One array a property, one entry a frame.
py::dict quality_dict(const std::vector<FrameQuality>& frames) {
  py::dict dict;
  const auto add = [&]<class Value>(const char* name, Value FrameQuality::*member) {
    py::array_t<Value> array(static_cast<py::ssize_t>(frames.size()));
    std::transform(frames.begin(), frames.end(), array.mutable_data(),
                   [&](const FrameQuality& frame) { return frame.*member; });
    dict[name] = array;
  };
  add("similarity_before", &FrameQuality::similarity_before);
  add("similarity", &FrameQuality::similarity);
  add("peak", &FrameQuality::peak);
  add("ratio", &FrameQuality::ratio);
  add("residual", &FrameQuality::residual);
  add("uncertainty", &FrameQuality::uncertainty);
  add("gain", &FrameQuality::gain);
  add("flags", &FrameQuality::flags);
  add("is_interpolated", &FrameQuality::is_interpolated);
  return dict;
}

py::dict estimate_motion_py(const py::function& read, const py::dtype& dtype, std::size_t frames,
                            std::size_t height, std::size_t width, const py::dict& options,
                            std::optional<std::size_t> n_threads, const py::object& checkpoint) {
  const EstimateSettings settings = estimate_settings(options);
  std::optional<PythonCheckpoint> kept;
  if (!checkpoint.is_none()) kept.emplace(checkpoint);
  const auto executor = make_executor(n_threads);
  const Extent extent{height, width};
  const MovieMotion motion =
      visit_pixel_type(py::array(dtype, std::vector<py::ssize_t>{0}), "movie", [&](auto type) {
        PythonSource<typename decltype(type)::type> source(read, frames, extent);
        const py::gil_scoped_release release;
        return estimate_motion(source, settings, *executor, kept ? &*kept : nullptr);
      });
  const auto& region = settings.filter.region;
  const Extent part = region ? Extent{region->height(), region->width()} : extent;
  py::dict dict = estimate_dict(motion, settings.tree, part);
  dict["mean"] = plane_array(motion.mean, part);
  dict["plain_mean"] = plane_array(motion.plain_mean, part);
  dict["fixed_pattern"] = plane_array(motion.fixed_pattern, part);
  dict["common"] = py::make_tuple(motion.common.top, motion.common.bottom, motion.common.left,
                                  motion.common.right);
  dict["passes"] = motion.passes;
  dict["moved"] = motion.moved;
  dict["frames"] = quality_dict(motion.frames);
  dict["deformation"] = deformation_dict(motion.deformation);
  return dict;
}

py::array_t<float> filter_movie_py(
    const py::array& movie, const py::dict& options,
    const std::optional<py::array_t<float, py::array::c_style>>& pattern,
    std::optional<std::size_t> n_threads) {
  const FilterSettings settings = filter_settings(options);
  const auto executor = make_executor(n_threads);
  return visit_pixel_type(movie, "movie", [&](auto type) {
    using T = typename decltype(type)::type;
    const auto view = movie_view<const T>(movie, "movie");
    settings.validate(view.extent());
    const Extent part = settings.region
                            ? Extent{settings.region->height(), settings.region->width()}
                            : view.extent();
    py::array_t<float> out({static_cast<py::ssize_t>(view.size()),
                            static_cast<py::ssize_t>(part.height),
                            static_cast<py::ssize_t>(part.width)});
    float* target = out.mutable_data();
    const float* removed = nullptr;
    if (pattern) {
      const auto plane = frame_view<const float>(*pattern, "pattern");
      if (plane.extent() != part) {
        throw_invalid("pattern", to_string(part), to_string(plane.extent()));
      }
      removed = pattern->data();
    }
    {
      const py::gil_scoped_release release;
      filter_movie<T>(view, settings, removed, target, *executor);
    }
    return out;
  });
}

/// Refuses settings as `estimate_motion` would, before any frame is read.
void check_settings_py(const py::dict& options, std::size_t frames, std::size_t height,
                       std::size_t width) {
  estimate_settings(options).validate(frames, {height, width});
}

py::array_t<double> residual_motion_py(const py::function& read, const py::dtype& dtype,
                                       std::size_t frames, std::size_t height, std::size_t width,
                                       const std::optional<py::array_t<double>>& shifts,
                                       const std::optional<py::array>& reference,
                                       std::size_t binning, std::optional<std::size_t> n_threads) {
  const Extent extent{height, width};
  ResidualSettings settings;
  settings.binning = binning;
  if (reference) {
    check_dtype<float>(*reference, "template");
    settings.reference = frame_view<const float>(*reference, "template");
  }
  const ShiftList list = shifts ? shift_list(*shifts, "shifts") : ShiftList{};
  const auto executor = make_executor(n_threads);
  const std::vector<double> lengths =
      visit_pixel_type(py::array(dtype, std::vector<py::ssize_t>{0}), "movie", [&](auto type) {
        PythonSource<typename decltype(type)::type> source(read, frames, extent);
        const py::gil_scoped_release release;
        return residual_motion(source, list, settings, *executor);
      });
  py::array_t<double> array(static_cast<py::ssize_t>(lengths.size()));
  std::copy(lengths.begin(), lengths.end(), array.mutable_data());
  return array;
}

}  // namespace

void bind_movie(py::module_& module) {
  module.def("filter_movie", &filter_movie_py, py::arg("movie"), py::arg("settings"),
             py::arg("pattern"), py::arg("n_threads"),
             "A movie as an estimate looks at it, float32.");
  module.def("estimate_motion", &estimate_motion_py, py::arg("read"), py::arg("dtype"),
             py::arg("frames"), py::arg("height"), py::arg("width"), py::arg("settings"),
             py::arg("n_threads"), py::arg("checkpoint"),
             "Motion of a movie whose frames `read(begin, end)` returns; shifts in px.");
  module.def("check_settings", &check_settings_py, py::arg("settings"), py::arg("frames"),
             py::arg("height"), py::arg("width"),
             "Refuses settings that `estimate_motion` would refuse for a movie of this size.");
  module.def("residual_motion", &residual_motion_py, py::arg("read"), py::arg("dtype"),
             py::arg("frames"), py::arg("height"), py::arg("width"), py::arg("shifts"),
             py::arg("template"), py::arg("binning"), py::arg("n_threads"),
             "RMS optical flow [px] from a template to each moved frame of a movie.");
  py::list names;
  for (const char* name : frame_flag_names) names.append(name);
  module.attr("FRAME_FLAGS") = py::tuple(names);
}

}  // namespace stillscope::python
