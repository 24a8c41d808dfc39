# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m stillscope``: the command line."""

import sys

from stillscope.cli import main

if __name__ == "__main__":
    sys.exit(main())
