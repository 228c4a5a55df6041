# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Writes reference/parameters.md, the reference of the node's parameters, from their declarations.

python docs/parameters.py
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
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
this page. Parameters act at once unless something else is said.

"""
OF_A_MODALITY = """## Of each modality
Put the modality's name and a dot in front: `rgb.topic`, `force.scale`. The checkpoint says which
modalities there are. Where a default depends on the modality's kind, the kinds are named.

"""


def page() -> str:
    """The whole page."""
    of_node = "".join(_entry(declared, _text(declared)) for declared in NODE_PARAMETERS)
    kinds = {kind: modality_parameters("any", kind) for kind in get_args(Kind)}
    settings = {setting.name: setting for declared in kinds.values() for setting in declared}
    of_modality = "".join(
        _entry(setting, _defaults(name, kinds)) for name, setting in settings.items()
    )
    return HEAD + of_node + OF_A_MODALITY + of_modality.rstrip() + "\n"


def _entry(declaration: Declaration, default: str) -> str:
    """A parameter in two paragraphs of a list: what it does; type, range and default."""
    name = declaration.name.removeprefix("any.")
    values = f", {declaration.range}" if declaration.range else ""
    changes = (
        "" if declaration.changes is Changes.AT_ONCE else f" Changes {declaration.changes.value}."
    )
    entry = (
        f"- **`{name}`**: {declaration.description}",
        f"{declaration.type_name.capitalize()}{values}; default {default}.{changes}",
    )
    paragraphs = [
        fill(text, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for text in entry
    ]
    return "\n\n  ".join(paragraphs) + "\n\n"


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


if __name__ == "__main__":
    PAGE.write_text(page())
