// SPDX-License-Identifier: GPL-3.0-or-later
/// Catch2, version 2 or 3, and how it prints our types.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <iomanip>
#include <sstream>
#include <stdexcept>
#include <string>

#include "stillscope/core/error.hpp"
#include "stillscope/core/types.hpp"

namespace Catch {

template <>
struct StringMaker<stillscope::Extent> {
  static std::string convert(const stillscope::Extent& extent) {
    return stillscope::to_string(extent);
  }
};

template <>
struct StringMaker<stillscope::Shift> {
  static std::string convert(const stillscope::Shift& shift) {
    std::ostringstream text;
    text << std::setprecision(17) << '(' << shift.height << ", " << shift.width << ')';
    return text.str();
  }
};

template <>
struct StringMaker<stillscope::PixelOffset> {
  static std::string convert(const stillscope::PixelOffset& offset) {
    return "(" + std::to_string(offset.height) + ", " + std::to_string(offset.width) + ")";
  }
};

}  // namespace Catch

namespace stillscope::test {

/// The message with which `call()` refuses its argument; empty where it does not.
template <class Call>
[[nodiscard]] std::string refusal(Call&& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return {};
}

}  // namespace stillscope::test

/// `call` throws `std::invalid_argument`, in the library's form, about the argument `name`.
#define CHECK_REFUSES(name, ...)                                                           \
  do {                                                                                     \
    const std::string refusal_message = ::stillscope::test::refusal([&] { __VA_ARGS__; }); \
    INFO("refusal: " << refusal_message);                                                  \
    CHECK(refusal_message.rfind(std::string(name) + ": expected ", 0) == 0);               \
    CHECK(refusal_message.find(", got ") != std::string::npos);                            \
  } while (false)
