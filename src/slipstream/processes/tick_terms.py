"""What a backtest tick by tick is asked for, and what its options mean."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from slipstream.model.errors import ConfigError

if TYPE_CHECKING:  # compiled code is imported when it is run, not when help is shown
    from slipstream.lob.replay.delay import Delay
    from slipstream.lob.replay.fee_tiers import FeeTiers

MILLI = 1_000_000
SELF = "self"
POWERED = ("power", "power2", "power3")


class TickTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Words of the command line. ``tapes`` are folders of tapes of the traded venue; ``simulate`` hours of a reactive
    market instead of them. ``anchor`` is a folder of the reference exchange's tapes, or ``self:LEAD_MS``.

    ``latency``: ms to the exchange and back, such as 100, 80:40 or lognormal:90:0.3, or a file of measured ones.
    ``queue``: risk-averse, power:N, power2:N, power3:N, log, log2. ``fees``: venue, tier:USD (traded in 14 days) or
    maker:taker as fractions. ``funding``: none, tape or a file (coin, ts, rate).
    """

    tapes: tuple[Path, ...] = ()
    simulate: float | None = None
    anchor: str = ""
    latency: str = "100"
    queue: str = "power3:3"
    partial: bool = True
    block_ms: float = 0.0
    fees: str = "venue"
    funding: str = ""
    clock: str = "recorded"
    impact: bool = False
    sample_s: float | None = None

    def anchored_to_self(self) -> float | None:
        """The lead in ms of an anchor made of the market itself, or None. Raises ConfigError."""
        name, _, lead = self.anchor.partition(":")
        if name != SELF:
            return None
        try:
            value = float(lead)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 60_000.0:
            raise ConfigError(f"--anchor {self.anchor}: write self:LEAD_MS, such as self:0 (its own mid, as it is)")
        return value


def latency_of(text: str, seed: int) -> tuple[Delay, Delay]:
    """(entry, response) of a latency's words. Raises ConfigError."""
    from slipstream.lob.replay import delay

    path = Path(text)
    if path.suffix == ".csv" or path.is_file():
        return measured(path)
    try:
        if text.startswith("lognormal:"):
            median, sigma = _numbers(text.removeprefix("lognormal:"), (2,))
            return delay.lognormal(median * MILLI, sigma, seed), delay.lognormal(median * MILLI, sigma, seed + 1)
        parts = _numbers(text, (1, 2))
        return delay.constant(round(parts[0] * MILLI)), delay.constant(round(parts[-1] * MILLI))
    except ValueError as error:
        raise ConfigError(
            f"--latency {text}: {error}; write ms there and back (100, 80:40), lognormal:MEDIAN_MS:SIGMA, or a .csv of "
            "request_ns, entry_ns, response_ns"
        ) from None


def _numbers(text: str, counts: tuple[int, ...]) -> list[float]:
    """So many finite numbers between colons. Raises ValueError."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if len(parts) not in counts or not all(math.isfinite(part) for part in parts):
        raise ValueError("these are no times")
    return parts


def measured(path: Path) -> tuple[Delay, Delay]:
    """Measured latencies of a file with a heading. Raises ConfigError naming the row."""
    from slipstream.lob.replay import delay

    rows = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                try:
                    rows.append((int(row["request_ns"]), int(row["entry_ns"]), int(row["response_ns"])))
                except (KeyError, TypeError, ValueError):
                    raise ConfigError(
                        f"--latency {path}: row {number}: whole numbers request_ns, entry_ns, response_ns are needed"
                    ) from None
        return delay.measured(rows)
    except OSError as error:
        raise ConfigError(f"--latency {path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"--latency {path}: {error}") from None


def queue_of(text: str) -> tuple[str, float]:
    """(model, power) of a queue model's words. Raises ConfigError."""
    from slipstream.lob.replay.queue_position import MODELS

    name, colon, exponent = text.partition(":")
    name = name.replace("-", "_")
    try:
        power = float(exponent) if colon else 3.0
    except ValueError:
        power = -1.0
    # tapes of Hyperliquid's perps name no orders: their queues can only be estimated
    guessed = [one for one in MODELS if one != "exact"]
    if name not in guessed or not 0.0 < power <= 20.0 or (colon and name not in POWERED):
        known = ", ".join(f"{one}:N" if one in POWERED else one.replace("_", "-") for one in guessed)
        raise ConfigError(f"--queue {text}: choose one of {known} (N: a power above 0, at most 20)")
    return name, power


def fees_of(text: str) -> tuple[FeeTiers, float]:
    """(schedule, volume of the last 14 days) of the fees' words. Raises ConfigError."""
    from slipstream.lob.replay import fee_tiers

    first, colon, second = text.partition(":")
    try:
        if text == "venue":
            return fee_tiers.hyperliquid(), 0.0
        if first == "tier" and colon:
            volume = float(second)
            if not 0.0 <= volume < 1e13:
                raise ValueError(f"{second} is no volume in USD")
            return fee_tiers.hyperliquid(), volume
        if colon:
            return fee_tiers.flat(float(first), float(second)), 0.0
        raise ValueError("these are no fees")
    except ValueError as error:
        raise ConfigError(
            f"--fees {text}: {error}; write venue, tier:USD (traded in the last 14 days) or MAKER:TAKER as fractions, "
            "such as 0.00015:0.00045"
        ) from None


def stated(terms: TickTerms) -> tuple[str, ...]:
    """How fills were taken, in the words of docs/fills.md."""
    lead = terms.anchored_to_self()
    fills = (
        "in part, never more than the trade" if terms.partial else "whole, however small the trade that reached them"
    )
    blocks = (
        f"requests are executed at the ends of blocks of {terms.block_ms:g} ms, post-only orders first, then cancels"
        if terms.block_ms
        else "requests are executed when they arrive: no blocks"
    )
    out = [
        "fills by the rules of docs/fills.md: a resting order fills when trades have used up what stood in front of "
        f"it, or when the market trades or quotes through its price; {fills}",
        f"queue: {terms.queue} decides how much of what left a level without a trade had stood in front of us",
        f"latency: {terms.latency} (ms to the exchange and back); the tape's times of hearing: {terms.clock}",
        blocks,
        f"fees: {terms.fees}; funding: {terms.funding}",
        "what we take is gone until the tape tells its level again"
        if terms.impact
        else "nobody reacts to our orders: neither to those that rest nor to those that take",
        "equity at the mid of the traded market",
    ]
    if lead == 0.0:
        out.append("anchor: the market's own mid as it was heard; there is no other exchange in this run")
    elif lead is not None:
        out.append(
            f"THE ANCHOR LOOKS INTO THE FUTURE: IT IS THE MARKET'S OWN MID {lead:g} MS BEFORE ANYBODY COULD KNOW IT. "
            "WHAT IS EARNED HERE COULD NOT HAVE BEEN EARNED"
        )
    return tuple(out)
