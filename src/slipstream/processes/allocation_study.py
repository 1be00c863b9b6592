"""`python -m slipstream.processes.allocation_study`: the fund's allocator among other ways to share, over simulated
funds. The allocator that is judged is the one that lends: `slipstream.federation.allocation.allocate`.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from msgspec.structs import replace
from rich.progress import Progress

from slipstream.federation.allocation import AllocationTerms, AllocatorInput, PodView, allocate
from slipstream.federation.evidence import Strength, correlation, strength
from slipstream.model.mandate import Stage
from slipstream.research.allocation_study import (
    Array,
    Policy,
    UniverseTerms,
    View,
    equal_weight,
    inverse_volatility,
    oracle,
    sample_kelly,
    study,
    table,
)

HOURS_A_DAY = 24.0
OURS = "allocator"


class _Seen:
    """What the past says, for policies that read the same past one after another: worked out once."""

    def __init__(self) -> None:
        self._past: Array = np.zeros((0, 0))
        self._found: tuple[tuple[Strength, ...], tuple[tuple[float, ...], ...]] = ((), ())

    def of(self, past: Array, terms: AllocationTerms) -> tuple[tuple[Strength, ...], tuple[tuple[float, ...], ...]]:
        """Strengths and correlation of the pods."""
        if past.base is not self._past.base or past.shape != self._past.shape or past.base is None:
            strengths = tuple(
                strength(past[:, i].tolist(), prior_vol=terms.prior_vol, hours_each=HOURS_A_DAY)
                for i in range(past.shape[1])
            )
            matrix = correlation(past, prior=terms.prior_correlation, prior_hours=terms.min_hours / HOURS_A_DAY)
            self._past, self._found = past, (strengths, tuple(tuple(float(x) for x in row) for row in matrix))
        return self._found


def fund_policy(terms: AllocationTerms, seen: _Seen) -> Policy:
    """The fund's allocator as a policy: one sharing a rebalance, every pod at maturity."""

    def weigh(view: View) -> Array:
        strengths, matrix = seen.of(view.past, terms)
        pods = tuple(
            PodView(f"pod{i}", Stage.MATURITY, found, float(view.weights[i] * view.wealth))
            for i, found in enumerate(strengths)
        )
        found = allocate(AllocatorInput(terms, view.wealth, view.high, pods, matrix))
        return np.array([share.capital for share in found.shares]) / view.wealth

    return weigh


def policies(universe: UniverseTerms, prior: float = 0.5) -> dict[str, Policy]:
    """Ours, with and without its drawdown control and stage cap, and the others."""
    caps = {Stage.MATURITY: 0.6}
    terms = AllocationTerms(
        reserve=universe.reserve, move_cost=universe.move_cost, max_turnover=1.0, stage_caps=caps, prior_sharpe_sd=prior
    )
    free = replace(terms, max_drawdown=0.99, stage_caps={Stage.MATURITY: 1.0})
    fraction, seen = terms.kelly_fraction, _Seen()
    return {
        OURS: fund_policy(terms, seen),
        "allocator, no drawdown control, no stage cap": fund_policy(free, seen),
        "equal weight": equal_weight(universe),
        "inverse volatility": inverse_volatility(universe),
        "quarter Kelly on sample means": sample_kelly(universe, fraction),
        "oracle (quarter Kelly on the truth)": oracle(universe, fraction),
    }


def main(
    universes: Annotated[int, typer.Option(min=2, help="How many simulated funds.")] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed is the same table.")] = 1,
    prior: Annotated[float, typer.Option(help="The sceptic's prior_sharpe_sd.")] = 0.5,
    skilled: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of pods that have an alpha.")] = 0.6,
    sharpe: Annotated[float, typer.Option(help="Mean Sharpe ratio a year of those.")] = 1.0,
) -> None:
    """Print the table of means and of paired differences with 95 % intervals."""
    terms = UniverseTerms(skilled=skilled, sharpe=sharpe)
    with Progress(transient=True) as progress:
        task = progress.add_task("universes", total=universes)
        found = study(
            terms,
            policies(terms, prior),
            universes,
            np.random.default_rng(seed),
            lambda done: progress.update(task, completed=done),
        )
    typer.echo(f"{universes} universes, seed {seed}, skilled {skilled:g}, Sharpe {sharpe:g}, prior {prior:g}\n")
    typer.echo("\n".join(table(found, OURS)))


if __name__ == "__main__":
    typer.run(main)
