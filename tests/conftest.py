"""What the tests share: WGSL compilers, small networks on a backend, central differences."""

import os
from pathlib import Path

# One thread for NumPy's products: the tests run side by side already, and idle BLAS threads spin. Before NumPy is
# imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Mesa keeps what it compiled, for all workers and for the next run; by default in the home folder, which may not be
# writable.
os.environ.setdefault("MESA_SHADER_CACHE_DIR", str(Path(__file__).resolve().parents[1] / ".shader_cache"))
os.environ.setdefault("DEEPHTM_CACHE", str(Path(__file__).resolve().parents[1] / ".native_cache"))
os.environ.setdefault("XDG_RUNTIME_DIR", "/tmp")  # without it some Vulkan drivers print an error

import numpy as np
import pytest
from hypothesis import settings

from deephtm_gpu.backends.batch import Batch, shares
from deephtm_gpu.backends.numpy import NumpyBackend
from deephtm_gpu.plan.lowering import lower
from deephtm_gpu.plan.plan import Program

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

NO_ADAPTER = (
    "No Vulkan adapter was found, and this test runs WGSL; install a software one: apt-get install mesa-vulkan-drivers."
)
NO_TINT = "dawn-python is not installed, and this test asks Tint about WGSL; install it: pip install dawn-python."


# Long tests

# What takes a test on the software adapter seconds is compiling; these compile what others like them do as well.
LONG = (
    "test_edges.py::test_a_faint_series_is_learned[gpu-2]",
    "test_edges.py::test_an_outlier_in_one_stream_or_model[gpu]",
    "test_edges.py::test_gpu_and_numpy_agree_where_a_step_counter_overflows[2^24]",
    "test_engine.py::test_gpu_and_numpy_agree_on_the_sine[10]",
    "test_flow.py::test_shared_layers_learn_alike_on_numpy_and_gpu[momentum]",
    "test_flow.py::test_shared_layers_learn_alike_on_numpy_and_gpu[adam]",
    "test_images.py::test_a_population_is_its_models[gpu]",
    "test_images.py::test_alike_streams_are_one_stream[gpu]",
    "test_learning.py::test_row[gpu-sine, K = 10]",
    "test_observe.py::test_looking_on_changes_nothing[gpu]",
    "test_observe.py::test_every_row_is_what_state_tells_after_its_step[gpu]",
    "test_optimisers.py::test_backends_agree[momentum]",
    "test_optimisers.py::test_backends_agree[Adam]",
    "test_optimisers.py::test_copies_of_a_stream_learn_what_one_does[momentum-gpu]",
    "test_optimisers.py::test_copies_of_a_stream_learn_what_one_does[RMSprop-gpu]",
    "test_optimisers.py::test_copies_of_a_stream_learn_what_one_does[Adam-gpu]",
    "test_optimisers.py::test_copies_of_a_stream_learn_what_one_does[AdamW-gpu]",
    "test_population.py::test_a_model_taken_out_goes_on_as_it_would_have[gpu]",
    "test_population.py::test_every_model_is_a_model_of_its_seed_alone_to_the_bit[gpu-rates]",
    "test_run_many.py::test_each_gets_what_a_run_of_its_own_gives[more1]",
    "test_saving.py::test_goes_on_to_the_bit[graph, 2 streams-gpu]",
    "test_session.py::test_observing_drops_nothing_and_changes_nothing[gpu]",
    "test_session.py::test_steps_with_and_without_targets_take_turns[gpu]",
    "test_session.py::test_what_is_pending_survives_a_change_of_ahead[3-gpu]",
    "test_sites.py::test_awkward_shapes[positions3]",
    "test_sites.py::test_positions_equal_streams_on_the_gpu[memory, window 3, symbols]",
    "test_sites.py::test_reset_begins_anew_at_every_position[gpu]",
    "test_sites.py::test_saved_in_the_middle_of_a_window_it_goes_on_to_the_bit[gpu]",
    "test_sites.py::test_state_and_observe_have_the_positions_last[gpu]",
    "test_streams.py::test_an_ended_stream_is_as_if_it_were_not_there[clipped-gpu]",
    "test_streams.py::test_an_ended_stream_is_as_if_it_were_not_there[Adam-gpu]",
    "test_streams.py::test_each_stream_has_its_own_memory[gpu]",
    "test_validate.py::test_a_broken_shader_is_seen[conv-",
    "test_validate.py::test_a_broken_shader_is_seen[gradient_step-",
    "test_validate.py::test_command[gpu]",  # CI calls the command itself
    "test_validate.py::test_command[cpu]",
    "test_window.py::test_gpu_and_numpy_agree[2]",
    "test_window.py::test_gpu_and_numpy_agree[8]",
    "test_window.py::test_predict_leaves_every_bit[gpu]",
)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not ask for
def pytest_collection_modifyitems(items):
    found = set()
    for item in items:
        name = next((name for name in LONG if f"tests/{item.nodeid}".rpartition("tests/")[2].startswith(name)), None)
        if name is not None:
            found.add(name)
            item.add_marker(pytest.mark.soak)
    files = {item.nodeid.rpartition("tests/")[2].partition("::")[0] for item in items if "::" in item.nodeid}
    gone = [name for name in LONG if name.partition("::")[0] in files and name not in found]
    assert not gone or len(items) < 1000, f"no test is called {gone[0]}: take it out of LONG"


