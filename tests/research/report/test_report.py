"""The report's figures: identities that must hold, honesty where little is known, and the files that are written."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from slipstream.core.portfolio.periods import DAY_MS, periods
from slipstream.core.portfolio.record import BacktestRecord
from slipstream.core.stats import performance
from slipstream.research.report import Sweep, write_report
from slipstream.research.report.comparison import compare
from slipstream.research.report.figures import Report, report
from slipstream.research.report.page import amount, chance, length, markdown, number, plain_markdown, share, signed
from slipstream.research.report.ratios import FIGURES, evidence, ratios
from slipstream.research.report.sweep import as_sweep, judge
from slipstream.research.report.write import check_folder, replace_file

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01


def record(
    returns: Any, *, step: int = HOUR, seed: int = 0, capital: float = 100_000.0, **given: Any
) -> BacktestRecord:
    """A record with these returns, and flows of every kind."""
    r = np.asarray(returns, dtype=np.float64)
    rng = np.random.default_rng(seed)
    equity = capital * np.cumprod(1.0 + r)
    gross = 1.5 * np.abs(equity)
    fields: dict[str, Any] = {
        "slug": "carry",
        "title": "Carry",
        "stamps": START + step * np.arange(1, r.size + 1),
        "equity": equity,
        "capital": capital,
        "gross": gross,
        "net": 0.1 * gross,
        "turnover": rng.uniform(0.0, 5_000.0, r.size),
        "costs": {"fee": rng.uniform(0.0, 3.0, r.size), "impact": rng.uniform(0.0, 1.0, r.size)},
        "funding": rng.normal(0.5, 2.0, r.size),
        "coin_pnl": {"BTC": 0.75 * (equity[-1] - capital), "ETH": 0.25 * (equity[-1] - capital)},
        "assumptions": ("filled at the next open",),
    }
    return BacktestRecord(**fields | given)


def noise(n: int, seed: int = 1, mean: float = 0.0, sd: float = 0.004) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, n)


def made(one: BacktestRecord, **given: Any) -> Report:
    return report(one, np.random.default_rng(3), **given)


# ---- periods ------------------------------------------------------------------------------------------------------


def test_flows_are_summed_and_equity_is_the_days_last() -> None:
    one = record(noise(24 * 40))
    kept = periods(one)
    assert (kept.name, kept.ann, len(kept.ends), kept.empty) == ("day", 365.0, 40, 0)
    assert kept.equity == pytest.approx(one.equity[23::24])
    assert kept.turnover == pytest.approx(one.turnover.reshape(40, 24).sum(axis=1))
    assert kept.gross == pytest.approx(one.gross.reshape(40, 24).mean(axis=1))
    assert kept.pnl.sum() == pytest.approx(one.equity[-1] - one.capital)
    assert np.prod(1.0 + kept.returns) == pytest.approx(one.equity[-1] / one.capital)
    assert kept.ends[0] == START + DAY_MS  # midnight ends the day before


@pytest.mark.parametrize(
    ("count", "step", "name"),
    [
        (24 * 20, HOUR, "hour"),
        (90, 60_000, "minute"),
        (20, DAY_MS, "period"),
        (60, 7 * DAY_MS, "period"),
        (1, HOUR, "period"),
    ],
)
def test_the_calendar_suits_the_record(count: int, step: int, name: str) -> None:
    kept = periods(record(noise(count), step=step))
    assert kept.name == name and kept.returns.size == (count if name != "minute" else 90)


def test_days_without_a_stamp_earn_nothing_and_are_told() -> None:
    one = record(noise(40), step=DAY_MS)
    gap = one.stamps.copy()
    gap[20:] += 3 * DAY_MS
    found = made(replace(one, stamps=gap))
    assert any("3 of 43 days have no stamp" in line for line in found.findings)
    assert found.money.profit == pytest.approx(one.equity[-1] - one.capital)


def test_a_ruined_account_is_reported_to_its_end() -> None:
    r = np.concatenate([noise(50), [-1.2], noise(10)])
    one = record(r, step=DAY_MS)
    found = made(replace(one, coin_pnl={}))
    assert found.verdict == "The account lost everything." and found.tone == "down"
    assert any("lost everything by 2024-02-21" in line for line in found.findings)
    assert {ratio.name: ratio.value for ratio in found.ratios}["Total return"] == -1.0
    assert found.series.equity[-1] < 0.0


# ---- figures ------------------------------------------------------------------------------------------------------


def test_profit_is_price_and_funding_less_costs() -> None:
    one = record(noise(24 * 100))
    found = made(one)
    money = found.money
    assert money.price + money.funding - money.cost == pytest.approx(money.profit)
    assert money.costs == pytest.approx({name: part.sum() for name, part in one.costs.items()})
    assert money.cost_bp == pytest.approx(money.cost / one.turnover.sum() * 1e4)
    assert sum(month.profit for month in found.calendar) == pytest.approx(money.profit)
    assert math.prod(1.0 + month.share for month in found.calendar) == pytest.approx(1.0 + money.profit / one.capital)
    assert [month.name for month in found.calendar] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert found.holding.gross == pytest.approx(1.5) and found.holding.net == pytest.approx(0.15)


def test_ratios_are_those_of_the_statistics() -> None:
    r = noise(200, mean=0.001)
    found = {ratio.name: ratio for ratio in ratios(r, 365.0, np.random.default_rng(1))[0]}
    want = performance.performance(r, 365.0)
    pairs = {
        "Total return": want.total_return,
        "Return a year": want.cagr,
        "Volatility a year": want.vol_ann,
        "Sharpe ratio": want.sharpe,
        "Sortino ratio": want.sortino,
        "Calmar ratio": want.calmar,
        "Max drawdown": want.max_drawdown,
        "VaR 95 %": want.var95,
        "CVaR 95 %": want.cvar95,
    }
    assert set(pairs) == set(found)
    for name, value in pairs.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name
        assert found[name].low < found[name].high


def test_intervals_cover_the_truth() -> None:
    truth, inside = 0.002 / 0.01 * math.sqrt(365), 0
    for seed in range(60):
        found, _, _ = ratios(noise(250, seed, 0.002, 0.01), 365.0, np.random.default_rng(seed))
        one = found[[name for name, *_ in FIGURES].index("Sharpe ratio")]
        inside += one.low <= truth <= one.high
    assert inside >= 51  # 95 % of 60, less four standard errors


def test_little_data_gives_no_intervals_and_no_claims() -> None:
    for count in (1, 2, 5):
        found = made(record(noise(count), step=DAY_MS))
        assert all(ratio.low is None for ratio in found.ratios)
        assert "Too short to judge" in found.verdict
        assert markdown(found)
    flat = made(record(np.zeros(60), step=DAY_MS))
    assert {r.name: r.value for r in flat.ratios}["Sharpe ratio"] is None
    assert flat.evidence is not None and flat.evidence.p is None


def test_verdicts_say_what_the_numbers_say() -> None:
    lucky = noise(100)
    lucky = lucky - lucky.mean() + 2e-4
    assert "no more than chance can explain" in made(record(lucky, step=DAY_MS)).verdict
    good = made(record(noise(200, mean=0.003), step=DAY_MS))
    assert "more than chance easily explains" in good.verdict and good.tone == "up"
    bad = made(record(noise(200, mean=-0.003), step=DAY_MS))
    assert "Lost money, even before costs of" in bad.verdict and bad.tone == "down"
    slightly = lucky - lucky.mean() - 1e-6
    assert "before costs of" in made(record(slightly, step=DAY_MS)).verdict


def test_coins_that_do_not_add_up_are_told() -> None:
    one = record(noise(60, mean=0.002), step=DAY_MS)
    assert not made(one).findings
    assert "adds up to" in made(replace(one, coin_pnl={"BTC": 1.0})).findings[0]


def test_autocorrelated_returns_flatter_the_yearly_ratio() -> None:
    e = noise(2001)
    slow = evidence(e[1:] + 0.8 * e[:-1] + 0.001, 365.0, 1.0)
    assert slow is not None and slow.week_scaling is not None and slow.week_scaling < 0.85
    plain = evidence(e + 0.001, 365.0, 1.0)
    assert plain is not None and plain.week_scaling == pytest.approx(1.0, abs=0.1)


# ---- comparison and sweep -----------------------------------------------------------------------------------------


def test_a_rival_is_told_apart_only_if_it_differs() -> None:
    base = noise(24 * 120)
    one = record(base)
    worse = record(base - 2e-4 + noise(base.size, 5, 0.0, 5e-4), title="worse")
    other = record(noise(24 * 120, 9), title="other")
    found = compare(one, [worse, other, one], np.random.default_rng(1))
    assert [row.worth for row in found] == [True, False, False]
    assert found[0].usd == pytest.approx(0.0048 * one.capital, rel=0.2) and found[0].low > 0.0
    assert found[0].p_holm == pytest.approx(2 * found[0].p_mean)  # two of the three can be tested
    assert found[2].p_mean is None and found[2].usd == 0.0 and found[2].name == "Carry (2)"


def test_only_shared_time_is_compared() -> None:
    one, late = record(noise(24 * 60)), record(noise(24 * 60, 2), title="late")
    later = replace(late, stamps=late.stamps + 20 * DAY_MS)
    assert compare(one, [later], np.random.default_rng(1))[0].shared == 40
    with pytest.raises(ValueError, match="0 days in common"):
        compare(one, [replace(late, stamps=late.stamps + 90 * DAY_MS)], np.random.default_rng(1))
    with pytest.raises(ValueError, match="bars of the same length"):
        compare(one, [record(noise(40), step=7 * DAY_MS)], np.random.default_rng(1))


def test_a_sweep_of_noise_convinces_nobody_and_a_real_one_does() -> None:
    rng = np.random.default_rng(2)
    luck = judge(as_sweep(rng.normal(0.0, 0.01, (400, 40)), 365.0))
    assert luck.deflated is not None and luck.deflated < 0.95 and luck.trials == 40
    assert luck.sharpe == pytest.approx(max(luck.sharpes))
    panel = rng.normal(0.0, 0.01, (400, 40))
    panel[:, 5] += 0.004
    real = judge(Sweep(names=tuple(map(str, range(40))), returns=panel, ann=365.0))
    assert real.chosen == "5" and real.deflated is not None and real.deflated > 0.99 and real.probability < 0.05
    assert judge(Sweep(names=tuple(map(str, range(40))), returns=panel, ann=365.0, chosen=3)).chosen == "3"
    doubted = made(record(noise(200, mean=0.003), step=DAY_MS), sweep=rng.normal(0.0, 0.01, (400, 40)))
    assert "pick of 40 trials" in doubted.verdict and doubted.tone == ""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"names": ("a",)}, "2 trials has 1 names"),
        ({"chosen": 2}, "counted from 0"),
        ({"ann": 0.0}, "positive number of periods"),
        ({"returns": np.array([[0.1, math.nan]] * 9)}, "trial 1 has no finite return at period 0"),
    ],
)
def test_a_senseless_sweep_is_refused(given: dict[str, Any], says: str) -> None:
    fields: dict[str, Any] = {"names": ("a", "b"), "returns": np.zeros((9, 2)), "ann": 365.0}
    with pytest.raises(ValueError, match=says):
        Sweep(**fields | given)


# ---- files --------------------------------------------------------------------------------------------------------

NASTY = ("<script>alert(1)</script>", "$\\frac{1}{2}$", "a|b_c*d`e", "&amp;<img src=x>", "line\nbreak\x07")


class Tags(HTMLParser):
    """What a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.ids += [known["id"]] if known.get("id") else []
        links = [known.get(key) or "" for key in ("src", "href", "xlink:href")]
        if tag in ("script", "img", "link", "iframe", "object") or any(key.startswith("on") for key in known):
            self.bad.append(tag)
        self.bad += [link for link in links if link and not link.startswith("#")]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    one = record(
        noise(24 * 60, mean=1e-4),
        title=NASTY[0],
        coin_pnl={name: 100.0 * k - 100.0 for k, name in enumerate((*NASTY, *(f"C{k}" for k in range(30))))},
        assumptions=NASTY,
        findings=NASTY,
        settings={"config": {NASTY[3]: list(NASTY)}, "many": list(range(40))},
    )
    other = record(noise(24 * 60, 7), title=NASTY[3])
    folder = tmp_path_factory.mktemp("report") / "deep" / "er"
    sweep = np.random.default_rng(1).normal(0.0, 0.01, (60, 12))
    paths = write_report(one, folder, others=[other], sweep=sweep, seed=5)
    assert paths.html.parent == folder and sorted(p.name for p in folder.iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip
    again = write_report(one, folder / "again", others=[other], sweep=sweep, seed=5)
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths]
    return folder


