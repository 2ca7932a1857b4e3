"""validate passes on a sound adapter, and sees every shader that is broken on purpose."""

import json
import re
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from deephtm_gpu import validate
from deephtm_gpu.backends.devices import open_device
from deephtm_gpu.backends.wgpu.backend import OnAdapter
from deephtm_gpu.cli.main import main
from deephtm_gpu.kernels import compose
from deephtm_gpu.kernels.compose import files_of, shader_text, split
from deephtm_gpu.ops.table import OPS
from deephtm_gpu.validate import check_networks, check_ops
from deephtm_gpu.validate.check import compare

# (shader, what stands there or in a lib that it uses, what is put in its place): mistakes that a hand really makes
BREAKS = [
    ("linear", "+ params[bias + o + i]", ""),
    ("linear", "o += WG / at_once", "o += WG"),
    ("linear", "half >= stride", "half > stride"),
    ("linear", "dot(w1, v2), dot(w2, v2)", "dot(w2, v2), dot(w1, v2)"),
    ("linear", "(STREAMS + 3u) / 4u", "STREAMS / 4u"),
    ("linear", "sum3 += work[dy + s3", "sum3 += work[dy + s2"),
    ("sparse_linear", "lists[index + l] * Q + q]; }\n    }", "lists[index + l] * Q]; }\n    }"),
    ("sparse_linear", "params[bias + lists[index + l + i]]", "params[bias + l + i]"),
    ("sparse_linear", "dot(weights[row1 + q], x4), dot(weights[row2", "dot(weights[row2 + q], x4), dot(weights[row2"),
    ("relu", "work[y + i] > 0.0", "work[y + i] >= 0.0"),
    ("running_norm", "/ f32(D) + EPSILON", "/ f32(D)"),
    ("running_norm", "1.0 / (seen + 1.0)", "1.0 / (seen + 2.0)"),
    ("topk", "a.y < b.y", "a.y > b.y"),
    ("topk", "~bits", "bits"),
    ("topk", "mine = first_leader(blocks);\n      }", "}"),
    ("topk", "block + lane * blocks, WG * blocks", "block + lane * blocks, 2u * WG * blocks"),
    ("topk", "let dlead = select((work[dactivity + k] - along * work[activity + k])",
     "let dlead = select(work[dactivity + k]"),
    ("topk", "work[scale] < FAINT", "false"),
    ("running_norm", "root < FAINT", "false"),
    ("running_norm", "rate * factor", "rate"),
    ("running_norm", "params[extent] = next_largest(size, before, outlying);", ""),
    ("losses", "part * part * part * part", "part * part"),
    ("losses", "seen >= FIRST", "true"),
    ("losses", "GROWTH * recent_maximum", "size"),
    ("cells", "l % M", "l % K"),
    ("gate", "if (trial > best) { break; }", ""),
    ("gate", "weighted / select(total, 1.0, total == 0.0)", "weighted"),
    ("synapse", "if (a < A) { sum +=", "if (a + 1u < A) { sum +="),
    ("synapse", "work[value + a + span]", "work[value + a]"),
    ("synapse", "rate * bias.scale", "rate * weight.scale"),
    ("context", "work[dense + source] = old + added;", "work[dense + source] = added;"),
    ("context", "kept += rank.y;", "kept += 0u;"),
    ("context", "1.0 - FORGET * p", "1.0 - p"),
    ("context", "source + shift", "source"),
    ("head", "mix32(lists[seed] ^ t)", "mix32(lists[seed] + t)"),
    ("head", "{ d = 0.0; }", "{ d = d; }"),
    ("head", ", 0.0, total <= LEAST)", ", 0.0, false)"),
    ("expect", "s.x + log(s.y)", "log(s.y)"),
    ("expect", "abs(d) < floor", "d < floor"),
    ("expect", "top = span_largest(top, span);", ""),
    ("expect", "select(1.0, small, z < 0.0)", "1.0"),
    ("polyak", "scale * a * b;", "scale * a;"),
    ("losses", "work[probability + i] /= sum;", "work[probability + i] *= sum;"),
    ("losses", "0.5 * sum", "sum"),
    ("polyak", "/ waiting", ""),
    ("update", "s = 1u; s < STREAMS", "s = 1u; s + 1u < STREAMS"),
    ("update", "weights[theta.moment + quad] = step;", ""),
    ("update", "s += WG / at_once", "s += WG"),
    ("update", "(last - begin + 3u) / 4u", "(last - begin) / 4u"),
    ("update", "r * AT_ONCE + t", "t"),
    ("update", "block == 0u || AT_ONCE < STREAMS", "block == 0u"),
    ("update", "params[count + n] += 1.0", "params[count + n] += 2.0"),
    ("update", "params[count + o] += 1.0", ""),
    ("update", "if (is_touched(left, coef, o)) {\n      if", "if (true) {\n      if"),
    ("update", "step /= sqrt(mean)", "step /= mean"),
    ("update", "params[count + n] = k + 1.0", "params[count + n] = k"),
    ("synapse", "params[total + entry] = 0.0;", ""),
    ("synapse", "n >= begin && n < end", "n > begin && n < end"),
    ("synapse", "1u << (t % 32u)", "1u << (t % 16u)"),
    ("synapse", "turn == 0u || AT_ONCE < STREAMS", "turn == 0u"),
    ("synapse", "p.epsilon *= corrected;", ""),
    ("sampled", "(source + 1u) * F - 1u", "source * F"),
    ("sampled", "return mix32(u32(params[sample.number]))", "return u32(params[sample.number])"),
    ("sampled", "let visibility = factor * weight_of_visible(sample);", "let visibility = factor;"),
    ("sampled", "select(0.0, 1.0, lane % span == 0u)", "1.0"),
    ("sampled", "params[total + entry] = 0.0;", ""),
    ("credit", "leaked *= decay;", ""),
    ("credit", "if (place < N) { work[reach + place] = 0.0; }", ""),
    ("credit", "(t + 1u) % T", "t % T"),
    ("update", "O + parts - 1u", "O"),
    ("gradient", "x * room_of(I) + i];\n    }\n    work", "x * I + i];\n    }\n    work"),
    ("gradient", "if (i == 0u) { work[touched + base + o] = 1.0; }", ""),
    ("gradient", "if (n % classes == owner % classes) {\n          let", "if (n % classes == 0u) {\n          let"),
    ("gradient", "room_of(room + 1u)", "room_of(room)"),
    ("gradient_step", "work[at] = 0.0;", ""),
    ("gradient_step", "if (columns > 3u)", "if (columns > 2u)"),
    ("gradient_step", "if (moving) { descend4", "if (true) { descend4"),
    ("gradient_step", "if (counted && moves(touched + n, coef))", "if (counted)"),
    ("gradient_step", "turn % (WG / wide) == 0u", "turn % 2u == 0u"),
    ("gradient_step", "BLOCK) {\n    note_touched(touched, 1u", "2u * BLOCK) {\n    note_touched(touched, 1u"),
    ("gradient_step", "if (!(sum == 0.0)) { descend(weight, entry, sum, p, rule); }\n          }",
     "if (moving) { descend(weight, entry, sum, p, rule); }\n          }"),
    ("wiring", "work[a + i] + work[b + i]", "work[a + i] - work[b + i]"),
    ("wiring", "y + D, I", "y, I"),
    ("sites", "work[flat + i] = work[x + i % X", "work[flat + i] = work[x + i / X"),
    ("sites", "i % X * room_of(D) + i / X] = work[flat", "i % X * D + i / X] = work[flat"),
    ("sites", "by * sum", "sum"),
    ("running_norm", "r % X * room_of(D)", "r % X * D"),
    ("running_norm", "work[share + base] / f32(X)", "work[share + base]"),
    ("polyak", "scale * a * b;", "scale * a * (b + 1.0);"),
    ("grid", "work[restart] > 0.5", "work[restart] > 0.0"),
    ("grid", "wrap(now + work[anchor + r])", "now + work[anchor + r]"),
    ("grid", "q < Q; q++) { moved +=", "q + 1u < Q; q++) { moved +="),
    ("grid", "work[path + i] = now;", ""),
    ("grid", "f32(c / B)", "f32(c % B)"),
    ("grid", "wave.z - 3.0", "wave.y - 3.0"),
    ("grid", "* f32(n) - sum) / (sum", "* f32(n)) / (sum"),
    ("grid", "let m = first + lane / wide;", "let m = first + lane % wide;"),
    ("grid", "span_sum(squares, WG)", "span_sum(squares, wide)"),
    ("grid", "d2 += de * (wave.y + wave.z)", "d2 += de * (wave.x + wave.z)"),
    ("grid", "code + at] - mean)", "code + at])"),
    ("conv", "if (j % 4u == 1u) { return vec4<f32>(a.yzw, b.x); }", ""),
    ("conv", "quad_at(x + base, row, c3, window.W, I, i)", "quad_at(x + base, row, c2, window.W, I, i)"),
    ("conv", "padded - window.pad < n", "padded - window.pad <= n"),
    ("conv", "(at + window.pad) % window.stride", "at % window.stride"),
    ("conv", "padded >= off && coarse < n", "padded >= off"),
    ("conv", "column + 2u * step < window.W", "column + 2u * step <= window.W"),
    ("conv", "sum3 += d.w * x;", "sum3 += d.z * x;"),
    ("conv", "let o = 4u * (tile / (ins * offsets) % outs);", "let o = 0u;"),
    ("map_norm", "/ f32(D * X) + EPSILON", "/ f32(D) + EPSILON"),
    ("map_norm", "- along * work[y + at]", ""),
    ("map_norm", "root < FAINT", "false"),
    ("average", "min(1.0, window / (k + 1.0))", "window / (k + 1.0)"),
    ("average", "(part + 1u) * share) * Q", "part * share + 1u) * Q"),
    ("sparse_transposed", "if (j % 4u == 2u)", "if (j % 4u == 5u)"),
    ("sparse_transposed", "if (!(factor == 0.0))", "if (factor > 0.0)"),
    ("sparse_transposed", "work[touched + base + n] = 1.0;", ""),
    ("sparse_transposed", "i + 4u + k < I", "i + k < I"),
    ("sparse_transposed", "if (c != NOWHERE) { work[to", "if (true) { work[to"),
]


