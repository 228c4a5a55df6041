"""Writes reference/parameters.md, the reference of the node's parameters, from their declarations.

python docs/parameters.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from smvae_core.modalities import Kind
from smvae_ros.parameters.declarations import (
    NODE_PARAMETERS,
    Changes,
    Declaration,
    modality_parameters,
)

PAGE = Path(__file__).parent / "reference" / "parameters.md"

HEAD = """# Parameters of the node

<!-- Written by docs/parameters.py from smvae_ros/parameters/declarations.py. -->

[config/perception.yaml](../../config/perception.yaml) gives all of them, with the topics of the
simulated robot. A file of your own only needs what differs; how files are laid over each other is
in [the node's page](node.md#input). `ros2 param describe /smvae_perception NAME` says the same as
this page.

"""
OF_A_MODALITY = """
## Of each modality
Put the modality's name and a dot in front: `rgb.topic`, `force.scale`. The checkpoint says which
modalities there are. Where a default depends on the modality's kind, the kinds are named.

"""
COLUMNS = (
    "| parameter | type | default | range | what it does | changes |\n|---|---|---|---|---|---|\n"
)


def page() -> str:
    """The whole page."""
    changes = "".join(f"- *{_word(change)}*: {change.value}\n" for change in Changes)
    of_node = "".join(_row(declaration, _text(declaration)) for declaration in NODE_PARAMETERS)
    kinds = {kind: modality_parameters("any", kind) for kind in get_args(Kind)}
    settings = {setting.name: setting for declared in kinds.values() for setting in declared}
    of_modality = "".join(
        _row(setting, _defaults(name, kinds)) for name, setting in settings.items()
    )
    head = HEAD + "When a parameter changes:\n\n" + changes + "\n"
    return head + COLUMNS + of_node + OF_A_MODALITY + COLUMNS + of_modality


def _row(declaration: Declaration, default: str) -> str:
    cells = (
        f"`{declaration.name.removeprefix('any.')}`",
        declaration.type_name,
        default,
        declaration.range.replace(" or ", ", "),
        declaration.description,
        _word(declaration.changes),
    )
    return f"| {' | '.join(cells)} |\n"


def _defaults(name: str, kinds: dict[Kind, tuple[Declaration, ...]]) -> str:
    """The default of a modality's setting; where kinds differ, of each kind that has it."""
    texts: dict[str, list[str]] = {}
    for kind, declared in kinds.items():
        for setting in declared:
            if setting.name == name:
                texts.setdefault(_text(setting), []).append(kind)
    if len(texts) == 1:
        return next(iter(texts))
    return "; ".join(f"{text} ({', '.join(those)})" for text, those in texts.items())


def _text(declaration: Declaration) -> str:
    return f"`{json.dumps(declaration.default)}`".replace("/any", "/NAME")


def _word(changes: Changes) -> str:
    return changes.name.lower().replace("_", " ")


if __name__ == "__main__":
    PAGE.write_text(page())
