"""Config errors as people read them: what, where, how to mend; and who wins when several sources speak."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from slipstream.model.errors import ConfigError
from slipstream.runtime.config import load, read_yaml


class Portfolio(BaseModel):
    model_config = ConfigDict(extra="forbid")
    gross_cap: Decimal = Decimal(100)
    taper_start: float = Field(0.5, ge=0, le=1)


class Symbol(BaseModel):
    model_config = ConfigDict(extra="forbid")
    symbol: str
    max_inventory: Decimal = Decimal(1)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    version: int = 1
    base_spread: float = 0.001
    skew: float = Field(0.5, alias="lambda")
    api_secret: str | None = None
    portfolio: Portfolio = Portfolio()
    symbols: list[Symbol] = []
    overrides: dict[str, Portfolio] = {}
    coins: tuple[str, ...] = ()

    @field_validator("base_spread")
    @classmethod
    def positive(cls, value: float) -> float:
        if not value > 0:
            raise ValueError("must be above 0; 0.001 is 10 basis points")
        return value

    @field_validator("api_secret")
    @classmethod
    def long(cls, value: str | None) -> str | None:
        if value is not None and len(value) < 20:
            raise ValueError("too short for a key")
        return value


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "brawler.yml"
    path.write_text(text)
    return path


def complaint(tmp_path: Path, text: str, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), Settings, env={}, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(str(tmp_path) + "/", "")


GOOD = """\
version: 1
base_spread: 0.002
lambda: 0.7
portfolio:
  gross_cap: 250.5
symbols:
  - symbol: BTC
    max_inventory: 0.01
  - symbol: ETH
"""


def test_a_good_file(tmp_path: Path) -> None:
    found = load(write(tmp_path, GOOD), Settings, env={})
    assert (found.base_spread, found.skew, found.portfolio.gross_cap) == (0.002, 0.7, Decimal("250.5"))
    assert [s.symbol for s in found.symbols] == ["BTC", "ETH"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\ngross_cap: 1\n", "brawler.yml:2:1: unknown key `gross_cap`; did you mean `portfolio.gross_cap`?"),
        ("version: 1\nbase_spred: 1\n", "brawler.yml:2:1: unknown key `base_spred`; did you mean `base_spread`?"),
        (
            "version: 1\nportfolio:\n  gros_cap: 1\n",
            "brawler.yml:3:3: unknown key `portfolio.gros_cap`; did you mean `gross_cap`?",
        ),
        (
            "version: 1\nsymbols:\n- symbol: BTC\n- symbol: ETH\n  maximum: 2\n",
            "brawler.yml:5:3: unknown key `symbols[1].maximum`; known keys here: max_inventory, symbol",
        ),
        (
            "version: 1\noverrides:\n  BTC:\n    gross: 1\n",
            "brawler.yml:4:5: unknown key `overrides.BTC.gross`; did you mean `gross_cap`?",
        ),
        (
            "version: 1\nbase_spread: 1\nbase_spread: 2\n",
            'brawler.yml:3:1: found duplicate key "base_spread"; keep one of the two',
        ),
        ("base_spread: 1\n", "brawler.yml:1:1: the key `version` is missing; add `version: 1`"),
        ("version: 3\n", "brawler.yml:1:1: version 3 is not known; this release reads 1"),
        (
            "version: 1\nbase_spread: -1\n",
            "brawler.yml:2:1: `base_spread`: must be above 0; 0.001 is 10 basis points (given -1)",
        ),
        (
            "version: 1\nbase_spread: wide\n",
            "brawler.yml:2:1: `base_spread`: input should be a valid number, unable to parse string as a number "
            "(given 'wide')",
        ),
        (
            "version: 1\nportfolio:\n  taper_start: 7\n",
            "brawler.yml:3:3: `portfolio.taper_start`: input should be less than or equal to 1 (given 7)",
        ),
        ("version: 1\nsymbols:\n- max_inventory: 2\n", "brawler.yml:3:3: `symbols[0].symbol`: field required"),
        ("version: 1\napi_secret: hunter2\n", "brawler.yml:2:1: `api_secret`: too short for a key"),
        ("- a\n- b\n", "brawler.yml:1:1: a config file is a mapping of keys to values, not a list"),
    ],
)
def test_complaints_say_what_where_and_how(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text) == expected


@pytest.mark.parametrize("text", ["version: 1\n  base: [", "version: 1\n\tbase_spread: 2\n", "a: *b\n", "{", "\x00"])
def test_what_is_not_yaml_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    assert "not valid YAML" in complaint(tmp_path, text) and "brawler.yml" in complaint(tmp_path, text)


def test_several_findings_are_told_together(tmp_path: Path) -> None:
    text = complaint(tmp_path, "version: 1\nbase_spread: -1\nportfolio:\n  taper_start: 7\n")
    assert [line.split(": ")[0] for line in text.split("\n")] == ["brawler.yml:2:1", "brawler.yml:4:3"]


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError, match=r"brawlr\.yml: no such file; did you mean .*/brawler\.yml\?"):
        load(tmp_path / "brawlr.yml", Settings, env={})
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path)


def test_flags_beat_the_file_the_file_beats_the_environment_and_that_beats_env_files(tmp_path: Path) -> None:
    path = write(tmp_path, "version: 1\nbase_spread: 0.002\n")
    dotenv = tmp_path / ".env.brawler"
    dotenv.write_text("SLIP_SKEW=0.1\nSLIP_PORTFOLIO__TAPER_START=0.2\nSLIP_BASE_SPREAD=9\nOTHER=1\n")
    env = {"SLIP_SKEW": "0.3", "SLIP_BASE_SPREAD": "8", "SLIP_PORTFOLIO__GROSS_CAP": "7", "SLIP_COINS": '["BTC"]'}
    found = load(
        path,
        Settings,
        env_prefix="SLIP_",
        env=env,
        env_files=[dotenv, tmp_path / "absent"],
        overrides={"portfolio.gross_cap": "5", "skew": None},
    )
    assert found.base_spread == 0.002
    assert found.skew == 0.3
    assert found.portfolio.gross_cap == 5
    assert found.portfolio.taper_start == 0.2
    assert found.coins == ("BTC",)


def test_errors_of_flags_and_variables_name_them(tmp_path: Path) -> None:
    path = write(tmp_path, "version: 1\n")
    with pytest.raises(ConfigError, match=r"^flag --portfolio-taper-start: `portfolio\.taper_start`: input should"):
        load(path, Settings, env={}, overrides={"portfolio.taper_start": 3})
    with pytest.raises(ConfigError, match=r"^environment variable SLIP_BASE_SPREAD: `base_spread`: must be above"):
        load(path, Settings, env_prefix="SLIP_", env={"SLIP_BASE_SPREAD": "-2"})
    with pytest.raises(ConfigError, match="environment variable SLIP_COINS: expected JSON"):
        load(path, Settings, env_prefix="SLIP_", env={"SLIP_COINS": "BTC"})
    with pytest.raises(ConfigError, match=r"flag: unknown key `portfolio\.gros`; did you mean `gross_cap`"):
        load(path, Settings, env={}, overrides={"portfolio.gros": 3})


def test_no_file_at_all_is_defaults_and_environment() -> None:
    assert load(None, Settings, env_prefix="S_", env={"S_BASE_SPREAD": "2"}).base_spread == 2.0
