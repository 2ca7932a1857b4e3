"""The same step in other frameworks, if they are installed."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np

from deephtm_gpu.bench.networks import post_model
from deephtm_gpu.bench.speed.cases import Case, Opened
from deephtm_gpu.data.sine import sine

CHECKED = 50  # steps whose predictions are compared with the reference before anything is timed
CLOSE = 1e-3  # the largest difference
TINYGRAD_STEPS, TINYGRAD_SECONDS = 3, 600


def torch_cases() -> list[Case]:
    """Eager on the CPU; with a CUDA card also eager and as a graph there. Empty without PyTorch."""
    if find_spec("torch") is None:
        return []
    import torch

    cases = [Case("PyTorch eager, CPU", lambda: _torch("cpu"))]
    if torch.cuda.is_available():
        card = torch.cuda.get_device_name()
        cases += [Case(f"PyTorch eager, {card}", lambda: _torch("cuda")),
                  Case(f"PyTorch CUDA graph, {card}", lambda: _torch("cuda", graph=True))]
    return cases


def _torch(name, graph=False) -> Opened:
    import torch

    from deephtm_gpu.bench.speed.torch_step import TorchStep

    torch.set_num_threads(1)  # the fastest at this size: more threads wait for each other
    reference = post_model(device="numpy")
    step = TorchStep(reference, name)
    series = torch.tensor(sine(CHECKED), device=step.device)
    off = float(np.abs(step.run(series).cpu().numpy() - reference.fit(sine(CHECKED)).prediction).max())
    if not off <= CLOSE:
        raise AssertionError(f"The predictions of the step in PyTorch must be within {CLOSE} of the reference, got a "
                             f"difference of {off:.2g}.")
    if graph:
        step.capture()

    def run(steps):
        step.run(torch.tensor(sine(steps), device=step.device))
        if name == "cuda":
            torch.cuda.synchronize()

    return Opened(run)


def tinygrad_rate() -> tuple[float, bool] | None:
    """Steps per second on its WebGPU backend, and whether that is only an upper bound (it took too long). None without
    it."""
    if find_spec("tinygrad") is None or find_spec("pydawn") is None:
        return None
    command = [sys.executable, "-m", "deephtm_gpu.bench.speed.tinygrad_step", str(TINYGRAD_STEPS)]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=TINYGRAD_SECONDS, check=True).stdout
    except subprocess.TimeoutExpired:
        return TINYGRAD_STEPS / TINYGRAD_SECONDS, True
    except subprocess.CalledProcessError as error:
        print(f"tinygrad did not run: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return float(output.split()[-1]), False
