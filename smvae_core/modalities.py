# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Modalities: name, shape, likelihood, networks, weight and normalisation of each.

A modality is configuration. Everything that differs between a camera and a force sensor stands in
one :class:`Modality`; it is written in the training YAML, completed with the statistics of the
training split, saved in the checkpoint and read back by the node.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from smvae_core.plausibility import largest_reading

Kind = Literal["image", "depth", "scan", "series", "vector", "categorical"]
LikelihoodName = Literal["bernoulli", "categorical", "gaussian", "laplace"]
Aspect = Literal["stretch", "crop"]

MAXIMUM_MODALITIES = 32  # of a model
_RANK = {"image": 3, "depth": 3, "scan": 2, "series": 2, "vector": 1, "categorical": 1}
_LARGEST = sys.float_info.max
_NUMBERS = ("scale", "weight", "rate", "minimum", "maximum")
# Of kinds with holes: minimum and maximum where nothing is said, in metres.
_LIMITS = {"depth": (1e-7, 2.0), "scan": (1e-7, 30.0)}


@dataclass(frozen=True)
class Network:
    """A network by name (see :mod:`smvae_core.models.networks`).

    Attributes:
        name: ``mlp``, ``residual_mlp``, ``principal``, ``convolution`` or ``temporal_convolution``.
        widths: widths of the hidden layers, or channels of the convolutions, in the order in
            which an embedding network has them; a decoder runs through them backwards. The first of
            ``principal`` is the number of principal components.
    """

    name: str = "mlp"
    widths: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not all(isinstance(width, int) and width > 0 for width in self.widths):
            raise ValueError(f"network {self.name!r}: widths must be positive, not {self.widths}")


@dataclass(frozen=True)
class ModalityOptions:
    """A modality as it is configured: all but its name, which is its key there, and the statistics
    that training fills in.

    Attributes:
        kind: how arrays are prepared: ``image`` (RGB, or one channel of anything), ``depth``
            (metres), ``scan`` (distances by angle, in metres), ``series`` (a window of readings),
            ``vector`` or ``categorical`` (one-hot).
        shape: shape of the network's tensor without batch: (3, h, w), (1, h, w), (1, angles),
            (channels, samples) or (n,).
        likelihood: family of p(x_i|z).
        scale: standard deviation (Gaussian) or diversity (Laplace) in normalised units; ``None``
            learns one for each channel.
        embedding: the network E_i.
        decoder: the network D_i.
        weight: the likelihood weight λ_i of Eq. 2.
        rate: readings per second of a series, in Hz.
        minimum: distances of a depth image or a scan up to this, in metres, are no readings; 1e-7
            by default. Of an image of one channel, the value that becomes black.
        maximum: distances from this on are no readings; by default 2 m of depth, 30 m of a scan. Of
            an image of one channel, the value that becomes white; without the two, only 8-bit
            values are taken, as they are.
        angles: of a scan, those of its first and its last value, in rad, as in
            sensor_msgs/LaserScan; the others lie evenly between them.
        aspect: what becomes of an image of other proportions than the model's: ``stretch`` shows
            all of it, distorted; ``crop`` shows the largest centred part with the model's
            proportions. Part of the checkpoint, so that node and training do the same.
    """

    kind: Kind
    shape: tuple[int, ...]
    likelihood: LikelihoodName = "gaussian"
    scale: float | None = None
    embedding: Network = Network()
    decoder: Network = Network()
    weight: float = 1.0
    rate: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    aspect: Aspect = "stretch"
    angles: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Named:
    """Put behind :class:`ModalityOptions` among bases, it gives the first field."""

    name: str


