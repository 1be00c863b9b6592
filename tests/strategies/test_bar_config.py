"""The file of a strategy over bars: what is refused, what is recorded, and that all strategies say it alike."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from pydantic import ValidationError

from slipstream.strategies.bar_config import BarConfig, TradeBlock, kernel_settings
from slipstream.strategies.registry import STRATEGIES

BARS = sorted(slug for slug, entry in STRATEGIES.items() if issubclass(entry.config_model(), BarConfig))
KEYS = {"api_key": "0x1", "api_secret": "s", "main_wallet": "0x2"}


def test_every_strategy_over_bars_is_here() -> None:
    assert {"carry", "gradient", "template"} <= set(BARS)


@pytest.mark.parametrize("slug", BARS)
def test_a_record_reads_back_and_holds_no_secret(slug: str) -> None:
    model = STRATEGIES[slug].config_model()
    config = model.model_validate({f"hyperliquid_{key}": value for key, value in KEYS.items()})
    assert isinstance(config, BarConfig) and config.state_dir == f"state/{slug}"
    record = json.loads(json.dumps(config.public()))
    assert not {"hyperliquid_api_key", "hyperliquid_api_secret"} & record.keys()
    assert model.model_validate(record).public() == config.public()  # type: ignore[attr-defined]


@pytest.mark.parametrize("slug", BARS)
def test_the_kernel_is_held_to_the_file_and_venue_time_is_not_scaled(slug: str) -> None:
    config = STRATEGIES[slug].config_model().model_validate({"gross_cap": 700, "trade": {"max_order_usd": 7}})
    assert isinstance(config, BarConfig)
    hook = STRATEGIES[slug].hook("kernel")
    settings = hook(config, 20.0)
    assert settings == kernel_settings(config, 20.0)
    assert settings.limits.gross_cap == 700 and settings.limits.max_order == 7
    assert settings.patience_ns == hook(config, 1.0).patience_ns == 20 * 60 * 10**9
    assert settings.limits.max_feed_age_ns == 20 * hook(config, 1.0).limits.max_feed_age_ns


def test_a_deadline_before_the_patience_is_over_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"deadline_minutes 5\.0 is before passive_minutes 20\.0"):
        TradeBlock(deadline_minutes=5)


def test_times_and_bands_come_out_in_the_kernels_units() -> None:
    trade = TradeBlock(rebalance_hours=8, offset_minutes=2, deadline_minutes=30, min_trade_usd=10.5, band=0.25)
    schedule = trade.schedule("x:look")
    assert (schedule.every_ns, schedule.offset_ns, schedule.deadline_ns) == (28_800 * 10**9, 120 * 10**9, 1_800 * 10**9)
    assert (trade.quiet().min_usd, trade.quiet().share) == (Decimal("10.5"), Decimal("0.25"))
