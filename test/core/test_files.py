# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Output files appear whole or not at all, and their place is tried before the work."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from smvae_core.files import OutputError, check_output, whole_file, whole_folder, write_text


def test_a_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("half")
        assert partial.parent == path.parent
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_keeps_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "before")
    with pytest.raises(UnicodeEncodeError), whole_file(path) as partial:
        partial.write_text("after" * 10_000 + "ä", encoding="ascii")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "file.txt"
    link.symlink_to(target)
    write_text(link, "text")
    assert link.is_symlink()
    assert target.read_text() == "text"


@pytest.mark.parametrize("there", ["", "a/b/c"])
@pytest.mark.parametrize("folder", [False, True])
def test_a_good_place_stays_as_it_is(tmp_path: Path, there: str, folder: bool) -> None:
    check_output(tmp_path / there / "new", folder=folder)
    assert list(tmp_path.iterdir()) == []
    check_output(tmp_path, folder=True)
    (tmp_path / "old").write_text("old")
    check_output(tmp_path / "old")
    assert (tmp_path / "old").read_text() == "old"


@pytest.mark.parametrize("name", ["file", "new/folder/file"])
def test_read_only(read_only_folder: Path, name: str) -> None:
    path = read_only_folder / name
    for write in (check_output, lambda path: write_text(path, "text")):
        with pytest.raises(OutputError, match=re.escape(f"{path} cannot be written: ")) as raised:
            write(path)
        assert re.search("read-only|permission", str(raised.value))
    with pytest.raises(OutputError):
        check_output(read_only_folder, folder=True)


def test_full_disk(full_disk: Path) -> None:
    for write in (check_output, lambda path: write_text(path, "text" * 2000)):
        with pytest.raises(OutputError, match="the disk is full; make room"):
            write(full_disk / "file")
    assert [path.name for path in full_disk.iterdir()] == ["everything"]


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(OutputError, match="it is a folder; give the name of a file"):
        check_output(tmp_path)
    for folder in (False, True):
        with pytest.raises(OutputError, match="file is a file, no folder"):
            check_output(tmp_path / "file" / "below", folder=folder)
    with pytest.raises(OutputError, match="file is a file, no folder"):
        check_output(tmp_path / "file", folder=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="no regular file"):
        check_output(tmp_path / "pipe")
    with pytest.raises(OutputError, match="no regular file"):
        check_output(os.devnull)  # renaming over it would replace the device
    with pytest.raises(OutputError, match="file is a file, no folder"):
        write_text(tmp_path / "file" / "below", "text")


def test_a_folder_appears_whole_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "new/folder"
    with whole_folder(path) as partial:
        (partial / "below").mkdir()
        (partial / "below/file.txt").write_text("content")
        assert not path.exists()
    assert (path / "below/file.txt").read_text() == "content"
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), whole_folder(tmp_path / "folder") as partial:
        (partial / "file.txt").write_text("after" * 10_000 + "ä", encoding="ascii")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_stays(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("content")
    with pytest.raises(OutputError, match="it is there already"), whole_folder(tmp_path):
        pass
    assert (tmp_path / "file.txt").read_text() == "content"


def test_a_disk_that_fills_leaves_no_folder(full_disk: Path) -> None:
    path = full_disk / "folder"
    with pytest.raises(OutputError, match="the disk is full"), whole_folder(path) as partial:
        (partial / "file").write_text("text" * 2000)
    assert [path.name for path in full_disk.iterdir()] == ["everything"]
