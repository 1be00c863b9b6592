"""The config files of the project, overrides per symbol, and errors that say what, where and how to mend it."""

from decimal import Decimal
from pathlib import Path

import pytest

from slipstream.model.errors import ConfigError
from slipstream.runtime.config import load
from slipstream.strategies.brawler.config import BrawlerConfig, from_public
from slipstream.strategies.brawler.inventory import read_inventory

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = """version: 1
symbols:
  - {symbol: BTC, order_size: 0.001, max_inventory: 0.01}
"""


def read(tmp_path: Path, text: str) -> BrawlerConfig:
    path = tmp_path / "brawler.yml"
    path.write_text(text)
    return load(path, BrawlerConfig, env={})


@pytest.mark.parametrize("name", ["brawler.yml", "brawler_single_asset.example.yml"])
def test_the_project_s_own_files_load(name: str) -> None:
    config = load(ROOT / "configs" / name, BrawlerConfig, env={})
    assert all(terms.base_spread > 2 * terms.maker_fee for terms in config.terms)
    assert config.hyperliquid_api_secret is None


def test_the_single_asset_example_is_small() -> None:
    config = load(ROOT / "configs" / "brawler_single_asset.example.yml", BrawlerConfig, env={})
    assert len(config.symbols) == 1
    assert config.portfolio.gross_cap <= 100
    assert config.terms[0].max_inventory <= 5 * config.terms[0].order_size


def test_symbols_override_the_top_level(tmp_path: Path) -> None:
    text = (
        "version: 1\nbase_spread: 0.002\nlambda: 0.001\norder_size: 2\nmax_inventory: 8\nsymbols:\n"
        "  - {symbol: BTC, lambda: 0.003}\n"
        "  - {symbol: kPEPE, cex_symbol: 1000PEPEUSDT, order_size: 5, base_spread: 0.01}\n"
    )
    btc, pepe = read(tmp_path, text).terms
    assert (btc.base_spread, btc.skew, btc.order_size) == (0.002, 0.003, Decimal(2))
    assert (pepe.base_spread, pepe.skew, pepe.order_size) == (0.01, 0.001, Decimal(5))
    assert pepe.cex_symbol == "1000PEPEUSDT"


def test_decimals_are_read_as_they_are_written(tmp_path: Path) -> None:
    assert str(read(tmp_path, MINIMAL).terms[0].order_size) == "0.001"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 1\n", "symbols"),
        ("version: 2\nsymbols: []\n", "version 2 is not known"),
        (MINIMAL + "base_spred: 0.1\n", "did you mean `base_spread`"),
        (MINIMAL + "kill_switch: {hl_max_lag: 5}\n", "did you mean `hl_max_lag_ms`"),
        (MINIMAL + "base_spread: 0.0002\n", "does not pay for two maker fees"),
        (MINIMAL + "base_spread: .nan\n", "base_spread"),
        (MINIMAL + "max_volatility: -1\n", "max_volatility"),
        (MINIMAL + "kill_switch: {inventory_ratio: 0.5, inventory_resume_ratio: 0.6}\n", "must be below"),
        (MINIMAL + "portfolio: {resume_ratio: 0.95}\n", "put them in that order"),
        (MINIMAL + "portfolio: {gross_cap: 5, coin_cap: 10}\n", "above gross_cap"),
        (MINIMAL.replace("0.001", "1"), "above max_inventory"),
        (MINIMAL.replace("order_size: 0.001, ", ""), "`order_size` is missing"),
        (MINIMAL + "  - {symbol: BTC, order_size: 0.001, max_inventory: 0.01}\n", "listed twice"),
        (MINIMAL.replace("0.001", "-1"), "order_size"),
    ],
)
def test_errors_say_what_and_where(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert words in str(caught.value)
    assert "brawler.yml:" in str(caught.value)


def test_what_the_journal_keeps_has_no_credentials_and_reads_back(tmp_path: Path) -> None:
    text = MINIMAL + "hyperliquid_api_secret: 'hush-hush'\nhyperliquid_main_wallet: '0xabc'\nlambda: 0.002\n"
    config = read(tmp_path, text)
    assert "hush" not in repr(config)
    public = config.public()
    assert not any(key.startswith("hyperliquid") for key in public)
    assert from_public(public).terms == config.terms
    assert from_public(public).kill_switch == config.kill_switch


def test_only_what_waits_for_machines_is_scaled(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL)
    fast = config.scaled(20.0)
    assert fast.kill_switch.cex_max_lag_ms == 20 * config.kill_switch.cex_max_lag_ms
    assert fast.kill_switch.backoff_s == config.kill_switch.backoff_s
    assert fast.terms == config.terms


@pytest.mark.parametrize("text", ['{"BTC": 0.25}', '{"version": 1, "inventory": {"BTC": "0.25"}}'])
def test_inventory_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seeds.json"
    path.write_text(text)
    assert read_inventory(path, ["BTC", "ETH"]) == {"BTC": Decimal("0.25")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"BTX": 1}', "did you mean BTC?"),
        ('{"BTC": "much"}', "not a signed size"),
        ('{"BTC": NaN}', "not a signed size"),
        ('{"BTC": true}', "not a signed size"),
        ('{"BTC": 1, "BTC": 2}', "comes twice"),
        ('{"version": 7, "inventory": {}}', "version 1"),
        ('{"version": 1, "inventory": {}, "x": 1}', "unknown key `x`"),
    ],
)
def test_inventory_file_errors(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "seeds.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="inventory file") as caught:
        read_inventory(path, ["BTC", "ETH"])
    assert words in str(caught.value)
    with pytest.raises(ConfigError, match="no such file"):
        read_inventory(tmp_path / "none.json", ["BTC"])
