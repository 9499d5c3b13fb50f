"""Independent checks of the ledger example: they know its event names and arithmetic, and nothing of its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from events.envelope import Event
from gateway.proof import Check

ENDS = {"TransferCompleted": "completed", "TransferRefunded": "refunded", "TransferRefused": "refused"}
INTO = {"Deposited", "Credited", "Refunded"}
OUT_OF = {"Withdrawn", "Debited"}


class Acknowledged(msgspec.Struct):
    """What a client asked of one transfer and was told: `positions` holds one entry for each acknowledgement it got."""

    source: str
    target: str
    amount: int
    positions: list[int] = []


class _Movements(msgspec.Struct):
    started: list[tuple[int, str, str, int]] = []
    """(position, source, target, amount) of each TransferStarted."""
    ends: list[str] = []
    debits: list[tuple[str, int]] = []
    credits: list[tuple[str, int]] = []
    refunds: list[tuple[str, int]] = []


class LedgerProof:
    """What must hold of accounts and transfers.

    `asked` is what clients asked for, by transfer address, with the positions that were acknowledged. `balances` (by
    account address) is what the projection shows; None leaves that comparison out. `finished` False allows transfers
    that are still under way.
    """

    def __init__(
        self,
        asked: Mapping[str, Acknowledged],
        balances: Mapping[str, int] | None = None,
        *,
        finished: bool = True,
    ) -> None:
        self._asked = asked
        self._shown = balances
        self._finished = finished
        self.balances: dict[str, int] = {}
        self.ends: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        self._outside = 0
        self._transfers: dict[str, _Movements] = {}
        self._bounds = Check("no account was ever overdrawn, or paid beyond its limit")

    def see(self, event: Event) -> None:
        """Look at the next event."""
        kind = event.stream.partition("/")[0]
        if kind == "account":
            self._account(event, msgspec.json.decode(event.data))
        elif kind == "transfer":
            self._transfer(event, msgspec.json.decode(event.data))

    def _account(self, event: Event, data: dict[str, Any]) -> None:
        name, type_ = event.stream, event.type
        if type_ == "AccountOpened":
            self.balances.setdefault(name, 0)
            if data.get("limit") is not None:
                self._limits[name] = data["limit"]
        if type_ not in INTO and type_ not in OUT_OF:
            return
        amount: int = data["amount"] if type_ in INTO else -data["amount"]
        balance = self.balances[name] = self.balances.get(name, 0) + amount
        where = f"{name} version {event.version}"
        self._bounds.require(balance >= 0, f"{where} leaves a balance of {balance}")
        if type_ in ("Deposited", "Credited"):
            limit = self._limits.get(name)
            self._bounds.require(limit is None or balance <= limit, f"{where} leaves {balance}, the limit is {limit}")
        if "transfer" not in data:
            self._outside += amount
            return
        moved = self._moved(data["transfer"])
        lists = {"Debited": moved.debits, "Credited": moved.credits, "Refunded": moved.refunds}
        lists[type_].append((name, data["amount"]))

    def _transfer(self, event: Event, data: dict[str, Any]) -> None:
        moved = self._moved(event.stream)
        if event.type == "TransferStarted":
            moved.started.append((event.position, data["source"], data["target"], data["amount"]))
        elif event.type in ENDS:
            moved.ends.append(ENDS[event.type])
            self.ends[ENDS[event.type]] += 1

    def _moved(self, transfer: str) -> _Movements:
        return self._transfers.setdefault(transfer, _Movements())

    def unfinished(self) -> int:
        """Transfers seen so far that did not end."""
        return sum(1 for moved in self._transfers.values() if not moved.ends)

    def checks(self) -> list[Check]:
        """The statements, each with what was found."""
        self._bounds.over = f"{len(self.balances):,} accounts"
        found = [self._money(), self._bounds, self._whole(), self._once()]
        return found if self._shown is None else [*found, self._equal(self._shown)]

    def _money(self) -> Check:
        check = Check("no money was made or lost")
        held = sum(self.balances.values())
        moving = sum(
            amount * sign
            for moved in self._transfers.values()
            for sign, rows in ((1, moved.debits), (-1, moved.credits), (-1, moved.refunds))
            for _, amount in rows
        )
        check.over = f"{self._outside:,} came from outside, {held:,} on accounts, {moving:,} on the way"
        check.require(held + moving == self._outside, f"{held + moving - self._outside:+,} from nowhere")
        check.require(moving == 0 or not self._finished, f"{moving:,} never arrived")
        return check

    def _whole(self) -> Check:
        check = Check("every transfer moved its money once, or gave it back, or not at all")
        check.over = f"{len(self._transfers):,} transfers: " + (
            ", ".join(f"{count:,} {end}" for end, count in sorted(self.ends.items())) or "none ended"
        )
        for name, moved in self._transfers.items():
            if len(moved.started) != 1:
                check.fault(f"{name} started {len(moved.started)} times")
                continue
            _, source, target, amount = moved.started[0]
            out, into = [(source, amount)], [(target, amount)]
            match moved.ends:
                case ["completed"]:
                    right = (moved.debits, moved.credits, moved.refunds) == (out, into, [])
                case ["refunded"]:
                    right = (moved.debits, moved.credits, moved.refunds) == (out, [], out)
                case ["refused"]:
                    right = not (moved.debits or moved.credits or moved.refunds)
                case []:
                    right = not self._finished
                case _:
                    right = False
            check.require(
                right,
                f"{name} of {amount:,} from {source} to {target} ended {moved.ends or 'never'}: "
                f"debited {moved.debits}, credited {moved.credits}, refunded {moved.refunds}",
            )
        return check

    def _once(self) -> Check:
        check = Check("every acknowledged transfer happened exactly once, as asked, and nothing that nobody asked for")
        answers = [len(asked.positions) for asked in self._asked.values()]
        check.over = f"{sum(1 for n in answers if n):,} acknowledged, {sum(answers):,} acknowledgements"
        for name, asked in self._asked.items():
            moved = self._transfers.get(name)
            if moved is None:
                check.require(not asked.positions, f"{name} was acknowledged and is not in the log")
                continue
            for position, *terms in moved.started:
                check.require(terms == [asked.source, asked.target, asked.amount], f"{name} was started as {terms}")
                told = sorted(set(asked.positions) - {position})
                check.require(not told, f"{name} is at position {position}, acknowledged were {told}")
        for name in self._transfers:
            check.require(name in self._asked, f"nobody asked for {name}")
        return check

    def _equal(self, shown: Mapping[str, int]) -> Check:
        check = Check("the projection equals a fold of the log", f"{len(self.balances):,} balances")
        for name in sorted(self.balances.keys() | shown.keys()):
            here, there = self.balances.get(name), shown.get(name)
            check.require(here == there, f"{name}: the log says {here}, the projection {there}")
        return check
