# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: links that lead somewhere, a map that names every file, figures that are a page's."""

import re

import pytest
from support import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")


def prose(page):
    """A page without its code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [("include", "*.hpp*"), ("python/stillscope", "*.py"), ("python/bindings", "*.hpp")],
)
def test_every_file_is_on_the_map(folder, pattern):
    names = {file.name for file in (ROOT / folder).rglob(pattern)} - {"__init__.py"}
    assert names
    named = set(re.findall(r"[\w.]+", DEVELOPMENT))
    assert names <= named, sorted(names - named)


def test_every_area_of_the_tests_is_on_the_map():
    build = (ROOT / "tests" / "CMakeLists.txt").read_text(encoding="utf-8")
    (areas,) = re.findall(r"set\(areas ([^)]*)\)", build)
    (line,) = re.findall(r"# one area: (.*)$", DEVELOPMENT, re.MULTILINE)
    assert set(line.split()) == {*areas.split(), "allocations"}


def test_figures_of_the_readme_are_those_of_the_pages():
    readme = prose(ROOT / "README.md")
    section = readme.partition("## How fast, how exact")[2].partition("\n## ")[0]
    figures = set(re.findall(r"(?<![\d.])\d+\.\d+(?![\d.]*\d)", section))
    assert len(figures) > 10
    pages = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in ("performance.md", "accuracy.md", "drop-in.md")
    )
    assert figures <= set(re.findall(r"\d+(?:\.\d+)+", pages))
