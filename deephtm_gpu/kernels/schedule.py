"""Which calls share a dispatch.

A *solo* dispatch has one workgroup per stream and runs small ops one behind the other, a barrier between. A *wide* one
stands ops side by side, each on as many workgroups as it has work for; an op may follow another in the same workgroups
only where both keep to the same rows (a matrix's update, and the next forward through it). A *lasting* one is solo, holds a
whole step, and goes through many steps: small models live in one workgroup each.
"""

from dataclasses import dataclass, field
from math import ceil

from deephtm_gpu.kernels.tuning import MOST_LANES, STEP_OF_AN_OP, Tuning
from deephtm_gpu.ops.spec import MANY, rows_at_once
from deephtm_gpu.plan.plan import Call, Plan
from deephtm_gpu.plan.tensors import TAPE

MOST_PARTS = 16384


@dataclass
class Member:
    """A call at work in a dispatch. phase: 0 if it belongs to the row at hand, 1 if to the next. barrier: whether it must
    wait for those before it in the same workgroup."""

    call: Call
    phase: int
    barrier: bool = False


@dataclass
class Group:
    """Calls one behind the other on the same workgroups."""

    members: list[Member]
    parts: int = 1

    def iterations(self, lanes: int, streams: int) -> int:
        """A bound on how many loop iterations an invocation goes through."""
        return sum(self._loops(m.call, lanes, streams) for m in self.members)

    def _loops(self, call: Call, lanes: int, streams: int) -> int:
        if call.op.loops:
            return call.op.loops(lanes=lanes, parts=self.parts, S=streams, A=call.entries, **call.consts)
        # Sums over lanes are a few iterations more.
        return 4 * (_work(call, streams) if call.op.shared else call.work) // (lanes * self.parts) + 16


@dataclass
class Dispatch:
    """solo: one workgroup per stream. Otherwise the groups' parts stand side by side. lasting: it goes through many steps."""

    solo: bool
    groups: list[Group] = field(default_factory=list)
    lasting: bool = False

    def members(self) -> list[Member]:
        return [m for g in self.groups for m in g.members]

    def iterations(self, lanes: int, streams: int) -> int:
        """A bound on how many loop iterations an invocation goes through (in a step)."""
        return max(g.iterations(lanes, streams) for g in self.groups)

    def workgroups(self, plan: Plan) -> int:
        return plan.units if self.solo else plan.models * sum(g.parts for g in self.groups)

    def lanes(self, tuning: Tuning, streams: int) -> int | None:
        """Invocations per workgroup: as tuned, more where an invocation would loop too often; None where none are enough."""
        lanes = tuning.lanes
        while lanes <= MOST_LANES:
            if tuning.loops is None or self.iterations(lanes, streams) <= tuning.loops:
                return lanes
            lanes *= 2
        return None


def schedule(calls: list[tuple[Call, int]], plan: Plan, tuning: Tuning) -> list[Dispatch]:
    """(call, phase) in the order of the plan -> dispatches, each call as early as it can be, then small updates moved out
    of solo dispatches into wide ones that come anyway."""
    streams, before = plan.streams, _needs(calls, plan)
    stage_of: dict[int, int] = {}
    stages: list[tuple[bool, list[list[int]]]] = []  # (solo?, groups of numbers of calls)
    left = list(range(len(calls)))
    while left:
        solo, taken = [], set()
        for i in left:
            if _may_be_solo(calls[i][0], streams, tuning) and all(b in stage_of or b in taken for b in before[i]):
                solo.append(i)
                taken.add(i)
        if solo:
            _close(stages, stage_of, left, True, [solo])
        groups: list[list[int]] = []
        for i in left:
            open_needs = {b for b in before[i] if b not in stage_of}
            if not open_needs and not _may_be_solo(calls[i][0], streams, tuning):
                groups.append([i])
            elif host := _host(i, open_needs, groups, calls):
                host.append(i)
        if groups:
            _close(stages, stage_of, left, False, groups)
    _move_updates(calls, before, stages, stage_of)
    return [_dispatch(solo, groups, calls, before, streams, tuning) for solo, groups in stages if any(groups)]


def lasting(calls: list[Call], plan: Plan, tuning: Tuning) -> Dispatch | None:
    """A dispatch in which a workgroup per model goes through many steps; None where streams share weights, and no workgroup
    can do a step alone."""
    if plan.streams > 1 or not calls:
        return None
    calls = [(c, 0) for c in calls]
    dispatch = _dispatch(True, [range(len(calls))], calls, _needs(calls, plan), 1, tuning)
    dispatch.lasting = True
    return dispatch


def prefers_lasting(lasting: Dispatch, several: list[Dispatch], tuning: Tuning) -> bool:
    """Whether a step of one model should take no longer in one workgroup than in several dispatches. Counted, not timed: timing would
    choose now one and now the other, and a run would not repeat itself to the bit. And for one model, however many there are: each
    is to give what it gives alone."""
    def cost(members):
        return sum(m.call.work + STEP_OF_AN_OP for m in members)

    many = sum(tuning.dispatch + (cost(d.members()) if d.solo else max(
        cost(d.members()) / tuning.workgroups, *(cost(g.members) / g.parts for g in d.groups))) for d in several)
    return cost(lasting.members()) <= many


