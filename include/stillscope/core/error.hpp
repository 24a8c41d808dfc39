// SPDX-License-Identifier: GPL-3.0-or-later
/// How the library refuses an argument.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "stillscope/core/types.hpp"

namespace stillscope {

/// Throws `std::invalid_argument`: "<argument>: expected <expected>, got <given>".
[[noreturn]] inline void throw_invalid(std::string_view argument, std::string_view expected,
                                       std::string_view given) {
  std::string message(argument);
  message.append(": expected ").append(expected).append(", got ").append(given);
  throw std::invalid_argument(message);
}

template <class Given>
[[noreturn]] void throw_invalid(std::string_view argument, std::string_view expected,
                                const Given& given) {
  std::ostringstream text;
  text << given;
  throw_invalid(argument, expected, std::string_view(text.str()));
}

/// "480x752", for messages.
[[nodiscard]] inline std::string to_string(const Extent& extent) {
  return std::to_string(extent.height) + "x" + std::to_string(extent.width);
}

}  // namespace stillscope
