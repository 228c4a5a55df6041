# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Links between documents lead somewhere, and pages that are written by programs are up to date."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path

import pytest

from places import DOCS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
MADE_BY_SPHINX = "reference/api/"
FENCED = re.compile(r"^ *```.*?^ *```", flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Headings of a page as GitHub and MyST name them in links."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text())):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or path.startswith(MADE_BY_SPHINX):
            continue
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_paths_of_documents_that_code_names_are_right() -> None:
    folders = ("smvae_core", "smvae_ros", "training", "benchmarks", "config", "launch")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    texts = [file for file in files if file.suffix in (".py", ".yaml", ".xml")]
    named = {name for file in texts for name in re.findall(r"docs/[\w/]+\.md", file.read_text())}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_reference_of_parameters_says_what_is_declared() -> None:
    program = run_path(str(DOCS / "parameters.py"))
    assert program["PAGE"].read_text() == program["page"](), "run python docs/parameters.py"


def test_the_picture_of_the_rooms_shows_their_imports() -> None:
    """Each arrow is an import, and what is imported can be reached along arrows."""
    grimp = pytest.importorskip("grimp", reason="import-linter is not installed")
    svg = (DOCS / "images" / "architecture.svg").read_text()
    arrows = {(a, b) for a, b in re.findall(r"<title>([\w.]+) → ([\w.]+)</title>", svg)}
    rooms = sorted({room for arrow in arrows for room in arrow}, key=len, reverse=True)

    def room(module: str) -> str | None:
        return next((name for name in rooms if f"{module}.".startswith(f"{name}.")), None)

    graph = grimp.build_graph("smvae_core", "smvae_ros", "training", "benchmarks")
    modules = graph.modules - {"smvae_core"}  # gives names of rooms to whoever asks for them
    imports = {
        (room(module), room(other))
        for module in modules
        for other in graph.find_modules_directly_imported_by(module)
        if None not in (room(module), room(other)) and room(module) != room(other)
    }
    assert arrows <= imports
    reached = set(arrows)
    while further := {(a, d) for a, b in reached for c, d in arrows if b == c} - reached:
        reached |= further
    assert imports <= reached
