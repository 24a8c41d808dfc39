# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages that measure us beside other programs share."""
