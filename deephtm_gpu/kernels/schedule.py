"""Which calls share a dispatch.

A *solo* dispatch has one workgroup per stream and runs small ops one behind the other, a barrier between. A *wide* one
stands ops side by side, each on as many workgroups as it has work for; an op may follow another in the same workgroups
only where both keep to the same rows (a matrix's update, and the next forward through it). A *persistent* one is solo,
holds a whole step, and goes through many steps: small models live in one workgroup each.

What works at the positions of a map has workgroups for each: a solo dispatch one per stream and position, for an op at
a position reads what others left there, and what stands once in the stream. In one workgroup with other calls it goes
from position to position.
"""

from dataclasses import dataclass, field
from math import ceil

from deephtm_gpu.kernels.tuning import MOST_LANES, STEP_OF_AN_OP, Tuning
from deephtm_gpu.ops.spec import MANY, rows_at_once, sum_loops, turns
from deephtm_gpu.plan.plan import Call, Plan
from deephtm_gpu.plan.tensors import TAPE

MOST_PARTS = 16384
# Calls of one workgroup in a dispatch: compilers take time with the square of a kernel's length (llvmpipe 5 s for 54
# calls, 40 for 142), and what one dispatch saves is little where there are so many.
MOST_CALLS = 64
# How often a pass that gives no bound on its loops goes through its elements, and how many sums over lanes it makes.
LOOKS, SUMS = 4, 4


@dataclass
class Member:
    """A call at work in a dispatch. phase: 0 if it belongs to the step at hand, 1 if to the next. barrier: whether it
    must wait for those before it in the same workgroup."""

    call: Call
    phase: int
    barrier: bool = False


@dataclass
class Group:
    """Calls one behind the other on the same workgroups. sites: how many positions of a map have workgroups of their
    own, parts each."""

    members: list[Member]
    parts: int = 1
    sites: int = 1

    @property
    def workgroups(self) -> int:
        return self.parts * self.sites

    def iterations(self, lanes: int, streams: int) -> int:
        """A bound on how many loop iterations an invocation goes through."""
        return sum(self._loops_everywhere(m.call, lanes, streams) for m in self.members)

    def _loops_everywhere(self, call: Call, lanes: int, streams: int) -> int:
        once = self._loops(call, lanes, streams)
        return once if call.sites == self.sites else call.sites * (1 + once)  # position after position is a loop too

    def _loops(self, call: Call, lanes: int, streams: int) -> int:
        if call.op.loops:
            return call.op.loops(lanes=lanes, parts=self.parts, S=streams, A=call.entries, **call.consts)
        return LOOKS * turns(
            _work(call, streams) if call.op.shared else call.work, lanes * self.parts
        ) + SUMS * sum_loops(lanes)


@dataclass
class Dispatch:
    """solo: one workgroup per stream, or per position of a map in it. Otherwise the groups' parts stand side by side.
    persistent: it goes through many steps."""

    solo: bool
    groups: list[Group] = field(default_factory=list)
    persistent: bool = False

    @property
    def sites(self) -> int:
        """Of a solo dispatch: workgroups per stream."""
        return self.groups[0].sites if self.solo else 1

    def members(self) -> list[Member]:
        return [m for g in self.groups for m in g.members]

    def iterations(self, lanes: int, streams: int) -> int:
        """A bound on how many loop iterations an invocation goes through (in a step)."""
        return max(g.iterations(lanes, streams) for g in self.groups)

    def workgroups(self, plan: Plan) -> int:
        return plan.units * self.sites if self.solo else plan.models * sum(g.workgroups for g in self.groups)

    def lanes(self, tuning: Tuning, streams: int) -> int | None:
        """Invocations per workgroup: as tuned, more where an invocation would loop too often; None where none are
        enough."""
        lanes = tuning.lanes
        while lanes <= MOST_LANES:
            if tuning.loops is None or self.iterations(lanes, streams) <= tuning.loops:
                return lanes
            lanes *= 2
        return None


def schedule(calls: list[tuple[Call, int]], plan: Plan, tuning: Tuning) -> list[Dispatch]:
    """(call, phase) in the order of the plan -> dispatches, each call as early as it can be, then small updates moved
    out of solo dispatches into wide ones that come anyway."""
    streams, before = plan.streams, _needs(calls, plan)
    stage_of: dict[int, int] = {}
    stages: list[tuple[int, list[list[int]]]] = []  # (0 or workgroups per stream, groups of numbers of calls)
    kinds = [_workgroups_per_stream(call, streams, tuning) for call, _ in calls]
    left = list(range(len(calls)))
    while left:
        for kind in sorted(set(kinds) - {0}):
            solo, taken = [], set()
            for i in left:
                if len(solo) < MOST_CALLS and kinds[i] == kind and all(b in stage_of or b in taken for b in before[i]):
                    solo.append(i)
                    taken.add(i)
            if solo:
                _close(stages, stage_of, left, kind, [solo])
        groups: list[list[int]] = []
        for i in left:
            open_needs = {b for b in before[i] if b not in stage_of}
            if not open_needs and not kinds[i]:
                groups.append([i])
            elif host := _host(i, open_needs, groups, calls):
                host.append(i)
        if groups:
            _close(stages, stage_of, left, 0, groups)
    _move_updates(calls, before, stages, stage_of)
    return [_dispatch(kind, groups, calls, before, streams, tuning) for kind, groups in stages if any(groups)]


