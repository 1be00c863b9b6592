"""One search: ask for parameters, have them judged in batches, remember every answer on disk.

- A batch is asked for whole before any of it is judged, each trial by a sampler seeded of the search's seed, its fold
  and its number. What is asked depends on the batches before, not on who computes or who finishes first: the same seed
  gives the same trials on any executor.
- Every answer is written to Optuna's journal file as it comes. A search that was killed begins with what was asked and
  never answered, and ends as if it had never stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from slipstream.model.errors import ConfigError
from slipstream.simulation.sweep.knobs import Knob, Value

Values = Mapping[str, Value]
Judge = Callable[[Sequence[Values]], Iterator[tuple[int, "Verdict"]]]
STARTUP = 8  # trials drawn at random before any is inferred
WHY = "why"
MARK = "fingerprint"


class Verdict(msgspec.Struct, frozen=True):
    """What one set of parameters was worth in training; no score says why it has none."""

    score: float | None
    why: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial of a search."""

    number: int
    values: dict[str, Value]
    score: float | None
    why: str = ""


class SearchTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How long and in what steps. ``batch`` trials are asked for at once; it is part of the result, workers are not."""

    trials: int = 20
    batch: int = 4
    seed: int = 1

    def __post_init__(self) -> None:
        if self.trials < 1 or self.batch < 1:
            raise ConfigError(f"{self.trials} trials in batches of {self.batch}: give at least one of each")


class JournalLock:
    """Who writes to a journal: Optuna's lock, held by the system on the journal itself.

    Optuna's own is a file beside it, which a kill leaves behind: the next run would wait for the dead for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def acquire(self) -> bool:
        """Wait for whoever writes now. Raises OSError."""
        self._held = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._held, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next one write; the end of a process does the same."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def open_storage(path: Path) -> Any:
    """Optuna's journal in a file; half a line that a killed run left is cut off.

    Raises ConfigError for a file that is no such journal, OSError.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        _mend(path)
    lock: Any = JournalLock(path)  # what Optuna asks of one, without being its child
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def _mend(path: Path) -> None:
    """Optuna writes on behind half a line, and could then read neither: cut it off. Raises ConfigError, OSError."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    for number, line in enumerate(data[:end].splitlines(), 1):
        try:
            whole = isinstance(json.loads(line), dict)
        except ValueError:
            whole = False
        if not whole:
            raise ConfigError(f"{path}:{number}: not a line of a sweep's journal; move the file away, or begin --fresh")
    if data and data[:1] != b"{":
        raise ConfigError(f"{path}: not a sweep's journal; move the file away, or begin --fresh")
    if end < len(data):
        os.truncate(path, end)


def search(
    storage: Any, name: str, fold: int, knobs: Sequence[Knob], terms: SearchTerms, fingerprint: str, judge: Judge
) -> list[Trial]:
    """All trials of a search, in order; what the storage holds already is not judged again.

    Raises ConfigError if the storage holds a search of this name for something else.
    """
    import optuna
    from optuna.trial import TrialState

    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    known = study.user_attrs.get(MARK)
    if known is None:
        study.set_user_attr(MARK, fingerprint)
    elif known != fingerprint:
        raise ConfigError(
            "the output directory holds a sweep of other data, parameters or terms; choose another, or delete its "
            "sweep.journal to begin anew"
        )
    spaces = {knob.key: knob.distribution() for knob in knobs}
    for first in range(0, terms.trials, terms.batch):
        last = min(first + terms.batch, terms.trials)
        for number in range(len(study.get_trials(deepcopy=False)), last):
            study.sampler = _sampler(terms, fold, number)
            study.ask(spaces)
        for trial in study.get_trials(deepcopy=False)[first:last]:
            if len(trial.params) < len(spaces):
                _complete(study, trial, spaces, _sampler(terms, fold, trial.number))
        batch = study.get_trials(deepcopy=False)[first:last]
        unknown = [trial for trial in batch if trial.state is TrialState.RUNNING]
        for place, verdict in judge([trial.params for trial in unknown]):
            number = unknown[place].number
            if verdict.score is None or not np.isfinite(verdict.score):
                storage.set_trial_user_attr(unknown[place]._trial_id, WHY, verdict.why or "no score")
                study.tell(number, state=TrialState.FAIL)
            else:
                study.tell(number, verdict.score)
    return [
        Trial(number=t.number, values=dict(t.params), score=t.value, why=str(t.user_attrs.get(WHY, "")))
        for t in study.get_trials(deepcopy=False)[: terms.trials]
    ]


def _complete(study: Any, trial: Any, spaces: Mapping[str, Any], sampler: Any) -> None:
    """Draw what a run that was killed while it asked had not written: all again, in order, as it would have."""
    for name, space in spaces.items():
        value = sampler.sample_independent(study, trial, name, space)
        if name not in trial.params:
            study._storage.set_trial_param(trial._trial_id, name, space.to_internal_repr(value), space)


def _sampler(terms: SearchTerms, fold: int, number: int) -> Any:
    from optuna.samplers import TPESampler

    seed = int(np.random.SeedSequence([terms.seed, fold, number]).generate_state(1)[0])
    return TPESampler(seed=seed, n_startup_trials=max(terms.batch, STARTUP))


def best_of(trials: Sequence[Trial]) -> Trial:
    """The highest score, the earlier of equals. Raises ConfigError if nothing has one."""
    scored = [trial for trial in trials if trial.score is not None]
    if not scored:
        why = trials[0].why if trials else "no trials"
        raise ConfigError(f"none of {len(trials)} trials could be judged; the first: {why}")
    return max(scored, key=lambda trial: (trial.score or 0.0, -trial.number))