def rotation(calls: list[Call], plan: Plan, tuning: Tuning) -> int:
    """Where to cut a step's calls, so that the end of one step and the beginning of the next share dispatches: the step then
    is calls[:cut], and the body that is repeated calls[cut:] + calls[:cut] of the next row."""
    solo = [_may_be_solo(c, plan.streams, tuning) for c in calls]
    starts = [0] + [i for i in range(1, len(calls)) if solo[i] and not solo[i - 1]]

    def dispatches(cut):
        return len(schedule([(c, 0) for c in calls[cut:]] + [(c, 1) for c in calls[:cut]], plan, tuning))

    return min(starts, key=dispatches)


def _needs(calls, plan: Plan) -> list[set[int]]:
    """For every call the earlier ones it must come behind: they wrote what it reads, or used what it writes. A tensor of the
    tape is another one in every slot."""

    def there(tensors, call, phase):
        return {(t, call.slot(phase, plan.window) if t.place == TAPE else 0) for t in tensors}

    writers: dict = {}
    readers: dict = {}
    needs = []
    for i, (call, phase) in enumerate(calls):
        need, read = set(), there(call.read, call, phase)
        for t in read:
            need |= writers.get(t, set())
            readers.setdefault(t, set()).add(i)
        for t in there(call.written, call, phase):
            need |= readers.get(t, set()) | writers.get(t, set())
            writers[t] = {i}
            readers[t] = {i} if t in read else set()
        needs.append(need - {i})
    return needs


def _may_be_solo(call: Call, streams: int, tuning: Tuning) -> bool:
    return not (call.op.shared and streams > 1) and (call.op.rows is None or call.work < tuning.wide)


def _host(i, open_needs, groups, calls):
    """The one group that call i may follow: all it waits for in this stage is there, and all of that keeps to its rows."""
    hosts = [g for g in groups if open_needs & set(g)]
    if len(hosts) != 1 or not open_needs <= set(hosts[0]):
        return None
    mine = calls[i][0]
    for other in (calls[b][0] for b in open_needs):
        common = ({*mine.read, *mine.written} & {*other.written}) | ({*mine.written} & {*other.read})
        if not all(_keeps_to_rows(c, t) for c in (mine, other) for t in common):
            return None
    return hosts[0]


def _keeps_to_rows(call: Call, tensor) -> bool:
    return any(call.tensors[name] is tensor for name in call.op.split)


def _close(stages, stage_of, left, solo, groups):
    for i in (i for g in groups for i in g):
        stage_of[i] = len(stages)
        left.remove(i)
    stages.append((solo, groups))


def _move_updates(calls, before, stages, stage_of):
    """A small update that nothing in its solo dispatch waits for runs beside a wide one instead: other processors do it."""
    users = [set() for _ in calls]
    for i, need in enumerate(before):
        for b in need:
            users[b].add(i)
    for i in reversed(range(len(calls))):
        here = stage_of[i]
        if not stages[here][0] or calls[i][0].op.rows is None:
            continue
        latest = min([stage_of[u] for u in users[i]], default=len(stages))
        for j in range(here + 1, latest):
            if not stages[j][0]:
                stages[here][1][0].remove(i)
                stages[j][1].append([i])
                stage_of[i] = j
                break


def _dispatch(solo, groups, calls, before, streams, tuning) -> Dispatch:
    dispatch = Dispatch(solo)
    for group in groups:
        members, since_barrier = [], set()
        for i in group:
            wait = bool(before[i] & since_barrier)
            since_barrier = {i} if wait else since_barrier | {i}
            members.append(Member(*calls[i], barrier=wait))
        parts = 1 if solo else min(max(_parts(m.call, streams, tuning) for m in members),
                                   *(_most_parts(m.call, streams) for m in members))
        dispatch.groups.append(Group(members, parts))
    return dispatch


def _parts(call: Call, streams: int, tuning: Tuning) -> int:
    if call.op.rows is None:
        return 1
    return max(1, min(_most_parts(call, streams), ceil(_work(call, streams) / tuning.grain), MOST_PARTS))


def _most_parts(call: Call, streams: int) -> int:
    """So that each has a row, or whole tiles."""
    if call.op.rows is None:
        return 1
    return -(-call.consts[call.op.rows] // (call.op.tile if streams >= MANY else 1))


def _work(call: Call, streams: int) -> int:
    """Multiply-adds of all streams. Where rows are looked for in the streams' lists, the looking too."""
    looking = 0
    if streams > 1 and {"N", "L"} <= call.consts.keys():
        looks = call.consts["N"] if call.op.looks_alone else -(-call.consts["N"] // rows_at_once(streams))
        looking = looks * call.consts["L"] * streams
    return call.work * streams + looking
