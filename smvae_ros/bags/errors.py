# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The errors of bags, and their advice."""

from __future__ import annotations

from pathlib import Path

RECOVER = "`ros2 run smvae_ros recover {} OUTPUT` makes a whole bag of what was written"


class BagError(RuntimeError):
    """A bag that cannot be read or written. Its text says what is wrong and what to do."""


class BagFileError(BagError):
    """A file that cannot be read as a bag's.

    Args:
        path: of the file.
        reason: what was found.
        advice: what to do, as a further part of the sentence.
    """

    def __init__(self, path: Path, reason: object, advice: str = "check the path") -> None:
        self.path, self.reason, self.advice = path, str(reason).rstrip("."), advice
        super().__init__(f"{path} cannot be read: {self.reason}; {advice}")

    def of(self, bag: Path) -> BagFileError:
        """The same error for who asked for the bag, of which the file is perhaps only a part."""
        part = self.path.name != bag.name and self.path.name not in self.reason
        reason = f"{self.path.name}: {self.reason}" if part else self.reason
        return BagFileError(bag, reason, self.advice)


class DamagedBagError(BagFileError):
    """A file that ends too early, or whose content contradicts itself."""

    def __init__(self, path: Path, reason: object) -> None:
        advice = f"it is damaged, truncated or still being written; {RECOVER.format(path)}"
        super().__init__(path, reason, advice)

    def of(self, bag: Path) -> DamagedBagError:
        """As above; it is the bag that is recovered."""
        return DamagedBagError(bag, super().of(bag).reason)
