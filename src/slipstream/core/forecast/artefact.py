"""A trained model as a file: coefficients, what they were fitted on, how they did out of sample, and until when.

The file is JSON. Its ``hash`` covers everything else in it: a file that was changed by hand, cut short, made by
another version, for other features, or kept too long is refused with a reason, never used.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from slipstream.core.forecast.features import FeatureSpec
from slipstream.model.errors import ConfigError

Array = npt.NDArray[np.float64]
VERSION = 1


class ArtefactError(ConfigError):
    """A model file cannot be used; the text says which, why, and how to mend it."""


class Linear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``intercept + coef x features``. ``used`` False: it did not earn its place out of sample and forecasts 0."""

    coef: tuple[float, ...]
    intercept: float
    used: bool = True

    def predict(self, features: Array) -> Array:
        """Forecasts (N,) of features (F, N); NaN where a feature is."""
        x = np.asarray(features, dtype=np.float64)
        known = np.isfinite(x).all(axis=0)
        whole = np.asarray(self.coef) @ np.where(known, x, 0.0) + self.intercept if self.used else np.zeros(x.shape[1])
        return np.where(known, whole, np.nan)


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a number was distributed in training: inner ``edges`` of bins, the ``shares`` in them, mean and deviation."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    mean: float
    sd: float


class Artefact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trained model. Times are ms UTC. ``price`` forecasts the residual return, ``funding`` what a long pays, both
    fractions of the notional over ``spec.horizon_hours``. ``spreads`` has every feature and ``error_funding``.
    """

    version: int
    spec: FeatureSpec
    spec_hash: str
    price: Linear
    funding: Linear
    trained_from_ms: int
    trained_to_ms: int
    valid_until_ms: int
    data_hash: str
    config: dict[str, Any]
    metrics: dict[str, float | None]
    spreads: dict[str, Spread]
    hash: str = ""


class Forecast(NamedTuple):
    """Over the horizon, fractions of the notional, (N,): price, funding paid by a long, and price less funding."""

    price: Array
    paid: Array
    total: Array


def predict(artefact: Artefact, price_features: Array, funding_features: Array) -> Forecast:
    """What the model expects of every coin; NaN where features are missing. A pure function.

    A coin without price features is not forecast even if the price model is not used: nothing is known of its market.
    """
    price, paid = artefact.price.predict(price_features), artefact.funding.predict(funding_features)
    return Forecast(price, paid, price - paid)


def sealed(artefact: Artefact) -> Artefact:
    """The same with its hash."""
    return msgspec.structs.replace(artefact, hash=_hash(artefact))


def _hash(artefact: Artefact) -> str:
    bare = msgspec.structs.replace(artefact, hash="")
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()


def encode(artefact: Artefact) -> bytes:
    """The file's content. The hash is made anew."""
    return msgspec.json.format(msgspec.json.encode(sealed(artefact), order="sorted"), indent=1) + b"\n"


def decode(raw: bytes, where: str, spec: FeatureSpec | None = None) -> Artefact:
    """A model from its file's content; ``spec`` is what the reader computes. Raises ArtefactError."""
    try:
        head = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{where}: not a model file ({error}); train one: slipstream train carry") from None
    found = head.get("version") if isinstance(head, dict) else None
    if found != VERSION:
        raise ArtefactError(f"{where}: version {found!r} of the file, this release reads {VERSION}; train anew")
    try:
        artefact = msgspec.convert(head, Artefact)
    except (msgspec.ValidationError, ValueError) as error:
        raise ArtefactError(f"{where}: {error}; train anew") from None
    if _hash(artefact) != artefact.hash:
        raise ArtefactError(f"{where}: its hash does not fit its content: it was changed or damaged; train anew")
    counts = (len(artefact.price.coef), len(artefact.funding.coef))
    if counts != (len(artefact.spec.price_spans), len(artefact.spec.funding_spans)):
        raise ArtefactError(f"{where}: {counts} coefficients do not fit its features {artefact.spec.names}; train anew")
    if artefact.spec_hash != artefact.spec.hash:
        raise ArtefactError(f"{where}: made when features were hashed differently; train anew")
    if spec is not None and spec.hash != artefact.spec_hash:
        raise ArtefactError(
            f"{where}: trained on other features: {_apart(artefact.spec, spec)}; make config and model fit"
        )
    return artefact


def _apart(theirs: FeatureSpec, ours: FeatureSpec) -> str:
    names = [name for name in ours.__struct_fields__ if getattr(ours, name) != getattr(theirs, name)]
    return ", ".join(f"{name} {getattr(theirs, name)} there, {getattr(ours, name)} here" for name in names)


def stale(artefact: Artefact, now_ms: int) -> str:
    """Why a model may not be used at a time; empty if it may."""
    if now_ms >= artefact.valid_until_ms:
        days = (now_ms - artefact.valid_until_ms) / 86_400_000
        return f"the model ended {days:.1f} days ago: train a new one"
    if now_ms < artefact.trained_to_ms:
        return "the model was trained on what is still to come"
    return ""
