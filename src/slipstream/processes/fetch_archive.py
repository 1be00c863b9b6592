"""Hyperliquid's S3 archive into the lake: `scripts/fetch_s3_historical.py`.

The requester pays: what it costs is said first, and nothing is fetched before somebody agrees. May be stopped, or
killed, and run again: an object whose rows are in is not fetched again, unless it has changed.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from slipstream.data.archive import (
    BUCKET,
    KINDS,
    ArchiveError,
    Kind,
    Object,
    Prices,
    books_of,
    contexts_of,
    cost,
    days_of,
    object_of,
    prefixes,
    wanted,
)
from slipstream.data.catalogue import Taken
from slipstream.data.lake import Lake
from slipstream.data.load import Loaded, load_rows, note_findings
from slipstream.data.recorder.tables import Part, folder_of, row_of
from slipstream.data.streams import CONTEXTS, LakeError, check_word, stream_of
from slipstream.processes.import_data import LAKE, report

VENUE = "hl"
ATTEMPTS = 3
AHEAD = 4  # objects in memory before their turn
LARGEST = 512_000_000  # bytes: no object of the archive is larger
DAYS = 7  # days of contexts that are brought in together
ROWS = 20_000  # books in memory before they are written
REFUSED = 20


class FetchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch. No coins: all."""

    lake: Path
    days: tuple[str, ...]
    kinds: tuple[Kind, ...] = ("contexts",)
    coins: tuple[str, ...] = ()


class Fetched(msgspec.Struct):
    """What a run did."""

    objects: int = 0
    rows: int = 0
    loaded: dict[str, Loaded] = {}
    refused: list[str] = []
    failed: list[str] = []


