"""The fold: late, repeated, foreign and disordered messages; ages; sums; halts as a pod takes them."""

import json
import random
from decimal import Decimal
from functools import reduce

import msgspec
import pytest

from slipstream.console.fund_json import SCHEMA, to_json
from slipstream.console.fund_state import KEPT_DECISIONS, FundState, begin, fold
from slipstream.console.reading import (
    beat_age,
    halts_in_force,
    halts_of,
    is_dead,
    lease_left,
    open_breaks,
    problems,
    reasons_of,
    speed_of,
    stage_of,
    state_of,
    sums_of,
    venue_ns,
)
from slipstream.execution.permit import Permit
from slipstream.model.breaks import Level
from slipstream.model.mandate import Halt, Resume, Stage, TradingState
from slipstream.model.messages import Beat, Decision
from slipstream.runtime.bus.port import Received
from tests.console.fund_messages import (
    PODS,
    PROCESSES,
    REALM,
    SPEED,
    TOPICS,
    VENUE,
    WALL,
    S,
    audit,
    beat,
    broken,
    decision,
    mandate,
    received,
    report,
    stage,
    whole_fund,
)


def heard(*messages: Received) -> FundState:
    return reduce(fold, messages, begin(REALM, PODS, speed=SPEED))


def halt(writer: str, target: str, generation: int, state: TradingState = TradingState.HALTED) -> Received:
    said = Halt(generation, state, writer, f"why {generation}", "slipstream resume", generation)
    return received(TOPICS.halt(writer, target), said, retained=True)


def resume(writer: str, target: str, generation: int, whose: str = "") -> Received:
    return received(TOPICS.halt(writer, target), Resume(generation, writer, "mended", generation, whose), retained=True)


def test_fund_first_sums_are_the_auditors_and_keep_what_was_reported() -> None:
    sums = sums_of(heard(*whole_fund()))
    assert (sums.equity, sums.net_audited, sums.net_reported) == (Decimal("100026.50"), Decimal("26.50"), Decimal(27))
    assert (sums.net, sums.gross, sums.net_exposure) == (Decimal("26.50"), 12_800, -4800)
    assert (sums.fees, sums.funding, sums.fills, sums.orders) == (5, 2, 16, 2)


def test_without_an_auditor_the_pods_own_words_stand_and_equity_is_unknown() -> None:
    state = heard(report("brawler"))
    sums = sums_of(state)
    assert (sums.equity, sums.net_audited, sums.net, sums.gross) == (None, None, Decimal("13.5"), 8000)
    assert to_json(state, WALL)["fund"]["stale"] is True


def test_order_and_repetition_do_not_matter() -> None:
    messages = [
        *whole_fund(broken()),
        halt("auditor", "gradient", VENUE),
        mandate("brawler", 2),
        report("gradient", -1.0),
    ]
    expected = to_json(heard(*messages), WALL)
    rng = random.Random(3)
    for _ in range(20):
        mixed = messages + rng.sample(messages, 6)
        rng.shuffle(mixed)
        got = to_json(heard(*mixed), WALL)
        assert got == expected


def test_speed_and_lease_are_measured_on_beats() -> None:
    state = reduce(fold, whole_fund(), begin(REALM, PODS))
    assert speed_of(state) == pytest.approx(SPEED)
    assert venue_ns(state, WALL + S) == pytest.approx(VENUE + SPEED * S, abs=1000)
    assert lease_left(state, state.pods["brawler"], WALL + 5 * S) == pytest.approx(15.0)
    assert state_of(state, state.pods["brawler"], WALL + 5 * S) is TradingState.ACTIVE
    assert state_of(state, state.pods["brawler"], WALL + 21 * S) is TradingState.REDUCING


def test_speed_as_told_until_it_can_be_measured() -> None:
    state = reduce(fold, [beat("auditor")], begin(REALM, PODS, speed=12.0))
    assert speed_of(state) == 12.0
    assert speed_of(begin(REALM)) == 1.0


