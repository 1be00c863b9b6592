"""A pod process killed with SIGKILL under load, again and again, on one venue and one journal.

`python -m tests.chaos.kills --kills 100 --seed 1`
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random

from slipstream.runtime.telemetry import start_logging
from slipstream.venues.emulator.serve import RunningVenue, ServeOptions, running_venue
from tests.chaos.street import CONFIG, SPEED, Truth, compare


async def _life(folder: Path, venue: RunningVenue, seconds: float | None) -> tuple[int, str]:
    """One pod process: killed ``seconds`` after it runs, or stopped in order (None). Exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "slipstream", "pod", "brawler", "--config", str(folder / "brawler.yml")),
        *("--hl-url", venue.url, "--state-dir", str(folder / "state"), "--log-level", "error"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode():
                lines.append(line)
                if " running " in line:
                    break
            await asyncio.sleep(1.5 if seconds is None else seconds)
            if process.returncode is None:
                process.kill() if seconds is not None else process.terminate()
            lines.append((await process.stdout.read()).decode())
            return await process.wait(), "".join(lines)
    finally:
        if process.returncode is None:
            process.kill()


async def killing_run(folder: Path, seed: int, kills: int) -> Truth:
    """``kills`` lives that end by SIGKILL at random moments, then one that ends in order."""
    rng = Random(seed)
    (folder / "brawler.yml").write_text(CONFIG)
    problems: list[str] = []
    options = ServeOptions(port=0, seed=seed, speed=SPEED, coins=("BTC", "ETH"))
    async with running_venue(options) as venue:
        for number in range(kills):
            code, text = await _life(folder, venue, rng.random() * 6.0)
            if code != -9:
                problems.append(f"life {number} ended with {code} before it was killed: {text[-300:]}")
        code, text = await _life(folder, venue, None)
        if code != 0:
            problems.append(f"the last life ended with {code}: {text[-300:]}")
        found, fills, orders = compare(venue.exchange, folder / "state" / "journal.db")
    return Truth([f"kill -9, {kills} times"], problems + found, fills, orders, kills)


def main() -> int:
    """1 if the two sides differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start_logging("error")
    with tempfile.TemporaryDirectory() as name:
        truth = asyncio.run(killing_run(Path(name), options.seed, options.kills))
    for problem in truth.problems:
        print(problem)
    print(f"{truth.restarts} kills, {truth.fills} fills, {truth.orders} orders, {len(truth.problems)} problems")
    return 1 if truth.problems else 0


if __name__ == "__main__":
    sys.exit(main())
