"""Event arrays there and back; what is no such array is refused by event."""

from pathlib import Path

import numpy as np
import pytest

from slipstream.data.tape.fault import TapeError
from slipstream.data.tape.findings import HEARD_BACK, POLICIES
from slipstream.data.tape.hftbacktest import BUY, EVENT_DTYPE, ON_EXCHANGE, ON_LOCAL, SELL, convert, write_events
from slipstream.data.tape.reader import open_tape
from slipstream.data.tape.scale import Grid, Market
from slipstream.data.tape.terms import Terms
from slipstream.lob.replay.rows import BEST, CLEAR, DEPTH, FUNDING, MORE, ROW_DTYPE, TRADE

MARKET = Market(venue="hftbacktest", coin="btc", grid=Grid(tick_size="0.1"), lot="0.001")
T0 = 1_723_161_256_000_000_000
BOTH = ON_EXCHANGE | ON_LOCAL


def rows_of(seed: int, count: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    rows = np.zeros(count, ROW_DTYPE)
    rows["exch_ns"] = T0 + np.cumsum(rng.integers(0, 10**6, count))
    rows["local_ns"] = np.maximum.accumulate(rows["exch_ns"] + rng.integers(10**5, 10**7, count))
    rows["kind"] = rng.choice([DEPTH, TRADE, BEST, CLEAR], count, p=[0.7, 0.15, 0.1, 0.05])
    rows["side"] = rng.choice([-1, 1], count)
    rows["tick"] = rng.integers(1, 700_000, count)
    rows["lots"] = rng.integers(1, 10**7, count)
    clear = rows["kind"] == CLEAR
    rows["tick"][clear] = rng.choice([-1, 5], int(clear.sum()))
    rows["lots"][clear] = 0
    return rows


def events(*entries: tuple[int, int, int, float, float]) -> np.ndarray:
    out = np.zeros(len(entries), EVENT_DTYPE)
    for k, (ev, exch, local, px, qty) in enumerate(entries):
        out[k]["ev"], out[k]["exch_ts"], out[k]["local_ts"], out[k]["px"], out[k]["qty"] = (
            ev,
            T0 + exch,
            T0 + local,
            px,
            qty,
        )
    return out


def saved(folder: Path, array: np.ndarray, name: str = "data") -> Path:
    np.savez_compressed(folder / "btc.npz", **{name: array})
    return folder / "btc.npz"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_there_and_back_is_the_same_rows(tmp_path: Path, seed: int) -> None:
    rows = rows_of(seed, 5_000)
    funding = rows[:1].copy()
    funding["kind"] = FUNDING
    chunks = [rows[:1_700], rows[1_700:]]
    assert write_events(tmp_path / "btc.npz", [*chunks, funding], MARKET) == rows.size
    loaded = np.load(tmp_path / "btc.npz")["data"]  # as its own reader would
    assert loaded.dtype == EVENT_DTYPE and loaded.size == rows.size
    assert np.allclose(loaded["px"][rows["tick"] > 0], rows["tick"][rows["tick"] > 0] * 0.1)
    report = convert(tmp_path / "btc.npz", tmp_path / "tapes", Terms())
    assert report.made[0].header.market == MARKET
    assert np.array_equal(open_tape(report.made[0].folder).rows, rows)
    assert {path.name for path in tmp_path.iterdir()} == {"btc.npz", "tapes"}


def test_messages_lose_only_their_bond(tmp_path: Path) -> None:
    rows = rows_of(4, 50)
    bound = rows.copy()
    bound["kind"][:-1] |= MORE
    write_events(tmp_path / "btc.npz", [bound], MARKET)
    terms = Terms(tick_sizes={"btc": "0.1"}, size_decimals={"btc": 3})
    report = convert(tmp_path / "btc.npz", tmp_path / "tapes", terms)
    assert np.array_equal(open_tape(report.made[0].folder).rows, rows)


def test_events_of_both_orders_are_rows_once(tmp_path: Path) -> None:
    source = saved(
        tmp_path,
        events(
            (1 | BUY | BOTH, 0, 5, 100.1, 1.0),
            (1 | SELL | ON_EXCHANGE, 1, 9, 100.3, 1.0),
            (4 | SELL | ON_LOCAL, 2, 6, 100.4, 1.0),
            (4 | SELL | ON_EXCHANGE, 2, 6, 100.4, 1.0),
            (1 | SELL | ON_LOCAL, 1, 9, 100.3, 1.0),
        ),
    )
    report = convert(source, tmp_path / "tapes", Terms(coins=("BTC",), size_decimals={"BTC": 3}))
    rows = open_tape(report.made[0].folder).rows
    assert (rows["exch_ns"] - T0).tolist() == [0, 1, 2] and (rows["local_ns"] - T0).tolist() == [5, 9, 9]
    assert rows["side"].tolist() == [1, -1, -1]
    said = {one.reason: one.count for one in report.made[0].header.findings}
    assert said == {POLICIES[HEARD_BACK].reason: 1, "an event for our side alone": 2}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ((77 | BUY | BOTH, 1, 2, 100.1, 1.0), "event 1: a kind of event"),
        ((1 | BOTH, 1, 2, 100.1, 1.0), "event 1: neither BUY nor SELL"),
        ((1 | BUY | BOTH, 1, 2, 100.14, 1.0), "event 1: a price off the grid"),
        ((1 | BUY | BOTH, 1, 2, 100.1, 0.0001), "event 1: a size that is not in whole lots"),
        ((2 | BUY | BOTH, 1, 2, 100.1, 0.0), "event 1: a trade of no size"),
        ((1 | BUY | BOTH, -1, 2, 100.1, 1.0), "event 1: the exchange's time goes back"),
        ((1 | BUY | BOTH, 1, 2, float("nan"), 1.0), "event 1: a price off the grid"),
    ],
)
def test_a_bad_event_is_named(tmp_path: Path, entry: tuple[int, int, int, float, float], why: str) -> None:
    source = saved(tmp_path, events((1 | BUY | BOTH, 0, 1, 100.1, 1.0), entry))
    with pytest.raises(TapeError, match=why):
        convert(source, tmp_path / "tapes", Terms(tick_sizes={"btc": "0.1"}, size_decimals={"btc": 3}))


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    whole = saved(tmp_path, events(*[(1 | BUY | BOTH, k, k, 100.1 + k / 10, 1.0) for k in range(500)]))
    data = whole.read_bytes()
    cases = {
        "cut.npz": (data[: len(data) // 2], "not an .npz file, or cut off"),
        "text.npz": (b"hello", "not an .npz file"),
        "bad.npy": (b"hello there", "not a numpy array"),
    }
    for name, (content, why) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(TapeError, match=why):
            convert(tmp_path / name, tmp_path / "tapes", Terms())
    with pytest.raises(TapeError, match="hftbacktest's array is `data`"):
        convert(saved(tmp_path, np.zeros(3), "other"), tmp_path / "tapes", Terms())
    with pytest.raises(TapeError, match=r"an array \(3,\) of float64"):
        convert(saved(tmp_path, np.zeros(3)), tmp_path / "tapes", Terms())
    with pytest.raises(TapeError, match="holds one coin's events"):
        convert(whole, tmp_path / "tapes", Terms(coins=("A", "B")))