def test_the_dead_are_named_and_the_never_heard_too() -> None:
    state = heard(*whole_fund())
    assert problems(state, WALL + 3 * S) == ()
    state = reduce(fold, [beat(p, 4.0) for p in PROCESSES if p != "auditor"], state)
    wrong = problems(state, WALL + 5 * S)
    assert wrong == ("auditor is dead: its last beat is 5 s old",)
    assert is_dead(state, "auditor", WALL + 5 * S) and not is_dead(state, "brawler", WALL + 5 * S)
    silent = heard(beat("auditor"))
    assert beat_age(silent, "breaker", WALL) is None
    assert "breaker is dead: no beat was heard" in problems(silent, WALL)
    assert "nothing was heard" in problems(begin(REALM, PODS), WALL)[0]


def test_retained_figures_are_as_old_as_their_sender_says() -> None:
    old = received(TOPICS.pod("brawler", "report"), report("brawler", -600.0).message, retained=True)
    pod = to_json(heard(old), WALL)["pods"][0]
    assert (pod["age_s"], pod["stale"]) == (600.0, True)


def test_breaks_open_grow_and_close() -> None:
    warn = broken(level=Level.WARN)
    state = heard(*whole_fund(warn))
    assert problems(state, WALL) == ()
    state = fold(state, received(TOPICS.broken("gradient"), broken()))
    assert [b.level for b in open_breaks(state)] == [Level.REDUCING]
    assert "break position/gradient/ETH is reducing: 0.4 ETH" in problems(state, WALL)[0]
    state = fold(state, audit(cycle=10, second=1.0))
    assert open_breaks(state) == ()


def test_halts_stand_as_a_pod_takes_them() -> None:
    """Random halts and resumes, heard in any order: the view agrees with the pod's own gate."""
    rng = random.Random(11)
    for _ in range(200):
        said = []
        for generation in rng.sample(range(1, 40), 8):
            writer = rng.choice(["auditor", "breaker", "operator"])
            target = rng.choice(["all", "brawler", "gradient"])
            if rng.random() < 0.6:
                said.append(halt(writer, target, generation, rng.choice([TradingState.HALTED, TradingState.REDUCING])))
            else:
                whose = rng.choice(["", "auditor"]) if writer == "operator" else writer
                said.append(resume(writer, target, generation, whose))
        rng.shuffle(said)
        state = heard(*said)
        for slug in PODS:
            permit = Permit(slug, require_mandate=False)
            for item in said:
                if item.topic.split("/")[-1] in ("all", slug):
                    permit.fold(item.message)
            assert [p.halt for p in halts_of(state, slug)] == [h for _, h in sorted(permit.halts.items())]


def test_a_writer_speaks_for_itself_alone() -> None:
    forged = received(TOPICS.halt("auditor", "brawler"), Halt(9, TradingState.HALTED, "operator", "forged", "-"))
    assert halts_in_force(heard(forged)) == ()
    state = heard(halt("auditor", "brawler", 5), resume("breaker", "brawler", 9))
    assert [p.halt.who for p in halts_in_force(state)] == ["auditor"]
    assert halts_in_force(fold(state, resume("operator", "all", 9))) == ()


def test_nobody_is_heard_in_another_s_name() -> None:
    told = heard(report("gradient", 5), beat("auditor", 5))
    forged = [
        msgspec.structs.replace(report("gradient", 9), topic=TOPICS.pod("brawler", "report")),
        msgspec.structs.replace(beat("auditor", 9), topic=TOPICS.beat("brawler")),
    ]
    after = reduce(fold, forged, told)
    assert (after.pods, after.processes) == (told.pods, told.processes)


def test_a_halt_for_all_from_which_everybody_was_resumed_holds_nobody() -> None:
    state = heard(halt("operator", "all", 5), resume("operator", "brawler", 6))
    assert [p.target for p in halts_in_force(state)] == ["all"]
    assert halts_of(state, "brawler") == ()
    assert halts_in_force(fold(state, resume("operator", "gradient", 7))) == ()