def reached(name, library):
    """The declarations that a function needs, itself among them. library: name -> declaration."""
    found, left = set(), {name}
    while left:
        found |= left
        left = {word for name in left for word in re.findall(r"\w+", library[name]) if word in library} - found
    return found


def ops_with(sound, broken):
    """The ops that need a declaration in which the two libraries differ, with the passes that need it alone: the
    others' kernels are the sound ones."""
    changed = {name for name, text in broken.items() if text != sound[name]}
    for op in OPS:
        passes = tuple(p for p in op.passes if p.name in broken and reached(p.name, broken) & changed)
        if passes:
            yield replace(op, passes=passes)


def some_now():
    """The first of each shader, and the others among the long tests: each compiles an op's kernels again."""
    seen = Counter()
    for case in BREAKS:
        seen[case[0]] += 1
        yield pytest.param(*case, marks=[] if seen[case[0]] <= 1 else [pytest.mark.soak])


@pytest.mark.parametrize("shader, there, instead", list(some_now()))
def test_a_broken_shader_is_seen(adapter, shader, there, instead):
    file = next((f for f in reversed(files_of(shader)) if there in shader_text(f)), None)
    assert file, "the test breaks a line that is no longer there"
    text = shader_text(file).replace(there, instead)
    sound = {name: code for f in files_of(shader) for name, code in split(shader_text(f)).items()}
    ops = [op for op in ops_with(sound, sound | split(text)) if op.shader == shader]
    found = [c for c in check_ops(OnAdapter(adapter, override={file: text}), ops) if not c.holds]
    assert found and all(c.worst for c in found)