def archive_client(endpoint_url: str | None = None) -> Any:
    """An S3 client. ``endpoint_url`` is another server that speaks S3."""
    import boto3
    from botocore.config import Config

    settings = Config(
        retries={"max_attempts": 5, "mode": "standard"},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=AHEAD,
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    return boto3.session.Session().client("s3", endpoint_url=endpoint_url, config=settings)


def listing(client: Any, plan: FetchPlan, step: Callable[[], None]) -> tuple[list[Object], int]:
    """The objects of a plan, in the order of time, and how many requests that took. Raises botocore's errors."""
    found, requests = [], 0
    pages = client.get_paginator("list_objects_v2")
    for prefix in prefixes(plan.kinds, plan.days):
        for page in pages.paginate(Bucket=BUCKET, Prefix=prefix, RequestPayer="requester"):
            requests += 1
            for row in page.get("Contents", ()):
                item = object_of(row["Key"], int(row["Size"]), row["ETag"].strip('"'))
                if item is not None:
                    found.append(item)
        step()
    return wanted(found, plan.days, plan.coins), requests


class Fetcher:
    """Brings objects into a lake, in the order given. ``step`` hears the bytes of every one."""

    def __init__(self, client: Any, plan: FetchPlan, step: Callable[[int], None]) -> None:
        self.done = Fetched()
        self._client = client
        self._plan = plan
        self._lake = Lake(plan.lake)
        self._step = step
        self._held: list[tuple[Object, dict[str, Any]]] = []

    def missing(self, objects: Sequence[Object]) -> list[Object]:
        """Those whose rows are not in."""
        taken = self._lake.catalogue.taken
        return [one for one in objects if one.key not in taken or taken[one.key].etag not in (one.etag, self._tag(one))]

    def _tag(self, item: Object) -> str:
        # contexts hold all coins: fetched for some of them, an object is not in for the others
        some = item.kind == "contexts" and self._plan.coins
        return f"{item.etag} {','.join(sorted(self._plan.coins))}" if some else item.etag

    def fetch(self, objects: Sequence[Object]) -> None:
        """Get and keep them all; what fails is noted. Raises LakeError, OSError, and botocore's refusals."""
        for item, body in self._bodies(objects):
            try:
                if isinstance(body, ArchiveError):
                    raise body
                if item.kind == "books":
                    self._books(item, body)
                else:
                    self._contexts(item, body)
                self.done.objects += 1
            except ArchiveError as error:
                self.done.failed.append(str(error))
            self._step(item.size)
        self._flush()

    def _bodies(self, objects: Sequence[Object]) -> Iterator[tuple[Object, bytes | ArchiveError]]:
        """Objects with their contents, some of them fetched ahead."""
        ahead: deque[tuple[Object, Future[bytes | ArchiveError]]] = deque()
        with ThreadPoolExecutor(AHEAD) as pool:
            try:
                for item in objects:
                    ahead.append((item, pool.submit(self._body, item)))
                    if len(ahead) >= AHEAD:
                        first, future = ahead.popleft()
                        yield first, future.result()
                while ahead:
                    first, future = ahead.popleft()
                    yield first, future.result()
            finally:
                for _, future in ahead:
                    future.cancel()

    def _body(self, item: Object) -> bytes | ArchiveError:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        if item.size > LARGEST:
            return ArchiveError(f"{item.key}: {item.size} bytes, more than any object of the archive")
        reason = ""
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.get_object(Bucket=BUCKET, Key=item.key, RequestPayer="requester")
                with answer["Body"] as stream:
                    body: bytes = stream.read()
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                    raise
                return ArchiveError(f"{item.key}: listed, and not there any more")
            except NoCredentialsError:
                raise
            except (BotoCoreError, OSError) as error:
                reason = str(error)
                continue
            if len(body) == item.size:
                return body
            reason = f"{len(body)} of {item.size} bytes came"
        return ArchiveError(f"{item.key}: {reason}")

    def _books(self, item: Object, body: bytes) -> None:
        check_word("coin", item.coin)
        key = (VENUE, "books", item.coin, f"{item.day[:4]}-{item.day[4:6]}-{item.day[6:]}")
        part = Part(self._plan.lake, key, f"archive-{item.hour:02d}")
        for book in books_of(BytesIO(body), item, self.done.refused):
            part.rows.append(row_of(book)[1])
            if len(part.rows) >= ROWS:
                part.flush()
        part.close()
        taken = Taken(source=item.key, etag=self._tag(item), rows=part.written)
        self._lake.adopt(time.time_ns(), source=item.key, taken=taken, under=folder_of(self._plan.lake, key))
        self.done.rows += part.written

    def _contexts(self, item: Object, body: bytes) -> None:
        frames = dict(contexts_of(BytesIO(body), item, self._plan.coins, self.done.refused))
        if self._held and (self._held[-1][0].day[:6] != item.day[:6] or len(self._held) >= DAYS):
            self._flush()
        self._held.append((item, frames))

    def _flush(self) -> None:
        """Bring the days of contexts in that are held."""
        import pandas as pd

        held, self._held = self._held, []
        stream, now = stream_of(CONTEXTS), time.time_ns()
        found = []
        for coin in sorted({coin for _, frames in held for coin in frames}):
            rows = pd.concat([frames[coin] for _, frames in held if coin in frames], ignore_index=True)
            span = f"{held[0][0].key} to {held[-1][0].day}"
            try:
                loaded = load_rows(self._lake, VENUE, stream, check_word("coin", coin), rows, now_ns=now, source=span)
            except LakeError as error:
                self.done.failed.append(f"{span}: {error}")
                continue
            found.append(loaded.quality)
            self.done.rows += loaded.appended.new + loaded.appended.revised
            before = self.done.loaded.get(coin)
            self.done.loaded[coin] = loaded if before is None else before + loaded
        note_findings(self._lake, found, now)
        with self._lake.catalogue.writing():
            lines = [
                Taken(source=item.key, etag=self._tag(item), rows=sum(map(len, frames.values())))
                for item, frames in held
            ]
            self._lake.catalogue.commit(lines)


def _agree(text: str, yes: bool) -> None:
    typer.echo(text)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ArchiveError("nothing is fetched before somebody agrees: give --yes")
    typer.confirm("Fetch?", abort=True)


def _absent(objects: Sequence[Object], plan: FetchPlan) -> str:
    days = {(one.kind, one.day) for one in objects}
    lines = []
    for kind in plan.kinds:
        lacking = [day for day in plan.days if (kind, day) not in days]
        if lacking:
            shown = ", ".join(lacking[:6]) + (" and so on" if len(lacking) > 6 else "")
            lines.append(f"the archive has no {kind} of {len(lacking)} days: {shown}")
    return "\n".join(lines)


def run_fetch(
    client: Any, plan: FetchPlan, *, prices: Prices, yes: bool, most_usd: float, progress: Progress
) -> Fetched:
    """List, say what it costs, fetch. Raises ArchiveError, LakeError, OSError, and botocore's errors."""
    task = progress.add_task("listing", total=len(prefixes(plan.kinds, plan.days)))
    objects, requests = listing(client, plan, lambda: progress.advance(task))
    progress.remove_task(task)
    fetcher = Fetcher(client, plan, lambda size: progress.advance(task, size))
    todo = fetcher.missing(objects)
    if absent := _absent(objects, plan):
        typer.echo(absent)
    usd, size = cost(todo, requests, prices), sum(one.size for one in todo)
    text = f"{len(objects)} objects, {len(objects) - len(todo)} here already; {len(todo)} to fetch, {size / 1e9:.3f} GB"
    text += f", about {usd:.2f} USD at {prices.gb:g} USD a GB (the requester pays)"
    if todo and usd > most_usd:
        raise ArchiveError(f"{text}: more than --max-usd {most_usd:g}; raise it, or fetch less")
    if not todo:
        typer.echo(text)
        return fetcher.done
    progress.stop()
    _agree(text, yes)
    progress.start()
    task = progress.add_task("fetching", total=size)
    fetcher.fetch(todo)
    return fetcher.done


def fetch_archive(
    start: Annotated[str, typer.Option(help="First day, such as 2023-10-01, UTC.")],
    end: Annotated[str, typer.Option(help="Last day, within.")],
    coins: Annotated[str, typer.Option(help="Coins, such as BTC,ETH; empty: all.")] = "",
    streams: Annotated[
        str, typer.Option(help="contexts (marks, oracles, funding by the minute) and books.")
    ] = "contexts",
    endpoint_url: Annotated[str | None, typer.Option(help="Another S3 server.")] = None,
    lake: Annotated[Path, typer.Option(help="The lake's folder.")] = LAKE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; the cost is still said.")] = False,
    max_usd: Annotated[float, typer.Option(min=0.0, help="Refuse what is estimated to cost more.")] = 50.0,
    usd_per_gb: Annotated[float, typer.Option(min=0.0, help="What a GB out costs you.")] = Prices().gb,
) -> None:
    """Fetch Hyperliquid's S3 archive into the lake. You pay for it: the cost is estimated first."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    def words(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))

    try:
        kinds = tuple(kind for kind in KINDS if kind in words(streams))
        if not kinds or set(words(streams)) - set(KINDS):
            raise ArchiveError(f"--streams {streams}: give {' or '.join(KINDS)}, or both with a comma")
        plan = FetchPlan(lake=lake, days=tuple(days_of(start, end)), kinds=kinds, coins=words(coins))
        console = Console(stderr=True)
        columns = (TextColumn("{task.description:>10}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            prices = Prices(gb=usd_per_gb)
            client = archive_client(endpoint_url)
            done = run_fetch(client, plan, prices=prices, yes=yes, most_usd=max_usd, progress=progress)
    except NoCredentialsError:
        typer.echo("error: no AWS credentials; run `aws configure`, or set AWS_ACCESS_KEY_ID and its secret", err=True)
        raise typer.Exit(2) from None
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except (BotoCoreError, ClientError, OSError) as error:
        typer.echo(f"error: {error}; what was fetched is kept, run it again", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{done.objects} objects, {done.rows} rows")
    if done.loaded:
        report(list(done.loaded.values()), lake)
    for line in (*done.refused[:REFUSED], *done.failed):
        typer.echo(line, err=True)
    if done.refused or done.failed:
        typer.echo(f"{len(done.refused)} lines refused, {len(done.failed)} objects failed", err=True)
    if done.failed:
        raise typer.Exit(1)


def main() -> None:
    """The script."""
    typer.run(fetch_archive)
