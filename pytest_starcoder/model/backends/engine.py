"""Runs the embedded engine in a child process: a JSON line says what to load, one where to ask.

The file is run by path, isolated, and imports nothing of the project. The process ends when its
standard input does, and so with its parent, however that ends. While the model is being loaded,
no other Python code runs: then it ends after that.
"""

import json
import os
import sys
import time
import urllib.request


def main() -> None:
    order = json.loads(sys.stdin.readline())
    os.umask(0o077)  # saved states contain prompts
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.n_ctx = order["window"]
    params.n_parallel = 1
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
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
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()
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