def test_a_write_beside_its_place_is_seen(adapter):
    text = shader_text("relu")
    broken = text.replace("let v = work[x + i];", "let v = work[x + i];\n    work[y + 2u * D + i] = 1.0;")
    assert broken != text
    (check, *_) = check_ops(OnAdapter(adapter, override={"relu": broken}), [op for op in OPS if op.name == "relu"])
    assert not check.holds and "memory outside" in check.where


def test_a_network_with_a_broken_shader_is_seen(adapter):
    text = shader_text("wiring")
    broken = {"wiring": text.replace("{ work[y + i] = work[x + i]; }", "{ work[y + i] = 0.9 * work[x + i]; }")}
    assert broken["wiring"] != text
    assert not any(c.holds for c in check_networks(OnAdapter(adapter, override=broken), only="odd sizes, 3 streams"))


# The whole takes minutes of compiling, so CI calls the command itself; here it goes through some of all kinds.
SOME = ("relu", "topk", "synapse", "gate")


@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_command(adapter, device, tmp_path, capsys, monkeypatch):
    ops = [op for op in OPS if op.name in SOME]
    monkeypatch.setattr(validate, "check_ops", partial(check_ops, ops=ops))
    monkeypatch.setattr(validate, "check_networks", partial(check_networks, only="expected columns, targets given"))
    device = adapter.name if device == "gpu" else device
    assert main(["validate", "--device", device, "--json", str(tmp_path / "table.json")]) == 0
    reported = json.loads((tmp_path / "table.json").read_text())
    assert not [c for c in reported["checks"] if not c["holds"]] and reported["holds"]
    assert {p.name for op in ops for p in op.passes} <= {c["name"] for c in reported["checks"]}
    assert {"op", "network", *(["probe"] if device != "cpu" else [])} == {c["kind"] for c in reported["checks"]}
    assert "all hold" in capsys.readouterr().out