def test_a_halt_shows_before_the_pod_speaks_of_it() -> None:
    state = heard(*whole_fund(), halt("operator", "gradient", VENUE))
    pod = state.pods["gradient"]
    assert state_of(state, pod, WALL) is TradingState.HALTED
    said = f"halted by operator: why {VENUE} (clears: slipstream resume)"
    assert reasons_of(state, pod) == (said,)
    state = fold(state, report("gradient", 1.0, state=TradingState.HALTED, reasons=(said,)))
    assert reasons_of(state, state.pods["gradient"]) == (said,)


def test_stage_mandate_ack_and_decisions() -> None:
    ack = received(TOPICS.pod("brawler", "ack"), Decision("obeys", "brawler", "active under mandate 3", VENUE))
    state = heard(
        stage("brawler", Stage.GROWTH, 2), stage("brawler"), mandate("brawler", 3), mandate("brawler", 2), ack
    )
    pod = state.pods["brawler"]
    assert stage_of(pod) is Stage.GROWTH
    assert pod.mandate is not None and pod.mandate.version == 3
    assert pod.ack is not None and state.decisions[-1].process == "brawler"
    for i in range(200):
        state = fold(state, decision(f"move {i}"))
    assert len(state.decisions) == KEPT_DECISIONS
    assert fold(state, decision("move 199")).decisions == state.decisions


def test_restart_with_lower_sequence_is_new() -> None:
    again = Beat("brawler", 1, 8, 1, VENUE + S, WALL + S)
    state = fold(heard(beat("brawler", 0.0)), received(TOPICS.beat("brawler"), again, wall=WALL + S))
    assert state.processes["brawler"].beat == again
    assert state.processes["brawler"].speed is None


def test_json_is_plain_and_carries_its_schema() -> None:
    out = to_json(heard(*whole_fund(broken()), halt("operator", "all", VENUE)), WALL)
    assert json.loads(json.dumps(out)) == out
    assert (out["schema"], SCHEMA, out["well"]) == (1, 1, False)
    assert out["fund"]["equity"] == "100026.5"
    pod = out["pods"][1]
    assert (pod["state"], pod["mandate"]["left_s"], pod["mandate"]["obeyed_version"]) == ("halted", 20.0, 3)
    eth = next(c for c in pod["coins"] if c["coin"] == "ETH")
    assert (eth["reported"]["position"], eth["audited"]["position"], eth["mark"]) == ("-1.5", "-1.1", "4000")
    assert out["breaks"][0]["evidence"][0] == "gradient reports -1.5 ETH"
    assert out["breaks"][0]["age_s"] == 90.0
    assert [h["target"] for h in out["halts"]] == ["all"]


def test_a_last_will_says_lost_until_the_pod_speaks_again() -> None:
    will = report("brawler", phase="lost", run=0, seq=0, ns=0, wall_ns=0).message
    lost = received(TOPICS.pod("brawler", "status"), will)
    state = fold(heard(*whole_fund()), lost)
    assert state.pods["brawler"].phase == "lost"
    assert state.pods["brawler"].report is not None and state.pods["brawler"].report.net == Decimal("13.5")
    state = fold(state, report("brawler", 1.0))
    assert state.pods["brawler"].phase == "running"
    kept = received(TOPICS.pod("brawler", "status"), will, retained=True)
    assert fold(state, kept).pods["brawler"].phase == "running"
    assert heard(kept).pods["brawler"].phase == "lost"


def test_beta_is_a_figure_and_no_event() -> None:
    told = Decision("beta", "", "beta to BTC", VENUE, after=0.25)
    state = heard(*whole_fund())
    assert sums_of(state).beta is None
    after = fold(state, received(TOPICS.decision("allocator"), told))
    assert sums_of(after).beta == 0.25 and after.decisions == state.decisions
