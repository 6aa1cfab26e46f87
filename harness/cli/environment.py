"""harness doctor: what this machine has, and what would spoil a measurement."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from harness.cli.exits import CONDITION_FAILED, OK
from harness.cli.output import Json, byte_size, emit

PROBE_SECONDS = 180

# Each runs in a process of its own: the two frameworks do not share one, and a broken one only breaks its probe.
PROBES = {
    "tensorflow": """
import os, json, time
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
start = time.perf_counter()
import tensorflow as tf, keras
seconds = time.perf_counter() - start
gpus = [tf.config.experimental.get_device_details(g).get("device_name", g.name)
        for g in tf.config.list_physical_devices("GPU")]
print(json.dumps({"version": tf.__version__, "keras": keras.__version__, "gpus": gpus, "import_seconds": seconds,
                  "threads": {"intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
                              "inter_op": tf.config.threading.get_inter_op_parallelism_threads()}}))
""",
    "pytorch": """
import json, time
start = time.perf_counter()
import torch
seconds = time.perf_counter() - start
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": gpus, "import_seconds": seconds,
                  "threads": {"intra_op": torch.get_num_threads(), "inter_op": torch.get_num_interop_threads()}}))
""",
}


def doctor(as_json: Json = False) -> int:
    """Examine the machine and both frameworks. Exit code 1 if a framework cannot be used."""
    from harness.records.environment import environment

    machine = environment()
    frameworks = {name: probe(code) for name, code in PROBES.items()}
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    data: dict[str, Any] = {
        **{key: machine[key] for key in ("machine", "cpu", "cores", "memory_bytes", "gpu", "python", "platform")},
        "versions": machine["versions"], "frameworks": frameworks, "load_average": load, "governor": governor(),
        "thread_variables": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
    }
    data["problems"], data["warnings"] = problems(data), warnings(data)
    emit(data, _text(data), as_json)
    return CONDITION_FAILED if data["problems"] else OK


THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
                    "CUDA_VISIBLE_DEVICES")


def probe(code: str) -> dict[str, Any]:
    """What a fresh interpreter says about a framework, or {"error": why it says nothing}."""
    import subprocess

    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PROBE_SECONDS} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"exit code {done.returncode}"}
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": "the probe printed no answer"}
    return answer


def governor(path: Path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")) -> str | None:
    """The frequency governor of the first core, None where the system does not tell."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def problems(data: dict[str, Any]) -> list[str]:
    """What keeps cells from running."""
    return [f"{name}: {answer['error']}" for name, answer in data["frameworks"].items() if "error" in answer]


def warnings(data: dict[str, Any]) -> list[str]:
    """What would make timings noisy, or surprise."""
    found = []
    load = data["load_average"]
    if load and load[0] > 0.5 * data["cores"]:
        found.append(f"the load average is {load[0]:.2f} on {data['cores']} cores: timings will be noisy")
    if data["governor"] not in (None, "performance"):
        found.append(f"the frequency governor is {data['governor']!r}: timings may drift ('performance' holds still)")
    for name, answer in data["frameworks"].items():
        if data["gpu"] and "error" not in answer and not answer["gpus"]:
            found.append(f"{name} does not see the GPU ({data['gpu']}): install its GPU build")
    for name, text in data["thread_variables"].items():
        found.append(f"{name}={text} is set")
    return found


def _text(data: dict[str, Any]) -> str:
    lines = [
        f"machine     {data['machine']}",
        f"cpu         {data['cpu']}, {data['cores']} cores, {byte_size(data['memory_bytes'])} of memory",
        f"gpu         {data['gpu'] or 'none'}",
        f"system      {data['platform']}, Python {data['python']}",
    ]
    for name, answer in data["frameworks"].items():
        if "error" in answer:
            lines.append(f"{name.ljust(11)} not usable: {answer['error']}")
            continue
        keras = f" with Keras {answer['keras']}" if "keras" in answer else ""
        threads = answer["threads"]
        lines.append(f"{name.ljust(11)} {answer['version']}{keras}, {len(answer['gpus'])} GPU(s), imported in "
                     f"{answer['import_seconds']:.1f} s, threads {threads['intra_op']} + {threads['inter_op']}")
    others = {name: text for name, text in data["versions"].items() if name not in ("tensorflow", "torch", "keras")}
    lines.append("packages    " + ", ".join(f"{name} {text}" for name, text in others.items()))
    if data["load_average"]:
        lines.append("load        " + " ".join(f"{value:.2f}" for value in data["load_average"]))
    lines.append(f"governor    {data['governor'] or 'unknown'}")
    lines += [f"problem:    {text}" for text in data["problems"]]
    lines += [f"warning:    {text}" for text in data["warnings"]]
    return "\n".join(lines)
