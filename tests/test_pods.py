"""The pod's command line: what is wrong is said in one line, before anything is connected."""

import subprocess
import sys
from pathlib import Path

import pytest

SYMBOL = "symbols:\n  - symbol: BTC\n    cex_symbol: BTCUSDT\n    order_size: 0.005\n    max_inventory: 0.03\n"


def pod(folder: Path, config: str, *flags: str, module: str = "slipstream") -> subprocess.CompletedProcess[str]:
    (folder / "brawler.yml").write_text(config)
    argv = [sys.executable, "-m", module, *(("pod", "brawler") if module == "slipstream" else ())]
    argv += ["--config", "brawler.yml", "--state-dir", "state", *flags]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("module", ["slipstream", "slipstream.strategies.brawler.cli"])
def test_a_misspelt_key_is_placed_and_mended(tmp_path: Path, module: str) -> None:
    done = pod(tmp_path, "version: 1\nbase_spred: 0.001\n" + SYMBOL, module=module)
    assert done.returncode == 2
    assert "brawler.yml:2:1" in done.stderr and "base_spread" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_the_real_venue_wants_its_own_flag(tmp_path: Path) -> None:
    done = pod(tmp_path, "version: 1\nhl_url: https://api.hyperliquid.xyz\n" + SYMBOL, "--api-secret", "0x" + "11" * 32)
    assert done.returncode == 2
    assert "--mainnet" in done.stderr and "11" * 32 not in done.stdout + done.stderr


def test_a_key_that_is_none_is_refused_without_being_repeated(tmp_path: Path) -> None:
    done = pod(tmp_path, "version: 1\n" + SYMBOL, "--api-secret", "not-a-key-at-all")
    assert done.returncode == 2
    assert "64 hex digits" in done.stderr and "not-a-key" not in done.stdout + done.stderr
