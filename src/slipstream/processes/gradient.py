"""`slipstream pod gradient`: Gradient's pod, hosted as every strategy over bars is."""

from __future__ import annotations

import msgspec

from slipstream.execution.settings import SECOND, KernelConfig, Limits
from slipstream.processes.bar_pod import pod_command
from slipstream.strategies.gradient.config import GradientConfig

MINUTE = 60 * SECOND
MILLI = 1_000_000


def kernel_config(config: GradientConfig, speed: float) -> KernelConfig:
    """The gate's limits and the kernel's patience at a venue's speed; what is venue time already is not scaled."""
    trade = config.trade
    limits = Limits(
        gross_cap=config.gross_cap,
        coin_cap=config.coin_cap,
        max_order=trade.max_order_usd,
        fat_finger=config.fat_finger,
        max_feed_age_ns=config.max_feed_age_ms * MILLI,
        require_mandate=config.require_mandate,
        actions_per_second=config.actions_per_second,
    )
    scaled = KernelConfig(limits=limits, max_slippage=trade.max_slippage, requote_ns=2 * SECOND).scaled(speed)
    return msgspec.structs.replace(scaled, patience_ns=int(trade.passive_minutes * MINUTE))


gradient = pod_command(
    "gradient", "Trend book: long the strongest, short the weakest, rebalanced on schedule, passive first."
)
