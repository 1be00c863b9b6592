"""WebSocket subscriptions: what may be asked for, and its normalised form."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from slipstream.venues.emulator.exchange import Malformed
from slipstream.venues.emulator.info_market import INTERVALS
from slipstream.venues.emulator.query import Query

# type -> the fields it needs; everything else in a subscription is optional or ignored
KINDS: dict[str, tuple[str, ...]] = {
    "allMids": (),
    "l2Book": ("coin",),
    "bbo": ("coin",),
    "trades": ("coin",),
    "candle": ("coin", "interval"),
    "activeAssetCtx": ("coin",),
    "activeAssetData": ("user", "coin"),
    "orderUpdates": ("user",),
    "userEvents": ("user",),
    "userFills": ("user",),
    "userFundings": ("user",),
    "userNonFundingLedgerUpdates": ("user",),
    "notification": ("user",),
    "webData2": ("user",),
    "webData3": ("user",),
    "clearinghouseState": ("user",),
    "openOrders": ("user",),
    "spotState": ("user",),
    "twapStates": ("user",),
    "userTwapSliceFills": ("user",),
    "userTwapHistory": ("user",),
    "userHistoricalOrders": ("user",),
    "assetCtxs": (),
    "allDexsAssetCtxs": (),
    "fastAssetCtxs": (),
    "spotAssetCtxs": (),
    "allDexsClearinghouseState": ("user",),
    "outcomeMetaUpdates": (),
}
WITH_DEX = frozenset({"allMids", "clearinghouseState", "openOrders", "twapStates", "assetCtxs"})


class Topic(msgspec.Struct, frozen=True):
    """One stream: its type and what selects it. Two clients with equal topics get the same bytes."""

    kind: str
    coin: str = ""
    user: str = ""
    interval: str = ""
    figures: int | None = None
    mantissa: int | None = None
    fast: bool = False
    aggregate: bool = False
    dex: str = ""

    @property
    def channel(self) -> str:
        """The channel its messages carry."""
        return "user" if self.kind == "userEvents" else self.kind

    def echo(self) -> dict[str, Any]:
        """The normalised subscription, as the venue confirms it."""
        out: dict[str, Any] = {"type": self.kind}
        for name in KINDS[self.kind]:
            out[name] = getattr(self, name)
        if self.kind == "l2Book":
            out |= {"nSigFigs": self.figures, "mantissa": self.mantissa}
            if self.fast:
                out["fast"] = True
        elif self.kind == "userFills":
            out["aggregateByTime"] = self.aggregate
        elif self.kind in WITH_DEX and self.dex:
            out["dex"] = self.dex
        return out


def read_topic(raw: Any, coins: Collection[str]) -> Topic:
    """A subscription object as a topic. Raises Malformed if it fits none, or names an unknown coin."""
    if not isinstance(raw, dict):
        raise Malformed("a subscription is an object")
    query = Query(raw)
    kind = query.text("type")
    kind = "userEvents" if kind == "user" else kind
    needs = KINDS.get(kind)
    if needs is None:
        raise Malformed(f"unknown subscription {kind!r}")
    user = query.address() if "user" in needs else ""
    coin = query.text("coin") if "coin" in needs else ""
    interval = query.text("interval") if "interval" in needs else ""
    if coin and coin not in coins:
        raise Malformed(f"unknown coin {coin!r}")
    if interval and interval not in INTERVALS:
        raise Malformed(f"unknown interval {interval!r}")
    dex = raw.get("dex") if kind in WITH_DEX and isinstance(raw.get("dex"), str) else ""
    if kind != "l2Book":
        return Topic(kind, coin, user, interval, aggregate=kind == "userFills" and _flag(raw), dex=dex or "")
    figures, mantissa = query.optional("nSigFigs"), query.optional("mantissa")
    if figures is not None and figures not in (2, 3, 4, 5):
        raise Malformed(f"nSigFigs {figures}")
    if mantissa is not None and (mantissa not in (2, 5) or figures != 5):
        raise Malformed(f"mantissa {mantissa}")
    return Topic(kind, coin, figures=figures, mantissa=mantissa, fast=query.flag("fast"))


def _flag(raw: dict[str, Any]) -> bool:
    return Query(raw).flag("aggregateByTime")
