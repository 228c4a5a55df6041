"""A self-contained HTML page: text, tables, and matplotlib figures embedded as PNG."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smvae_core.files import write_text

_DPI = 120  # pixels of the page for each inch of a figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em;
       color: #222; }
h1 { line-height: 1.2; } h2 { margin-top: 2em; }
h1, h2, figcaption, .note { overflow-wrap: anywhere; }
/* On a phone, wide tables and figures are pushed sideways instead of becoming too small to read. */
.wide { overflow-x: auto; }
figure { margin: 1em 0; } figure img { max-width: max(100%, 520px); }
figcaption, .note { color: #555; font-size: 0.9em; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; }
summary { cursor: pointer; color: #1668b0; }
.tiles { display: flex; flex-wrap: wrap; gap: 1em; }
.tile { background: #f3f5f7; border-radius: 8px; padding: 0.8em 1.2em; }
.tile b { display: block; font-size: 1.6em; }
@media (max-width: 600px) {
  body { margin: 1em auto; } h1 { font-size: 1.5em; } h2 { font-size: 1.2em; }
  th, td { padding: 0.25em 0.5em; font-size: 0.9em; }
  .tiles { gap: 0.5em; } .tile { padding: 0.5em 0.8em; font-size: 0.9em; }
}
"""


class Page:
    """Collects the parts of a page in order.

    Args:
        title: of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = html.escape(title)
        self._parts = [f"<h1>{self._title}</h1>"]

    def heading(self, text: str) -> None:
        """A section begins."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str, note: bool = False) -> None:
        """A paragraph; a note is smaller."""
        kind = ' class="note"' if note else ""
        self._parts.append(f"<p{kind}>{html.escape(text)}</p>")

    def tiles(self, figures: Mapping[str, str]) -> None:
        """A few large numbers: what it is → the number with its unit."""
        tiles = "".join(
            f'<div class="tile"><b>{html.escape(value)}</b>{html.escape(label)}</div>'
            for label, value in figures.items()
        )
        self._parts.append(f'<div class="tiles">{tiles}</div>')

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], folded: str = "") -> None:
        """A table; the first column is text, the others are numbers.

        Args:
            header: of the columns.
            rows: of cells.
            folded: what to click on to see the table; always seen by default.
        """
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        table = f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'
        if folded:
            table = f"<details><summary>{html.escape(folded)}</summary>{table}</details>"
        self._parts.append(table)

    def figure(self, figure: Any, caption: str) -> None:
        """A matplotlib figure, which is closed."""
        import matplotlib.pyplot as plt

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=1.2 * _DPI, bbox_inches="tight")
        width = round(_DPI * figure.get_figwidth())
        plt.close(figure)
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        text = html.escape(caption)
        self._parts.append(
            f'<figure><div class="wide"><img alt="{text}" width="{width}" '
            f'src="data:image/png;base64,{data}"></div><figcaption>{text}</figcaption></figure>'
        )

    def write(self, path: Path) -> None:
        """Writes the page; an older one is replaced only by a whole one."""
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{self._title}</title><style>{STYLE}</style>"
            f"<body>{''.join(self._parts)}</body></html>\n"
        )
        write_text(path, page)
