// SPDX-License-Identifier: GPL-3.0-or-later
/// The whole library. The shortest complete use, for a movie of `frames` frames of 480x752 bytes:
///
///     std::vector<std::uint8_t> pixels = ..., corrected(pixels.size());
///     stillscope::MovieView<const std::uint8_t> movie(pixels.data(), frames, {480, 752});
///     stillscope::MovieView<std::uint8_t> out(corrected.data(), frames, {480, 752});
///     auto motion = stillscope::estimate_motion(movie);
///     stillscope::apply_motion<std::uint8_t>(movie, motion.shifts, out);
///
/// Every pair is (height, width); shifts are in pixels and are corrections, to be added to the
/// content's position.
#pragma once

#include "stillscope/chunk/est_motion_chunk.hpp"
#include "stillscope/core/view.hpp"
#include "stillscope/movie/apply_deformation.hpp"
#include "stillscope/movie/apply_motion.hpp"
#include "stillscope/movie/estimate_motion.hpp"
#include "stillscope/movie/filter_movie.hpp"
#include "stillscope/movie/residual_motion.hpp"
#include "stillscope/quality/adaptive_mask.hpp"
#include "stillscope/quality/circularity.hpp"
#include "stillscope/quality/match_template.hpp"
#include "stillscope/quality/optical_flow.hpp"
#include "stillscope/version.hpp"
