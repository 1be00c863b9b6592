"""What every pod is decided by before anything is connected, whatever its strategy, and how it is run and left."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import msgspec
import typer
from pydantic import BaseModel

from slipstream.accounts import Environment, Given, Keys, find_keys
from slipstream.execution.settings import KernelConfig
from slipstream.model.errors import ConfigError, SlipstreamError
from slipstream.processes.membership import Membership, membership
from slipstream.runtime.addresses import is_local
from slipstream.runtime.config import load
from slipstream.runtime.journal import Journal, open_journal
from slipstream.runtime.parts import Outcome, PodParts
from slipstream.runtime.pod import run
from slipstream.runtime.secrets import Secret
from slipstream.runtime.telemetry import start_logging
from slipstream.venues.hyperliquid.broker import BrokerOptions

STALE_NS = 15_000_000_000  # a connection whose streams are all silent for so long is made anew
Model = TypeVar("Model", bound=BaseModel)
Plan = TypeVar("Plan", bound="PodPlan")


class PodOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `slipstream pod <slug>` was asked for; None: not said."""

    config: Path
    credentials: Given = Given()
    log_level: str | None = None
    hl_url: str | None = None
    state_dir: Path | None = None
    status_port: int | None = None
    keystore: Path | None = None
    password_file: Path | None = None
    mainnet: bool = False
    fund: Path | None = None


class PodPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that is fully decided, before anything is connected. ``config`` is of its strategy's model."""

    config: Any
    keys: Keys
    state_dir: Path
    status_token: Secret | None
    mainnet: bool = False
    membership: Membership | None = None

    @property
    def is_local(self) -> bool:
        """Whether the venue is on this machine."""
        return is_local(self.config.hl_url)

    def owner(self) -> dict[str, str]:
        """Whose journal this is: the account and its venue."""
        return {"account": self.keys.account, "venue": "local" if self.is_local else self.config.hl_url}

    def journal(self, record: Mapping[str, Any]) -> Journal:
        """The pod's journal, open. Raises ConfigError if it belongs to another account or venue than the record's."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        journal = open_journal(
            self.membership.journal if self.membership is not None else self.state_dir / "journal.db"
        )
        try:
            check_owner(journal, record)
        except BaseException:
            journal.close()
            raise
        return journal

    def broker_options(
        self, journal: Journal, coins: tuple[str, ...], *, stale_ns: int, books: bool = True
    ) -> BrokerOptions:
        """The connector's options: what happened since the journal's last session is asked for."""
        sessions = journal.sessions()
        options = BrokerOptions(
            url=self.config.hl_url,
            account=self.keys.account,
            coins=coins,
            nonce_file=self.state_dir / f"nonce-{self.keys.signer}",
            allow_mainnet=self.mainnet,
            stale_ns=stale_ns,
            since_ns=sessions[-1].ns if sessions else None,
            books=books,
        )
        return self.membership.broker(options) if self.membership is not None else options

    def kernel(self, settings: KernelConfig) -> KernelConfig:
        """The kernel's settings, within what a fund's file allows."""
        return self.membership.kernel(settings) if self.membership is not None else settings

    def linked(self, parts: PodParts) -> PodParts:
        """The parts, with the link to the fund if there is one."""
        return self.membership.parts(parts) if self.membership is not None else parts


def prefix_of(slug: str) -> str:
    """What the variables of a pod begin with."""
    return f"SLIPSTREAM_{slug.upper().replace('-', '_')}_"


def read_config(
    slug: str, options: PodOptions, model: type[Model], environment: Environment, more: Mapping[str, Any] | None = None
) -> Model:
    """The config: flags (and ``more`` of them) over the file over the environment. Raises ConfigError."""
    return load(
        options.config,
        model,
        env_prefix=prefix_of(slug),
        env=environment.variables,
        overrides={
            "hl_url": options.hl_url,
            "state_dir": str(options.state_dir) if options.state_dir is not None else None,
            "status_port": options.status_port,
            "log_level": options.log_level,
            **(more or {}),
        },
    )


def plan_pod(slug: str, options: PodOptions, config: Any, environment: Environment) -> PodPlan:
    """Who the pod is: key, account, place in a fund. Raises ConfigError and SecretError."""
    member = membership(options.fund, slug, environment.variables)
    hidden = config.hyperliquid_api_secret
    given = Given(
        api_key=config.hyperliquid_api_key,
        api_secret=hidden.get_secret_value() if hidden is not None else None,
        main_wallet=member.account if member is not None else config.hyperliquid_main_wallet,
    )
    state_dir = Path(config.state_dir)
    keys = find_keys(
        slug,
        options.credentials,
        given,
        environment,
        config_path=options.config,
        keystore=options.keystore,
        password_file=options.password_file,
        test_key=state_dir / "test.key" if is_local(config.hl_url) else None,
    )
    variable = f"{prefix_of(slug)}STATUS_TOKEN"
    token = environment.variables.get(variable, "").strip()
    return PodPlan(
        config=config,
        keys=keys,
        state_dir=state_dir,
        status_token=Secret(token, variable) if token else None,
        mainnet=options.mainnet,
        membership=member,
    )


def check_owner(journal: Journal, record: Mapping[str, Any]) -> None:
    """A journal belongs to one account at one venue. Raises ConfigError if it is another's."""
    sessions = journal.sessions()
    if not sessions:
        return
    last = sessions[-1].strategy_config
    for key in ("account", "venue"):
        if key in last and last[key] != record[key]:
            raise ConfigError(
                f"journal {journal.name} belongs to {key} {last[key]}, not {record[key]}; choose another --state-dir"
            )


def host(
    slug: str, plan: Callable[[], Plan], main: Callable[[Plan], Coroutine[Any, Any, Outcome]], log_style: str
) -> NoReturn:
    """Plan a pod, run it and leave with its exit code; what the user can mend is one line."""
    try:
        decided = plan()
        start_logging(decided.config.log_level or "info", style=log_style)
        outcome = run(main(decided))
    except SlipstreamError as error:
        typer.echo(f"pod {slug}: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    if outcome.error is not None:
        typer.echo(f"pod {slug}: {outcome.error}", err=True)
    raise typer.Exit(outcome.exit_code)