def test_the_page_loads_and_runs_nothing(written: Path) -> None:
    page = (written / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.bad == []
    assert len(tags.ids) == len(set(tags.ids))
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/", "")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script" not in page
    assert not any(f"#0{k}0{k}0{k}" in page for k in "12345678") and page.count("<svg") == 2 * 11


def test_every_picture_is_a_drawing_in_the_pages_colours(written: Path) -> None:
    page = (written / "report.html").read_text()
    pictures = [part[: part.index("</svg>") + 6] for part in page.split("<svg")[1:]]
    for one in pictures:
        tree = ElementTree.fromstring("<svg" + one)
        assert "viewBox" in tree.attrib and "width" not in tree.attrib
        assert "var(--" in one
        marks = [node for node in tree.iter() if node.tag.endswith(("path", "use"))]
        assert len(marks) > 3
    assert any("$\\frac{1}{2}$" in "".join(ElementTree.fromstring("<svg" + one).itertext()) for one in pictures)


def test_json_is_strict_and_whole(written: Path) -> None:
    found = json.loads((written / "report.json").read_text(), parse_constant=lambda x: pytest.fail(x))
    assert found["title"] == NASTY[0] and [coin["name"] for coin in found["coins"]][-1] == NASTY[0]
    assert len(found["series"]["equity"]) == 60 and found["sweep"]["trials"] == 12
    assert found["comparison"][0]["name"] == NASTY[3]
    assert found["settings"]["many"].endswith("and 28 more")


def test_markdown_tables_hold_whatever_names_come(written: Path) -> None:
    text = (written / "report.md").read_text()
    assert "<script" not in text and "<img" not in text and "\x07" not in text
    width = None
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else None
        assert cells is None or width is None or cells == width, line
        width = cells
    assert "a\\|b\\_c\\*d\\`e" in text


def test_nothing_is_written_where_a_comparison_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in common"):
        write_report(
            record(noise(24 * 40)),
            tmp_path / "r",
            others=[record(noise(24 * 40), stamps=START + 90 * DAY_MS + HOUR * np.arange(1, 961))],
        )
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("kind", ["one", "flat", "ruined", "nothing held"])
def test_every_record_has_a_page(kind: str, tmp_path: Path) -> None:
    empty: dict[str, Any] = {"costs": {}, "coin_pnl": {}, "assumptions": (), "turnover": np.zeros(40)}
    one = {
        "one": record(noise(1)),
        "flat": record(np.zeros(40)),
        "ruined": record(np.concatenate([noise(60, sd=0.02), [-1.5], noise(3)]), step=DAY_MS),
        "nothing held": record(np.zeros(40), gross=np.zeros(40), net=np.zeros(40), **empty),
    }[kind]
    paths = write_report(one, tmp_path)
    page = paths.html.read_text()
    assert "nan" not in page.lower().replace("finance", "") and "None" not in page
    assert "Carry" in page and "By " in page and json.loads(paths.json.read_text())["slug"] == "carry"
    assert ("Nothing was stated" in page) is (kind == "nothing held")


def test_numbers_are_said_as_people_say_them() -> None:
    assert (amount(-1234.4), amount(0.2), amount(0.0), amount(None)) == ("−1,234", "+0.20", "+0.00", "–")
    assert (share(-0.00012), signed(0.000004), signed(1e-9)) == ("−0.0120 %", "+0.0004 %", "0.00 %")
    assert (length(59 / 1440), length(0.5), length(400)) == ("59 minutes", "12.0 hours", "400.0 days")
    assert (share(-0.12345), signed(0.12345), signed(0.0)) == ("−12.35 %", "+12.35 %", "0.00 %")
    assert (number(-0.001), number(1234.5)) == ("0.00", "1,234.50")
    assert (chance(1e-9), chance(0.0042), chance(0.5)) == ("<0.0001", "0.0042", "0.50")
    assert plain_markdown("a\nb|c") == "a b\\|c"


def test_a_page_is_replaced_whole_or_stays_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "report.html"
    replace_file(page, "old")

    def full(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text[:2].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as found:
        replace_file(page, "newer")
    assert found.value.filename == str(page)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"] and page.read_text() == "old"


def test_a_place_for_a_report_is_judged_before_the_work(tmp_path: Path) -> None:
    check_folder(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as found:
        check_folder(tmp_path / "file" / "below")
    assert found.value.filename == str(tmp_path / "file")
