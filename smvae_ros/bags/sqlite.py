# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""One SQLite file of a rosbag2 bag, read with what stands beside it.

A recorder that was killed leaves a write-ahead log (``-wal``) or a rollback journal beside its
file, without which half of the messages, or torn ones, would be read.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from smvae_ros.bags.errors import BagFileError, DamagedBagError
from smvae_ros.bags.storage import (
    Channel,
    Definition,
    Message,
    Part,
    PassOver,
    is_latched,
    normal_type_name,
)

MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-journal")


class SqliteFile:
    """An open file; see :class:`smvae_ros.bags.storage.Storage`. It is not changed, also where
    messages have to be taken back.

    Args:
        path: of the file.

    Raises:
        BagFileError: where it is a database of something else.
        DamagedBagError: where it is truncated or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._copy: TemporaryDirectory[str] | None = None
        try:
            self._database = self._open()
            self._database.text_factory = lambda text: text.decode("utf-8", "replace")
            self._read_topics()
        except sqlite3.Error as error:
            self.close()
            raise DamagedBagError(path, error) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        unfinished = [
            beside
            for suffix in _BESIDE
            if (beside := Path(f"{self.path}{suffix}")).exists() and beside.stat().st_size
        ]
        if not unfinished:  # nobody writes: also read where no lock can be taken
            return _connect(self.path, "immutable=1")
        try:
            database = _connect(self.path, "mode=ro")
            database.execute("SELECT count(*) FROM sqlite_master")
            return database
        except sqlite3.OperationalError:
            # On a read-only disk, or where messages have to be taken back: in a copy.
            self._copy = TemporaryDirectory(prefix="smvae_bag_")
            for file in (self.path, *unfinished):
                shutil.copy(file, self._copy.name)
            return _connect(Path(self._copy.name, self.path.name), "mode=rw")

    def _read_topics(self) -> None:
        columns = self._columns("topics")
        if not columns or not self._columns("messages"):
            raise BagFileError(self.path, "it is a database without topics and messages")
        definitions = {}
        if self._columns("message_definitions"):
            wanted = "topic_type, encoding, encoded_message_definition"
            query = f"SELECT {wanted} FROM message_definitions"
            for type_name, encoding, text in self._database.execute(query):
                if text.strip():
                    definitions[normal_type_name(type_name)] = Definition(encoding, text)
        found = list(
            self._database.execute(
                "SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages "
                "GROUP BY topic_id"
            )
        )
        counts = {number: count for number, count, *_ in found}
        self.start_ns = min((start for *_, start, _ in found), default=0)
        self.end_ns = max((end for *_, end in found), default=-1)
        profiles = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        query = f"SELECT id, name, type, serialization_format, {profiles} FROM topics ORDER BY id"
        self.channels = [
            Channel(
                number,
                topic,
                normal_type_name(type_name),
                encoding,
                definitions.get(normal_type_name(type_name)),
                is_latched(qos),
                counts.get(number, 0),
            )
            for number, topic, type_name, encoding, qos in self._database.execute(query)
        ]

    def _columns(self, table: str) -> list[str]:
        return [row[1] for row in self._database.execute(f"PRAGMA table_info({table})")]

    def parts(self, numbers: Collection[int]) -> list[Part]:
        """See :class:`smvae_ros.bags.storage.Storage`: the whole file is one."""
        return [Part(self.start_ns, self.end_ns, self._messages)]

    def _messages(self, numbers: Collection[int], start_ns: int, end_ns: int) -> Iterator[Message]:
        wanted = ",".join(str(int(number)) for number in numbers)
        return self._select(
            f"WHERE topic_id IN ({wanted}) AND timestamp BETWEEN ? AND ? ORDER BY timestamp, id",
            (start_ns, end_ns),
        )

    def scan(self, pass_over: PassOver) -> Iterator[Message]:
        """See :class:`smvae_ros.bags.storage.Storage`."""
        return self._select("ORDER BY id", ())

    def _select(self, condition: str, values: tuple[int, ...]) -> Iterator[Message]:
        query = f"SELECT topic_id, timestamp, data FROM messages {condition}"
        try:
            # `yield from` would close the cursor of one who stops early, which fails where the
            # database is closed already.
            for row in self._database.execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise DamagedBagError(self.path, error) from error

    def close(self) -> None:
        """Closes the file."""
        if hasattr(self, "_database"):
            self._database.close()
        if self._copy is not None:
            self._copy.cleanup()


def close_sqlite(path: Path) -> None:
    """Takes back what was not committed, and puts the write-ahead log into its file.

    Raises:
        sqlite3.Error: where it is no database, or damaged.
    """
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("SELECT count(*) FROM messages")


def _connect(path: Path, options: str) -> sqlite3.Connection:
    # The path is quoted: in a URI, # ? and % have a meaning of their own. A bag may be read in
    # another thread than it was opened in.
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)
