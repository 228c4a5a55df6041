"""Images of other proportions than the model's: which part of them it sees."""

from __future__ import annotations

from typing import Literal

Aspect = Literal["stretch", "crop"]


def visible_part(
    aspect: Aspect, size: tuple[int, ...], model_size: tuple[int, ...]
) -> tuple[slice, slice]:
    """Rows and columns of an image that the model sees; both sizes are (height, width)."""
    (height, width), (model_height, model_width) = size, model_size
    if aspect == "stretch":
        return slice(0, height), slice(0, width)
    rows = min(height, max(1, round(width * model_height / model_width)))
    columns = min(width, max(1, round(height * model_width / model_height)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)
