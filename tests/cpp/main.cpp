// SPDX-License-Identifier: GPL-3.0-or-later
/// The main of Catch2 2; Catch2 3 brings its own in a library.
#define CATCH_CONFIG_MAIN
#include "support/catch.hpp"
