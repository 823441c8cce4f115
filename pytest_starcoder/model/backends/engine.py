"""Runs the embedded engine in a child process: a JSON line says what to load, one where to ask.

The file is run by path, isolated, and imports nothing of the project. The process ends when its
standard input does, and so with its parent, however that ends. While the model is being loaded,
no other Python code runs: then it ends after that.
"""

import json
import os
import sys
import threading
import time
import urllib.request
from typing import Any

PARENT_CHECK_INTERVAL = 0.5
"""Seconds."""


def main() -> None:
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=exit_with, args=(os.getppid(),), daemon=True).start()
    os.umask(0o077)  # saved states contain prompts
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.n_ctx = order["window"]
    params.n_parallel = 1
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    if order["gpu_layers"] is not None:
        params.n_gpu_layers = order["gpu_layers"]
    params.verbosity = -1  # the default writes to our standard output
    # Otherwise a model with a sliding window cannot reuse the beginning of a prompt.
    params.swa_full = True
    params.warmup = False
    params.ui = False
    params.slot_save_path = order["states"]
    params.cache_ram_mib = 512  # for the states of earlier prompts; the default is 8192
    params.port = 0
    params.api_keys = [order["key"]]
    server = xllamacpp.Server(params)
    # Deleting a server that has not answered yet hangs for ever.
    while not is_healthy(server.listening_address):
        time.sleep(0.02)
    answer = {
        "url": server.listening_address,
        "system": xllamacpp.get_system_info(),
        "gpus": gpus(xllamacpp.get_device_info()),
    }
    print(json.dumps(answer), flush=True)
    sys.stdin.read()
    os._exit(0)


def gpus(devices: list[dict[str, Any]]) -> list[str]:
    """Return the names of the GPUs among llama.cpp's devices."""
    return [device["description"] for device in devices if device["type"].name.endswith("GPU")]


def exit_with(parent: int) -> None:
    """Exit soon after the parent process: its forks may hold our standard input open."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL)
    os._exit(0)


def is_healthy(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