@dataclass(frozen=True)
class Modality(ModalityOptions, _Named):
    """One modality x_i with its embedding network E_i, decoder D_i and likelihood p(x_i|z).

    Attributes:
        name: unique among the modalities of a model, for example ``rgb``.
        mean: subtracted before the network, one value for all channels or one for each.
        std: divided by after that, likewise.

    The others are those of :class:`ModalityOptions`.

    Raises:
        ValueError: where the fields do not fit each other; the message names modality and field.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        self._check_types()
        self._complete_limits()
        self._require(self.name.isidentifier(), "name", "a word of letters, digits and _")
        self._require(
            len(self.shape) == _RANK[self.kind] and all(n > 0 for n in self.shape),
            "shape",
            f"{_RANK[self.kind]} positive numbers for kind {self.kind}",
        )
        one = self.shape[0] == 1 or not self.has_holes
        self._require(one, "shape", "of 1 channels, which come first")
        families = ("bernoulli", "categorical", "gaussian", "laplace")
        self._require(self.likelihood in families, "likelihood", f"one of {', '.join(families)}")
        self._require(self.scale is None or self.scale > 0, "scale", "positive, or null to learn")
        for field in ("embedding", "decoder"):
            self._require(
                isinstance(getattr(self, field), Network), field, "a mapping with name and widths"
            )
        self._require(self.weight >= 0, "weight", "at least 0")
        if self.kind == "series":
            self._require(self.rate is not None and self.rate > 0, "rate", "positive, in Hz")
        for field in ("mean", "std"):
            values = getattr(self, field)
            self._require(
                len(values) in (1, self.shape[0]),
                field,
                f"1 or {self.shape[0]} finite numbers",
            )
        self._require(all(value > 0 for value in self.std), "std", "positive")
        self._check_limits()
        self._require(self.aspect in ("stretch", "crop"), "aspect", "stretch or crop")
        is_image = self.kind in ("image", "depth")
        self._require(is_image or self.aspect == "stretch", "aspect", "left out: it is no image")
        self._check_angles()

    def _check_types(self) -> None:
        """What a file may hold in place of a number, or of a list of them."""
        self._require(
            isinstance(self.kind, str) and self.kind in _RANK, "kind", f"one of {', '.join(_RANK)}"
        )
        for field in _NUMBERS:
            value = getattr(self, field)
            self._require(value is None or _is_number(value), field, "a finite number")
        for field in ("shape", "mean", "std"):
            value = getattr(self, field)
            is_list = isinstance(value, Iterable) and not isinstance(value, str | Mapping)
            self._require(is_list, field, "a list of numbers")
            object.__setattr__(self, field, tuple(value))
        is_whole = all(isinstance(n, int) and not isinstance(n, bool) for n in self.shape)
        self._require(is_whole, "shape", "whole numbers")
        for field in ("mean", "std"):
            self._require(all(map(_is_number, getattr(self, field))), field, "finite numbers")

    def _complete_limits(self) -> None:
        """Fills in those of a kind that needs some. Earlier versions gave depth's to all kinds, of
        which others had no use for them."""
        given = self.minimum, self.maximum
        unused = not self.has_holes and given == _LIMITS["depth"]
        usual = _LIMITS.get(self.kind, (None, None))
        for field, value, default in zip(("minimum", "maximum"), given, usual, strict=True):
            object.__setattr__(self, field, default if value is None or unused else value)

    def _check_limits(self) -> None:
        grey = self.kind == "image" and self.shape[0] == 1
        given = [field for field in ("minimum", "maximum") if getattr(self, field) is not None]
        for field in given:
            expected = "left out: only depth, scans and images of one channel have it"
            self._require(self.has_holes or grey, field, expected)
            self._require(len(given) == 2, field, "left out, as minimum or maximum is")
        if given:
            low, high = self.limits
            self._require(low < high and (grey or low >= 0), "minimum", "below maximum")

    def _check_angles(self) -> None:
        if self.kind != "scan":
            self._require(self.angles is None, "angles", "left out: it is no scan")
            return
        self._require(self.shape[1] > 1, "shape", "(1, angles)")
        expected = "two ascending numbers in rad, at most one turn apart"
        is_pair = isinstance(self.angles, list | tuple) and len(self.angles) == 2
        self._require(is_pair and all(map(_is_number, self.angles or ())), "angles", expected)
        first, last = self.angles or (0.0, 0.0)
        object.__setattr__(self, "angles", (first, last))
        self._require(0 < last - first <= math.tau + 1e-3 and abs(first) < 10, "angles", expected)

    def _require(self, condition: bool, field: str, expected: str) -> None:
        if not condition:
            raise ValueError(
                f"modality {self.name!r}: {field} must be {expected}, not {getattr(self, field)!r}"
            )

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Shape of a prepared array (see :func:`smvae_core.preprocessing.prepare`):
        (h, w, channels) for an image, (h, w) for depth, (samples, channels) for a series, else
        (n,)."""
        if self.kind == "image":
            return (*self.shape[1:], self.shape[0])
        if self.has_holes:
            return self.shape[1:]
        return self.shape[::-1]

    @property
    def raw_dtype(self) -> str:
        """NumPy type of a prepared array; half precision keeps depth to a millimetre below 2 m."""
        return {"image": "uint8", "depth": "float16"}.get(self.kind, "float32")

    @property
    def preparation(self) -> dict[str, Any]:
        """The fields that decide how a reading is prepared, as plain values; ``shape`` is
        the :attr:`raw_shape`. Arrays that were prepared for one modality are good for every other
        with the same."""
        fields: dict[str, Any] = {"kind": self.kind, "shape": list(self.raw_shape)}
        if self.minimum is not None:
            fields.update(minimum=self.minimum, maximum=self.maximum)
        if self.angles is not None:
            fields.update(angles=list(self.angles))
        if self.kind == "series":
            fields.update(rate=self.rate)
        if self.aspect != "stretch":  # caches from before there was a choice stay valid
            fields.update(aspect=self.aspect)
        return fields

    def differences(self, other: Modality) -> dict[str, tuple[Any, Any]]:
        """Fields by which another modality prepares readings differently → (own value, its)."""
        return {
            name: (getattr(self, name), getattr(other, name))
            for name in {**self.preparation, **other.preparation}
            if getattr(self, name) != getattr(other, name)
        }

    @property
    def has_holes(self) -> bool:
        """True if single elements of a reading may be "not measured", which is NaN in a prepared
        array."""
        return self.kind in _LIMITS

    @property
    def limits(self) -> tuple[float, float]:
        """``minimum`` and ``maximum``, infinite where there are none."""
        low, high = self.minimum, self.maximum
        return -math.inf if low is None else low, math.inf if high is None else high

    def visible_part(self, size: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns that the model sees of an image of this size (height, width)."""
        height, width = size
        if self.aspect == "stretch":
            return slice(0, height), slice(0, width)
        _, model_height, model_width = self.shape
        rows = min(height, max(1, round(width * model_height / model_width)))
        columns = min(width, max(1, round(height * model_width / model_height)))
        top, left = (height - rows) // 2, (width - columns) // 2
        return slice(top, top + rows), slice(left, left + columns)

    @property
    def is_continuous(self) -> bool:
        """True if decoders put out values; under the other likelihoods they put out logits."""
        return self.likelihood in ("gaussian", "laplace")

    @property
    def is_wrench(self) -> bool:
        """True for a series of forces and torques, which its name has to say: an inertial sensor
        has six channels, too."""
        says = "force" in self.name or "wrench" in self.name
        return self.kind == "series" and self.shape[0] == 6 and says

    @property
    def window(self) -> float:
        """Seconds that a series covers, from its oldest to its newest reading; 0 for others."""
        return 0.0 if self.rate is None else (self.shape[1] - 1) / self.rate

    @functools.cached_property
    def largest(self) -> float:
        """The largest absolute value, in raw units, that a reading of a series or a vector can
        have: what is beyond is no measurement (:mod:`smvae_core.plausibility`)."""
        return largest_reading(self.mean, self.std)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings, for YAML."""
        entry = dataclasses.asdict(self)
        for key in ("shape", "mean", "std", "angles"):
            entry[key] = None if entry[key] is None else list(entry[key])
        for key in ("embedding", "decoder"):
            entry[key]["widths"] = list(entry[key]["widths"])
        return entry

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Modality:
        """The inverse of :meth:`to_dict`.

        Raises:
            ValueError: for unknown or missing fields and values that do not fit.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(entry) - fields)
        if unknown:
            raise ValueError(
                f"modality {entry.get('name')!r}: unknown field {', '.join(unknown)}; "
                f"known are {', '.join(sorted(fields))}"
            )
        values = dict(entry)
        try:
            for key in ("embedding", "decoder"):
                if isinstance(values.get(key), Mapping):
                    values[key] = Network(**values[key])
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ValueError(f"modality {entry.get('name')!r}: {error}") from error


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and -_LARGEST <= value <= _LARGEST


def check_names(modalities: Sequence[Modality]) -> None:
    """Raises ValueError where there is no modality, or two have one name."""
    names = [modality.name for modality in modalities]
    if not names:
        raise ValueError("a model needs at least one modality")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"modality names must be unique: {', '.join(twice)} occurs more than once")
