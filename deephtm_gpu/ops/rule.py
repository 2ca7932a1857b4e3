"""How a parameter steps along its gradient: the rule that all updates share.

    beta2 0   moment = beta1 moment + gradient; step = moment                                        (SGD, momentum)
    beta2 >0  moment += (1 - beta1) (gradient - moment); power += (1 - beta2) (gradient^2 - power);
              step = moment / (sqrt(power) + epsilon)                                                (RMSprop)
              with log1 = ln beta1, log2 = ln beta2 the start at 0 is corrected by 1 - beta^(k+1)    (Adam)
    then      theta = (1 - lr decay) theta - lr step, lr = rate scale max(floor, 1 / (1 + k decay_rate))  (decay: AdamW)

k: how many updates came before. A dense parameter counts the model's, a row that is only touched now and then its own:
the rule is lazy, what is not touched stands still, and costs nothing. Where beta1 or beta2 is 0 there is no moment or
power: the number 0 stands in its place, and one for a count that nobody asks for.

Sources: Kingma & Ba 2015, "Adam"; Loshchilov & Hutter 2019 (AdamW); Tieleman & Hinton 2012 (RMSprop). Epsilon as in
PyTorch.
"""

from functools import cache, lru_cache
from math import expm1, sqrt

import numpy as np

from deephtm_gpu.ops.spec import Struct

TABLE = 1 << 14  # counts whose factors are kept
RULE = ("beta1", "beta2", "share1", "share2", "log1", "log2", "epsilon", "decay", "decay_rate", "floor")
RULE_STRUCT = Struct("rule", "Rule", RULE)  # of shaders/lib/rule.wgsl
PLAIN = dict.fromkeys(RULE, 0.0) | {"floor": 1.0}  # gradient descent at the given rate


def numbers(**given) -> dict[str, float]:
    """A rule's numbers: those given, and what follows from them."""
    rule = PLAIN | given
    return rule | {"share1": 1 - rule["beta1"], "share2": 1 - rule["beta2"]}


def plain(rule) -> bool:
    """Whether a step is the rate times the gradient, and nothing else."""
    return not (rule["beta1"] or rule["beta2"] or rule["decay"] or rule["decay_rate"])


def parameter_struct(name: str, scale="scale", prefix="") -> Struct:
    """A learned parameter with what the rule remembers of it, as in shaders/lib/rule.wgsl. scale: the constant that is
    its lr_scale. prefix: of the names of its moment and power."""
    return Struct(name, "Parameter", (name, f"{prefix}moment", f"{prefix}power", scale))


def counts(rule) -> bool:
    """Whether the rule asks how many updates came before."""
    return bool(rule["log2"] or rule["decay_rate"])


def descend(
    theta, moment, power, gradient, rate, k, *, beta1, beta2, log1, log2, epsilon, decay, decay_rate, floor, **_
):
    """Changes theta, moment and power in place, all shaped like the gradient; it too may be overwritten. rate: times
    scale. k: a number, or an array that goes with the gradient's rows."""
    slowed, corrected, epsilon = _lr_factor(k, log1, log2, epsilon, decay_rate, floor)
    shrink = rate * slowed * decay
    rate = rate * corrected
    if not beta2:
        if beta1:
            moment *= beta1
            moment += gradient
            gradient = moment
        step = _as(rate, gradient) * gradient
    else:
        squared = gradient * gradient
        squared -= power
        squared *= 1 - beta2
        power += squared
        if beta1:
            gradient -= moment
            gradient *= 1 - beta1
            moment += gradient
            gradient = moment
        root = np.sqrt(power, out=squared)
        root += _as(epsilon, root)
        step = np.divide(gradient, root, out=root)
        step *= _as(rate, step)
    if decay:
        theta *= 1 - _as(shrink, theta)
    theta -= step


def _lr_factor(k, log1, log2, epsilon, decay_rate, floor):
    """-> what the rate is multiplied by where k updates came before, the same with the start corrected, and epsilon. k:
    a whole number or an array of them."""
    if not (log2 or decay_rate):
        return 1.0, 1.0, epsilon
    if np.isscalar(k):
        return _lr_factor_at(k, log1, log2, epsilon, decay_rate, floor)
    table = _lr_factors(log1, log2, epsilon, decay_rate, floor)  # (3, TABLE)
    if k.size and k.max() >= TABLE:
        return _lr_factor_of(k, log1, log2, epsilon, decay_rate, floor, np.expm1, np.sqrt, np.maximum)
    return table[0].take(k), table[1].take(k), table[2].take(k)


@lru_cache(maxsize=16)  # all dense parameters ask for the same in a step
def _lr_factor_at(*asked):
    return _lr_factor_of(*asked, expm1, sqrt, max)


def _lr_factor_of(k, log1, log2, epsilon, decay_rate, floor, expm1, sqrt, larger):
    slowed = larger(floor, 1 / (1 + k * decay_rate)) if decay_rate else 1.0
    if not log2:
        return slowed, slowed, epsilon
    corrected = sqrt(-expm1((k + 1) * log2))
    return slowed, slowed * corrected / (-expm1((k + 1) * log1) if log1 else 1), epsilon * corrected


@cache
def _lr_factors(*rule):
    """Looked up sooner than computed: (3, TABLE) for k = 0, 1, ..."""
    return np.array([_lr_factor_at(k, *rule) for k in range(TABLE)]).T.copy()


def descend_at(theta, moment, power, at, gradient, rate, k, **rule):
    """`descend` on the entries `at` (an index, or an array of them) of theta, moment and power."""
    moving = theta.take(at, axis=0)  # sooner than theta[at]
    if plain(rule):  # what `descend` would do, in a third of its time
        gradient *= rate
        moving -= gradient
        theta[at] = moving
        return
    lead = moment.take(at, axis=0) if rule["beta1"] else 0
    spread = power.take(at, axis=0) if rule["beta2"] else 0
    descend(moving, lead, spread, gradient, rate, k, **rule)
    theta[at] = moving
    if rule["beta1"]:
        moment[at] = lead
    if rule["beta2"]:
        power[at] = spread


def _as(number, like):
    """In the precision of what it meets: counts are float64 for the sake of `expm1`."""
    return number.astype(like.dtype, copy=False) if isinstance(number, np.ndarray) else float(number)