def test_command_fails_when_an_op_does(adapter, monkeypatch, capsys):
    """Of two ops and a network, so as not to compile all of them with the broken shader once more."""
    some = [op for op in OPS if op.shader in ("relu", "cells")]
    monkeypatch.setattr(validate, "check_ops", partial(check_ops, ops=some))
    monkeypatch.setattr(validate, "check_networks", partial(check_networks, only="expected columns, targets given"))
    sound = compose.declarations
    broken = compose.split(shader_text("relu").replace("> 0.0)", "> 1.0)"))
    monkeypatch.setattr(compose, "declarations", lambda file: broken if file == "relu" else sound(file))
    assert main(["validate"]) == 1
    assert "relu_backward" in capsys.readouterr().out.splitlines()[-1]


def test_command_on_numpy(tmp_path, capsys):
    """float32 against float64, each op once at each size, and one of several streams at positions of a map too where no
    parameter changes; no probes."""
    assert main(["validate", "--device", "numpy", "--json", str(tmp_path / "table.json")]) == 0
    printed = capsys.readouterr().out
    assert "float32 against the NumPy reference in float64" in printed.splitlines()[0] and "all hold" in printed
    reported = json.loads((tmp_path / "table.json").read_text())
    assert {c["kind"] for c in reported["checks"]} == {"op", "network"} and reported["adapter"]["backend"] == "numpy"
    by_name = {c["name"]: c for c in reported["checks"]}
    for op in OPS:
        for op_pass in op.passes:
            sums = op_pass.whole or {*op.matrices, *op.params} & {*op_pass.changes}
            trials = len(op.sizes) + (not sums and any(size["S"] > 1 for size in op.sizes))
            assert by_name[op_pass.name]["trials"] == trials * len(op_pass.changes + op_pass.writes)


def test_a_broken_reference_on_numpy_is_seen():
    """What a backend computes is compared, not the reference with itself."""
    sound = open_device("numpy").backend

    def broken(plan):
        backend = sound(plan)
        run = backend.run

        def run_and_spoil(rows):
            out = run(rows)
            backend.write("y", 1.001 * backend.read("y"))
            return out

        backend.run = run_and_spoil
        return backend

    relu = [op for op in OPS if op.name == "relu"]
    assert all(c.holds for c in check_ops(sound, relu))
    assert not next(c for c in check_ops(broken, relu) if c.name == "relu_forward").holds


def test_unknown_device_is_a_sentence(capsys):
    assert main(["validate", "--device", "no such card"]) == 2
    assert "no such card" in capsys.readouterr().err


def test_compare_names_the_worst_element():
    error, worst = compare(np.array([[1.0, 2.0], [3.0, 7.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert error == pytest.approx(9 / 30) and worst == "[1, 1] is 7, should be 4"
    assert compare(np.array([np.nan]), np.array([1.0]))[0] == float("inf")
    assert compare(np.array([1, 2]), np.array([1, 3]))[0] == float("inf")
