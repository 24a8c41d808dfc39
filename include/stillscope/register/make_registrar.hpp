// SPDX-License-Identifier: GPL-3.0-or-later
/// The one place that knows all registrars.
#pragma once

#include <memory>

#include "stillscope/core/error.hpp"
#include "stillscope/core/settings.hpp"
#include "stillscope/register/coarse_to_fine.hpp"
#include "stillscope/register/fft_registrar.hpp"
#include "stillscope/register/registrar.hpp"

namespace stillscope {

/// The registrar that `settings` asks for, for frames of one size, of which it will see about
/// `frames`.
template <Pixel T>
[[nodiscard]] std::unique_ptr<Registrar<T>> make_registrar(const ChunkSettings& settings,
                                                           Extent extent, std::size_t frames) {
  // Planning thoroughly takes as long as the transforms that it saves for some 250 frames.
  constexpr std::size_t worth_planning = 200;
  const FftPlanning planning = frames < worth_planning ? FftPlanning::quick : FftPlanning::thorough;
  switch (settings.registrar) {
    case RegistrarKind::coarse_to_fine:
      if (CoarseToFineRegistrar<T>::fits(extent)) {
        return std::make_unique<CoarseToFineRegistrar<T>>(extent);
      }
      [[fallthrough]];
    case RegistrarKind::fft:
      return std::make_unique<FftRegistrar<T>>(extent, planning);
  }
  throw_invalid("registrar", "a known kind", static_cast<int>(settings.registrar));
}

}  // namespace stillscope
