# SPDX-License-Identifier: GPL-3.0-or-later
"""The accuracy page: errors against known motion, measured, drawn and written in one command."""
