"""How a series is cut into batches: which predictions are due, and what each step has to do.

A prediction made at step s for step s + ahead waits until that step's input arrives. Predictions are learned from in
the order in which they were made, so that the memories' rings see consecutive steps; one whose target came while an
older one still waits is learned from when that one has been. In the long run each step learns from the prediction made
`ahead` steps before, and whole chunks are one batch; where `ahead` changes, or targets are given now and then, single
steps are made of several batches.
"""

from dataclasses import dataclass, replace

import numpy as np

from deephtm_gpu.plan.plan import GIVEN, LOOK, ONLINE, Program
from deephtm_gpu.session.position import Pending, Position

FORWARD = Program()


@dataclass(frozen=True)
class Part:
    """Steps begin..end of a series by one program. behind, waiting: see `Batch`. target: of a program without a forward
    pass, what arrived or was given, one (S, D) each."""

    program: Program
    begin: int
    end: int
    behind: int = 0
    waiting: int = 1
    target: tuple[np.ndarray, ...] | None = None


def next_turn(at: Position, n: int, xs, ys, learn: bool, ahead: int) -> tuple[list[Part], Position]:
    """The batches that come next from step n of the series on, and the position after them but for what only running
    them says (`updates`, `last`, `active`). xs, ys: one (T, S, D) per input and output; ys is None where inputs are
    predicted. They are run together or not at all."""
    if not learn:
        return _looking(at, n, xs, ys, ahead)
    if ys is not None and not at.pending:
        return _alike(at, GIVEN, n, len(xs[0]), taught=True)
    if ys is None and _steady(at, ahead):
        program = replace(ONLINE, near=ahead == 1)
        return _alike(at, program, n, len(xs[0]), ahead, ahead, taught=True)
    if ys is None and (free := _free(at, ahead)):
        return _unscored(at, n, min(n + free, len(xs[0])), ahead)
    return _single(at, n, xs, ys, ahead)


def _steady(at: Position, ahead: int) -> bool:
    """Whether the predictions of the last `ahead` steps wait, and no other."""
    return len(at.pending) == ahead and all(
        p.step == at.steps - ahead + i and p.due == p.step + ahead for i, p in enumerate(at.pending))


def _free(at: Position, ahead: int) -> int:
    """Steps that come before any prediction is due."""
    if any(p.target is not None for p in at.pending):
        return 0
    return min([at.steps + ahead, *(p.due for p in at.pending)]) - at.steps


def _alike(at, program, begin, end, behind=0, waiting=1, ahead=0, taught=False):
    steps = at.steps + end - begin
    pending = tuple(Pending(s, s + behind) for s in range(steps - behind, steps)) if program.target == "input" else ()
    after = replace(at, steps=steps, ahead=behind, pending=pending, learned=steps - behind if taught else at.learned)
    return [Part(program, begin, end, behind, waiting)], after


def _unscored(at, begin, end, ahead):
    """Steps without anything to learn from. What the model predicted for them, if it was taught by given targets then,
    is scored only: that is so up to the first prediction that waits."""
    oldest, first = at.steps - ahead, at.pending[0].step if at.pending else at.steps
    scored = at.began <= oldest < first
    if scored:
        end = min(end, begin + first - oldest)
    elif oldest < at.began:
        end = min(end, begin + at.began - oldest)
    steps = at.steps + end - begin
    waits = tuple(Pending(s, s + ahead) for s in range(at.steps, steps))
    after = replace(at, steps=steps, ahead=ahead, pending=at.pending + waits)
    program = replace(ONLINE, teach=False, near=ahead == 1) if scored else FORWARD
    return [Part(program, begin, end, ahead if scored else 0, ahead)], after


def _looking(at, begin, xs, ys, ahead):
    """Steps that learn nothing. Predictions whose targets come meanwhile are scored, and not learned from later."""
    end = len(xs[0])
    if ys is not None:
        program, behind = replace(GIVEN, teach=False, learn=False), 0
    else:
        behind, end = _looked_back(at, begin, end, ahead)
        program = replace(LOOK, near=behind == 1) if behind else replace(LOOK, target=None)
    steps = at.steps + end - begin
    waits = at.pending
    if ys is None and ahead:
        waits += tuple(Pending(s, s + ahead) for s in range(at.steps, steps))
    after = replace(
        at, steps=steps, ahead=0 if ys is not None else ahead, pending=tuple(p for p in waits if p.due >= steps)
    )
    return [Part(program, begin, end, behind, max(1, behind))], after


def _looked_back(at, begin, end, ahead) -> tuple[int, int]:
    """How far back the prediction lies that the next steps are scored by (0: none), and up to which step that holds."""
    if any(p.due != p.step + ahead for p in at.pending):  # made for other steps than those that come now
        due = [p.step for p in at.pending if p.due == at.steps]
        return (at.steps - due[-1] if due else 0), begin + 1
    if not ahead:
        return 0, end
    if at.steps - ahead < at.began:
        return 0, min(end, begin + at.began + ahead - at.steps)
    return ahead, end


def _single(at, n, xs, ys, ahead):
    """One step: what is due is learned from first, then the step is made, then what is given with it is learned
    from."""
    now, arrived = at.steps, tuple(x[n] for x in xs)
    waits = [replace(p, target=arrived) if p.due == now else p for p in at.pending]
    due = []
    while waits and waits[0].target is not None:
        due.append(waits.pop(0))
    newest = due.pop() if due and due[-1].due == now and not due[-1].given else None
    parts = [_lesson(p, n, now) for p in due]
    if newest:
        behind = now - newest.step
        parts.append(Part(replace(ONLINE, near=behind == 1), n, n + 1, behind, newest.due - newest.step))
    else:
        parts.append(Part(FORWARD, n, n + 1))
    if ys is None:
        waits.append(Pending(now, now + ahead))
    elif waits:
        waits.append(Pending(now, now, tuple(y[n] for y in ys), given=True))
    else:
        parts.append(_lesson(Pending(now, now, tuple(y[n] for y in ys), given=True), n, now))
    learned = (
        [p.step for p in due] + ([newest.step] if newest else []) + ([now] if ys is not None and not waits else [])
    )
    after = replace(at, steps=now + 1, ahead=0 if ys is not None else ahead, pending=tuple(waits),
                    learned=learned[-1] + 1 if learned else at.learned)
    return parts, after


def _lesson(p: Pending, n: int, now: int) -> Part:
    """A batch that only learns."""
    program = Program(forward=False, target="given" if p.given else "input", teach=True, near=now - p.step == 1)
    return Part(program, n, n + 1, now - p.step, max(1, p.due - p.step), p.target)
