// SPDX-License-Identifier: GPL-3.0-or-later
/// The one place that knows all registrars.
#pragma once

#include <memory>

#include "stillscope/core/error.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/register/registrar.hpp"

namespace stillscope {

/// The registrar that `settings` asks for, for frames of one size.
template <Pixel T>
[[nodiscard]] std::unique_ptr<Registrar<T>> make_registrar(const ChunkSettings& settings,
                                                           Extent extent) {
  switch (settings.registrar) {
    case RegistrarKind::fft:
      return std::make_unique<FftRegistrar<T>>(extent);
  }
  throw_invalid("registrar", "a known kind", static_cast<int>(settings.registrar));
}

}  // namespace stillscope