# WGSL compilers


@pytest.fixture(scope="session")
def adapter():
    """The best adapter, a software one too. A test without one fails: it would say nothing about the shaders."""
    from deephtm_gpu.backends.wgpu.adapters import list_adapters

    adapters = list_adapters()
    if not adapters:
        pytest.fail(NO_ADAPTER, pytrace=False)
    return adapters[0]


@pytest.fixture(scope="session")
def naga(adapter):
    """naga(code) -> what wgpu's compiler has against the WGSL; None if nothing."""
    import wgpu

    from deephtm_gpu.backends.wgpu.backend import open_device

    device = open_device(adapter)

    def complaint(code):
        try:
            device.create_shader_module(code=code)
        except wgpu.GPUError as e:
            return str(e)

    return complaint


@pytest.fixture(scope="session")
def tint():
    """tint(code) -> what Dawn's compiler (Chrome's) has against the WGSL; None if nothing. Its Null backend needs no
    GPU."""
    try:
        from pydawn import utils, webgpu
    except ImportError:
        pytest.fail(NO_TINT, pytrace=False)
    utils.supported_backends["Null"] = webgpu.WGPUBackendType_Null
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKEND_TYPE", "Null")
        device = utils.request_device_sync(utils.request_adapter_sync(webgpu.WGPUPowerPreference_HighPerformance))

    def complaint(code):
        try:
            utils.create_shader_module(device, code.encode("ascii", "replace").decode())  # it counts letters, not bytes
        except RuntimeError as e:
            return str(e)

    return complaint


# Networks on a backend


def put_on_numpy(net, losses, optimizer, streams=1, ahead=0, dtype=np.float64, seed=0) -> NumpyBackend:
    """The network's plan on the reference: nothing between the test and the calls of a step."""
    plan, _ = lower(net, losses, optimizer, streams, seed, ahead)
    return NumpyBackend(plan, dtype)


def one_row(inputs, targets, step, learn=True, rate=1.0) -> Batch:
    """Step number `step`. inputs, targets: a list of arrays (S, D)."""
    streams = len(inputs[0])
    share = shares(np.ones((1, streams), bool)) if streams > 1 else None
    program = Program(target="given", teach=learn, learn=learn)
    return Batch(
        program,
        [x[None] for x in inputs],
        [y[None] for y in targets],
        np.array([rate]),
        np.array([step]),
        first=step,
        share=share,
    )


# Central differences


def some_entries(rng, array, gradient, most=24):
    """Places of at most `most` entries, half of them where the gradient at hand is not 0, if there are so many."""
    there = rng.permutation(np.flatnonzero(gradient))[: most // 2]
    anywhere = rng.permutation(array.size)[: most - len(there)]
    return np.union1d(there, anywhere)


def central_difference(loss, array, entries, h=1e-6):
    """d loss() / d array at the flat `entries`, by moving them in place. loss() reads the array; what it gives is
    summed."""
    flat, found = array.reshape(-1), []
    assert array.flags.c_contiguous, "reshape would make a copy"
    for i in entries:
        kept = flat[i]
        flat[i] = kept + h
        up = loss()
        flat[i] = kept - h
        down = loss()
        flat[i] = kept
        found.append(np.sum(up - down) / (2 * h))
    return np.array(found)


def ragged_difference(loss, arrays, entries, h=1e-6):
    """Of each stream, d loss()[s] / d arrays[s] at entries[s]: an entry of every stream is moved at once, as no
    stream's loss reads what another has. loss() gives (S,)."""
    found = [np.empty(len(of_one)) for of_one in entries]
    for n in range(max(map(len, entries))):
        moved = [(s, of_one[n]) for s, of_one in enumerate(entries) if n < len(of_one)]
        kept = [arrays[s][i] for s, i in moved]
        for (s, i), value in zip(moved, kept):
            arrays[s][i] = value + h
        up = loss()
        for (s, i), value in zip(moved, kept):
            arrays[s][i] = value - h
        down = loss()
        for (s, i), value in zip(moved, kept):
            arrays[s][i], found[s][n] = value, (up[s] - down[s]) / (2 * h)
    return found


def assert_close(what, got, want, tolerance=1e-5):
    """The largest error within `tolerance` of the largest value; a failure names the worst entry."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if got.size == 0:
        return
    error, size = np.abs(got - want), np.abs(want).max()
    worst = np.unravel_index(error.argmax(), error.shape)
    assert error[worst] <= tolerance * size, (
        f"{what}: entry {tuple(map(int, worst))} is {got[worst]:.9g}, expected {want[worst]:.9g} "
        f"(off by {error[worst]:.2g}; allowed {tolerance} of the largest, {size:.3g})")


def set_in(*path, to):
    """A forgery of a saved file: change(description, arrays) that sets what stands at a path of the description."""
    def change(description, arrays):
        for key in path[:-1]:
            description = description[key]
        description[path[-1]] = to
    return change
