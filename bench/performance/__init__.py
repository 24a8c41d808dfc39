# SPDX-License-Identifier: GPL-3.0-or-later
"""The performance page: stillscope beside its peers, measured, drawn and written in one command."""
