"""What `slipstream top` asks and tells in front of everything else: a reason, a second yes, the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

_BOX = """
{name} {{ align: center middle; }}
{name} > Vertical {{ width: 72; max-width: 95%; height: auto; max-height: 90%; border: round $accent; padding: 0 1;
    background: $surface; }}
{name} Label {{ width: 100%; }}
"""
_BACK: list[BindingType] = [Binding("escape", "leave", "back")]


class ReasonPrompt(ModalScreen[str | None]):
    """Asks why; an empty answer is none. Gives the reason, or None."""

    CSS = _BOX.format(name="ReasonPrompt")
    BINDINGS: ClassVar[list[BindingType]] = _BACK

    def __init__(self, question: str, note: str) -> None:
        super().__init__()
        self._question = question
        self._note = note

    def compose(self) -> ComposeResult:
        """The question, what it means, and a line to answer in."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Label(self._note, markup=False)
            yield Input(placeholder="why? (it is kept and shown) - enter does it, escape leaves", id="why")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: give the reason, if there is one."""
        if event.value.strip():
            self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        """Escape: do nothing."""
        self.dismiss(None)


class SurePrompt(ModalScreen[bool]):
    """Asks again: the word must be typed. Gives whether it was."""

    CSS = _BOX.format(name="SurePrompt")
    BINDINGS: ClassVar[list[BindingType]] = _BACK

    def __init__(self, question: str, word: str) -> None:
        super().__init__()
        self._question = question
        self._word = word

    def compose(self) -> ComposeResult:
        """The question and a line for the word."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Input(placeholder=f"type {self._word} to do it, escape leaves", id="word")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: yes if the word is right."""
        self.dismiss(event.value.strip() == self._word)

    def action_leave(self) -> None:
        """Escape: no."""
        self.dismiss(False)


KEYS = """\
up down  choose a pod          enter  its coins, orders, mandate
h  halt it (asks why)          H  halt all
r  resume it (asks why)        R  resume all
f  flatten it (asks twice)     F  flatten all
tab      the lower half        escape back      q quit

halt     orders are cancelled, positions stay
resume   clears every halt up to now, whoever latched it
flatten  the breaker halts it and closes its positions
net      PnL after costs as the auditor sees it on the venue
said     the same as the pod says itself
lease    wall time until its mandate ends
OLD      heard more than 5 s ago"""


class HelpScreen(ModalScreen[None]):
    """The keys and the words."""

    CSS = _BOX.format(name="HelpScreen") + "HelpScreen > Vertical { width: 80; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "leave", "back")]

    def compose(self) -> ComposeResult:
        """One text."""
        with Vertical():
            yield Static(KEYS, markup=False)

    def action_leave(self) -> None:
        """Any of the keys that leave."""
        self.dismiss(None)
