// SPDX-License-Identifier: GPL-3.0-or-later
/// The only file that knows NumPy's arrays: exact dtypes, strides honoured, never a hidden copy.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "stillscope/core/error.hpp"
#include "stillscope/core/types.hpp"
#include "stillscope/core/view.hpp"

namespace stillscope::python {

namespace py = pybind11;

inline void check_dims(const py::array& array, const char* name, py::ssize_t dims) {
  if (array.ndim() != dims) {
    throw_invalid(name, "an array of " + std::to_string(dims) + " dimensions", array.ndim());
  }
}

/// Stride along `axis` in elements.
inline std::ptrdiff_t element_stride(const py::array& array, const char* name, py::ssize_t axis) {
  const py::ssize_t size = array.itemsize();
  if (array.strides(axis) % size != 0 ||
      reinterpret_cast<std::uintptr_t>(array.data()) % static_cast<std::uintptr_t>(size) != 0) {
    throw_invalid(name, "an aligned array", "one whose items are not");
  }
  return array.strides(axis) / size;
}

inline std::size_t length(const py::array& array, py::ssize_t axis) {
  return static_cast<std::size_t>(array.shape(axis));
}

inline Extent frame_extent(const py::array& array) {
  return {length(array, array.ndim() - 2), length(array, array.ndim() - 1)};
}

/// The pixels, for reading (T const) or writing (an array that is writable).
template <class T>
T* pixels(const py::array& array, const char* name) {
  if constexpr (std::is_const_v<T>) {
    return static_cast<T*>(array.data());
  } else {
    if (!array.writeable()) throw_invalid(name, "a writable array", "a read-only one");
    return static_cast<T*>(const_cast<void*>(array.data()));
  }
}

template <class T>
FrameView<T> frame_view(const py::array& array, const char* name) {
  check_dims(array, name, 2);
  return {pixels<T>(array, name), frame_extent(array), element_stride(array, name, 0),
          element_stride(array, name, 1)};
}

template <class T>
MovieView<T> movie_view(const py::array& array, const char* name) {
  check_dims(array, name, 3);
  return {pixels<T>(array, name),
          length(array, 0),
          frame_extent(array),
          element_stride(array, name, 0),
          element_stride(array, name, 1),
          element_stride(array, name, 2)};
}

template <class T>
StackView<T> stack_view(const py::array& array, const char* name) {
  check_dims(array, name, 4);
  if (length(array, 1) != StackView<T>::slots) {
    throw_invalid(name, "three slots along axis 1", length(array, 1));
  }
  return {pixels<T>(array, name),
          length(array, 0),
          frame_extent(array),
          element_stride(array, name, 0),
          element_stride(array, name, 1),
          element_stride(array, name, 2),
          element_stride(array, name, 3)};
}

/// Shifts from a float64 array (n, 2).
inline ShiftList shift_list(const py::array_t<double>& array, const char* name) {
  check_dims(array, name, 2);
  if (array.shape(1) != 2) throw_invalid(name, "two columns (height, width)", array.shape(1));
  ShiftList shifts(length(array, 0));
  const auto rows = array.unchecked<2>();
  for (py::ssize_t i = 0; i < rows.shape(0); ++i) {
    shifts[static_cast<std::size_t>(i)] = {rows(i, 0), rows(i, 1)};
  }
  return shifts;
}

/// A new float64 array (n, 2).
inline py::array_t<double> shift_array(const ShiftList& shifts) {
  py::array_t<double> array({static_cast<py::ssize_t>(shifts.size()), py::ssize_t{2}});
  auto rows = array.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < rows.shape(0); ++i) {
    rows(i, 0) = shifts[static_cast<std::size_t>(i)].height;
    rows(i, 1) = shifts[static_cast<std::size_t>(i)].width;
  }
  return array;
}

/// Calls `visit(std::type_identity<T>)` with the pixel type T of `array`; `TypeError` for others.
template <class Visit>
auto visit_pixel_type(const py::array& array, const char* name, Visit&& visit) {
#define STILLSCOPE_TRY(T) \
  if (py::isinstance<py::array_t<T>>(array)) return visit(std::type_identity<T>{});
  STILLSCOPE_FOR_EACH_PIXEL(STILLSCOPE_TRY)
#undef STILLSCOPE_TRY
  throw py::type_error(std::string(name) +
                       ": expected uint8, uint16, int16, float32 or float64 in native byte order, "
                       "got " +
                       py::str(array.dtype()).cast<std::string>());
}

/// Refuses an array that is not of the pixel type T.
template <Pixel T>
void check_dtype(const py::array& array, const char* name) {
  if (!py::isinstance<py::array_t<T>>(array)) {
    throw py::type_error(std::string(name) + ": expected dtype " +
                         py::str(py::dtype::of<T>()).cast<std::string>() + ", got " +
                         py::str(array.dtype()).cast<std::string>());
  }
}

/// The entry of `choices` with this name.
template <class Choice, std::size_t n>
Choice choose(const std::pair<const char*, Choice> (&choices)[n], const std::string& given,
              const char* name) {
  std::string expected;
  for (const auto& [text, value] : choices) {
    if (given == text) return value;
    expected += (expected.empty() ? "'" : " or '") + std::string(text) + "'";
  }
  throw_invalid(name, expected, "'" + given + "'");
}

}  // namespace stillscope::python