def persistent(calls: list[Call], plan: Plan, tuning: Tuning) -> Dispatch | None:
    """A dispatch in which a workgroup per model goes through many steps; None where streams share weights, and no
    workgroup can do a step alone, and where it would have more than MOST_CALLS."""
    if plan.streams > 1 or not 0 < len(calls) <= MOST_CALLS:
        return None
    calls = [(c, 0) for c in calls]
    dispatch = _dispatch(1, [range(len(calls))], calls, _needs(calls, plan), 1, tuning)
    dispatch.persistent = True
    return dispatch


def prefers_persistent(persistent: Dispatch, several: list[Dispatch], tuning: Tuning) -> bool:
    """Whether a step of one model should take no longer in one workgroup than in several dispatches. Counted, not
    timed: timing would choose now one and now the other, and a run would not repeat itself to the bit. And for one
    model, however many there are: each is to give what it gives alone."""
    def cost(members):
        return sum((m.call.work + STEP_OF_AN_OP) * m.call.sites for m in members)

    many = sum(tuning.dispatch + (cost(d.members()) / min(d.sites, tuning.workgroups) if d.solo else max(
        cost(d.members()) / tuning.workgroups, *(cost(g.members) / g.workgroups for g in d.groups))) for d in several)
    return cost(persistent.members()) <= many


def rotation(calls: list[Call], plan: Plan, tuning: Tuning) -> int:
    """Where to cut a step's calls, so that the end of one step and the beginning of the next share dispatches: the step
    then is calls[:cut], and the body that is repeated calls[cut:] + calls[:cut] of the next step."""
    kinds = [_workgroups_per_stream(c, plan.streams, tuning) for c in calls]
    starts = [0] + [i for i in range(1, len(calls)) if kinds[i] and kinds[i] != kinds[i - 1]]

    def dispatches(cut):
        return len(schedule([(c, 0) for c in calls[cut:]] + [(c, 1) for c in calls[:cut]], plan, tuning))

    return min(starts, key=dispatches)


def _needs(calls, plan: Plan) -> list[set[int]]:
    """For every call the earlier ones it must come behind: they wrote what it reads, or used what it writes. A tensor
    of the tape is another one in every slot."""

    def there(tensors, call, phase):
        return {(t, call.slot(phase, plan.window) if t.storage == TAPE else 0) for t in tensors}

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


def _workgroups_per_stream(call: Call, streams: int, tuning: Tuning) -> int:
    """Of a call that may be solo; 0 for others."""
    solo = not (call.op.shared and streams > 1) and (call.op.rows is None or call.work < tuning.wide)
    return call.sites if solo else 0


def _host(i, open_needs, groups, calls):
    """The one group that call i may follow: all it waits for in this stage is there, and all of that keeps to its
    rows."""
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


def _close(stages, stage_of, left, kind, groups):
    for i in (i for g in groups for i in g):
        stage_of[i] = len(stages)
        left.remove(i)
    stages.append((kind, groups))


def _move_updates(calls, before, stages, stage_of):
    """A small update that nothing in its solo dispatch waits for runs beside a wide one instead: other processors do
    it."""
    users = [set() for _ in calls]
    for i, need in enumerate(before):
        for b in need:
            users[b].add(i)
    for i in reversed(range(len(calls))):
        here = stage_of[i]
        if stages[here][0] != 1 or calls[i][0].op.rows is None:
            continue
        latest = min([stage_of[u] for u in users[i]], default=len(stages))
        for j in range(here + 1, latest):
            if not stages[j][0]:
                stages[here][1][0].remove(i)
                stages[j][1].append([i])
                stage_of[i] = j
                break


def _dispatch(kind, groups, calls, before, streams, tuning) -> Dispatch:
    """kind: workgroups per stream; 0: as many as there is work for."""
    dispatch = Dispatch(kind > 0)
    for group in groups:
        members, since_barrier = [], set()
        for i in group:
            wait = bool(before[i] & since_barrier)
            since_barrier = {i} if wait else since_barrier | {i}
            members.append(Member(*calls[i], barrier=wait))
        sites = kind or _common_sites(members)
        parts = 1 if kind else min(max(_parts(m.call, streams, sites, tuning) for m in members),
                                   *(_most_parts(m.call, streams) for m in members))
        dispatch.groups.append(Group(members, parts, sites))
    return dispatch


def _common_sites(members) -> int:
    """How many positions may have workgroups of their own: those that all calls work at."""
    sites = {m.call.sites for m in members}
    return sites.pop() if len(sites) == 1 else 1


def _parts(call: Call, streams: int, sites: int, tuning: Tuning) -> int:
    if call.op.rows is None:
        return 1
    work = _work(call, streams) * call.sites // sites
    return max(1, min(_most_parts(call, streams), ceil(work / tuning.grain), MOST_PARTS))


def _most_parts(call: Call, streams: int) -> int:
    """So that each has a row, or whole tiles."""
    if call.op.rows is None:
        return 1
    return -(-call.consts[call.op.rows] // (call.op.tile if streams >= MANY else 1))


def _work(call: Call, streams: int) -> int:
    """Multiply-adds of all streams, at one position. Where rows are looked for in the streams' lists, the looking
    too."""
    looking = 0
    if streams > 1 and {"N", "L"} <= call.consts.keys():
        looks = call.consts["N"] if call.op.looks_alone else -(-call.consts["N"] // rows_at_once(streams))
        looking = looks * call.consts["L"] * streams
    return call.work * streams + looking
