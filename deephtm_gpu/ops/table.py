"""The op table: one row per op drives the backends, validation, the tests and the benchmark."""

from deephtm_gpu.ops.average import AVERAGE
from deephtm_gpu.ops.cells import CELLS, GATE
from deephtm_gpu.ops.clock import CLOCK
from deephtm_gpu.ops.context import APPEND, CONTEXT, NEIGHBOURS
from deephtm_gpu.ops.conv import CONV, TRANSPOSED
from deephtm_gpu.ops.credit import CREDIT
from deephtm_gpu.ops.expect import ANY, EVIDENCE
from deephtm_gpu.ops.gradient import OUTER_GRADIENT, ROWS_GRADIENT, SAMPLED_GRADIENT, SYNAPSE_GRADIENT
from deephtm_gpu.ops.gradient_step import GRADIENT_SQUARE, GRADIENT_STEP, ROWS_STEP, SYNAPSE_STEP
from deephtm_gpu.ops.grid import GRID, PATH
from deephtm_gpu.ops.head import HEAD, LOSERS_OP
from deephtm_gpu.ops.linear import LINEAR
from deephtm_gpu.ops.losses import BCE, CROSS_ENTROPY, MASK, MSE
from deephtm_gpu.ops.map_norm import MAP_NORM
from deephtm_gpu.ops.polyak import POLYAK
from deephtm_gpu.ops.relu import RELU
from deephtm_gpu.ops.running_norm import RUNNING_NORM
from deephtm_gpu.ops.sampled import SAMPLED
from deephtm_gpu.ops.sites import SITES
from deephtm_gpu.ops.sparse_linear import ROWS, SPARSE_LINEAR
from deephtm_gpu.ops.sparse_transposed import SPARSE_TRANSPOSED
from deephtm_gpu.ops.synapse import SYNAPSE
from deephtm_gpu.ops.topk import TOPK
from deephtm_gpu.ops.update import LAZY_UPDATE, ROWS_UPDATE, UPDATE
from deephtm_gpu.ops.wiring import DENSE, WIRING

OPS = (
    LINEAR,
    SPARSE_LINEAR,
    ROWS,
    RELU,
    RUNNING_NORM,
    TOPK,
    CELLS,
    CONTEXT,
    APPEND,
    NEIGHBOURS,
    SYNAPSE,
    SAMPLED,
    GATE,
    CREDIT,
    LOSERS_OP,
    HEAD,
    ANY,
    EVIDENCE,
    MSE,
    CROSS_ENTROPY,
    BCE,
    MASK,
    POLYAK,
    UPDATE,
    ROWS_UPDATE,
    LAZY_UPDATE,
    OUTER_GRADIENT,
    ROWS_GRADIENT,
    SYNAPSE_GRADIENT,
    SAMPLED_GRADIENT,
    GRADIENT_STEP,
    ROWS_STEP,
    SYNAPSE_STEP,
    GRADIENT_SQUARE,
    AVERAGE,
    WIRING,
    DENSE,
    CLOCK,
    PATH,
    GRID,
    SITES,
    MAP_NORM,
    CONV,
    TRANSPOSED,
    SPARSE_TRANSPOSED,
)

PASSES = {p.name: p for op in OPS for p in op.passes}
SHADERS = {p.name: op.shader for op in OPS for p in op.passes}
