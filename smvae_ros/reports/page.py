# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Self-contained HTML pages: a template with the text, and figures embedded as PNG."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from smvae_core.files import write_text

_DPI = 120  # pixels of the page for each inch of a figure


class Picture(NamedTuple):
    """A figure as a template shows it.

    Attributes:
        data: a PNG in base64.
        width: in pixels of the page.
    """

    data: str
    width: int


def picture(figure: Any) -> Picture:
    """A matplotlib figure, which is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=1.2 * _DPI, bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(data, round(_DPI * figure.get_figwidth()))


def render(path: Path, template: str, **content: Any) -> None:
    """Writes a page; an older one is replaced only by a whole one.

    Args:
        path: of the HTML file.
        template: its name in ``templates``.
        content: what the template names.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    write_text(path, environment.get_template(template).render(content))
