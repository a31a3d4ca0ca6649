"""Schedules of processes: every one of a few, or random ones from a seed. A process may crash after a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, TypeAlias

from guard.errors import Refused
from simulation.records import PROCESSES as OF_RECORDS
from simulation.world import PROCESSES as OF_STATEMENTS
from simulation.world import Roads, Steps, World

PROCESSES: Final[Mapping[str, Callable[[World], Steps]]] = {**OF_STATEMENTS, **OF_RECORDS}

Choose: TypeAlias = Callable[[int], int]
"""Takes how many options there are and gives one of them."""


def run(world: World, names: Sequence[str], choose: Choose, crashes: Callable[[], bool]) -> int:
    """Lets the processes take their steps in the order that is chosen; gives how many steps they took.

    At most one of them crashes, right after a step: it takes no more, and what it had not committed is gone.
    """
    alive = [PROCESSES[name](world) for name in names]
    for process in alive:
        next(process)
    crashed = False
    while alive:
        process = alive[choose(len(alive))]
        world.time += 1
        try:
            next(process)
        except (StopIteration, Refused):
            alive.remove(process)
            continue
        if not crashed and crashes():
            crashed = True
            process.close()
            alive.remove(process)
    return world.time


def every(roads: Roads, names: Sequence[str], *, approved: bool) -> int:
    """Runs every interleaving, each without and with a crash after each step; gives how many there are."""
    path: list[list[int]] = []
    count = 0
    while True:
        depth = 0

        def choose(options: int) -> int:
            nonlocal depth
            if options == 1:
                return 0
            if depth == len(path):
                path.append([0, options])
            depth += 1
            return path[depth - 1][0]

        run(World(roads, approved=approved), names, choose, lambda: choose(2) == 1)
        count += 1
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return count
        path[-1][0] += 1


def random_schedule(roads: Roads, seed: int) -> World:
    """One random schedule of one of each kind, on statements or on records; a third of them with a crash somewhere."""
    random = Random(seed)
    if random.random() < 0.7:
        names = [
            random.choice(("read", "read in a transaction")),
            random.choice(("write", "write in a transaction")),
            *("held read", "withdrawal", "approval", "activation"),
        ]
        again = "held read"
    else:
        names = ["release", "collect", "held release", "withdrawal", "approval of records", "activation"]
        again = "held release"
    if random.random() < 0.2:
        names.append(again)
    rate = random.choice((0.0, 0.0, 0.05))
    world = World(roads, approved=random.random() < 0.3)
    run(world, names, random.randrange, lambda: random.random() < rate)
    return world
