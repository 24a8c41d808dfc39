# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages: links that lead somewhere, code that names what there is, a map that names every file,
figures that are a page's."""

import ast
import importlib
import inspect
import re

import pytest
from support import ROOT

import stillscope

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


def python_of(page):
    """The page's snippets, as syntax trees."""
    text = page.read_text(encoding="utf-8")
    return [ast.parse(code) for code in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_names_what_there_is(page):
    pytest.importorskip("xarray")  # the drop-in's
    pytest.importorskip("dask.array")
    for node in (node for tree in python_of(page) for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("stillscope"):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
        if not (isinstance(node, ast.Attribute) and ast.unparse(node.value) == "stillscope"):
            continue
        assert hasattr(stillscope, node.attr), ast.unparse(node)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_gives_options_that_there_are(page):
    estimate = set(inspect.signature(stillscope.estimate_motion).parameters)
    for node in (node for tree in python_of(page) for node in ast.walk(tree)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func.value) != "stillscope":
            continue
        parameters = inspect.signature(getattr(stillscope, node.func.attr)).parameters
        known = set(parameters) | (estimate if "options" in parameters else set())
        assert {keyword.arg for keyword in node.keywords} <= known, ast.unparse(node)


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
