# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Studies write below out/ unless told otherwise, and never over the table of another study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from places import ROOT
from training.studies.command import RESULTS
from training.studies.insertion import __main__ as insertion
from training.studies.labelled_images import __main__ as benchmark
from training.studies.labelled_images import figures as benchmark_figures
from training.studies.labelled_images import views
from training.studies.labelled_images.likelihood_table import identity
from training.studies.labelled_images.protocol import Protocol
from training.studies.tables import check_table, write_table

ADVICE = "give another --results"


@pytest.mark.parametrize("program", [benchmark, benchmark_figures, insertion, views])
def test_nothing_is_written_to_the_documents_by_default(program: object) -> None:
    defaults = vars(program.parser())["_defaults"] | {
        action.dest: action.default for action in program.parser()._actions
    }
    folders = [value for value in defaults.values() if isinstance(value, Path)]
    assert RESULTS in folders
    assert all(folder.parts[0] == "out" for folder in folders)


def test_a_table_of_the_same_study_is_replaced(tmp_path: Path) -> None:
    path, own = tmp_path / "mnist", {"protocol": "20 epochs", "test_images": 100}
    check_table(path, own, ADVICE)
    write_table(path, {**own, "methods": {"smvae": 1}}, "page")
    check_table(path, own, ADVICE)
    write_table(path, {**own, "methods": {"smvae": 2}}, "page")
    assert json.loads((tmp_path / "mnist.json").read_text())["methods"] == {"smvae": 2}
    assert (tmp_path / "mnist.md").read_text() == "page"


def test_other_files_are_not(tmp_path: Path) -> None:
    own = {"protocol": "20 epochs"}
    (tmp_path / "mnist.json").write_text('{"protocol": "200 epochs"}')
    with pytest.raises(ValueError, match=r"whose protocol is: 200 epochs \(this one's"):
        check_table(tmp_path / "mnist", own, ADVICE)
    for content in ("not JSON", "[]", '{"name": "mnist"}'):
        (tmp_path / "mnist.json").write_text(content)
        with pytest.raises(ValueError, match=r"no table of this study .*; give another --results"):
            check_table(tmp_path / "mnist", own, ADVICE)


def test_a_page_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("by hand")
    with pytest.raises(ValueError, match=r"README\.md is not the page of a study.*; give another"):
        check_table(tmp_path / "README", {"protocol": "20 epochs"}, ADVICE)


def test_a_tiny_budget_leaves_the_published_table_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = ROOT / "docs" / "results" / "mnist.json"
    (tmp_path / "mnist.json").write_bytes(published.read_bytes())
    arguments = ["--dataset", "mnist", "--data-dir", str(tmp_path / "data"), "--epochs", "1"]
    assert benchmark.main([*arguments, "--results", str(tmp_path)]) == 2
    assert "give another --results or --name" in capsys.readouterr().err
    assert (tmp_path / "mnist.json").read_bytes() == published.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.json"]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mnist", {}),
        ("fashion_mnist", {"dataset": "fashion_mnist"}),
        ("mnist_grey", {"pixels": "grey"}),
    ],
)
def test_the_published_tables_are_those_of_the_usual_protocols(
    name: str, options: dict[str, str]
) -> None:
    """So that their own commands replace them."""
    protocol = Protocol.usual(**{"dataset": "mnist", **options})
    check_table(ROOT / "docs" / "results" / name, identity(protocol), ADVICE)
