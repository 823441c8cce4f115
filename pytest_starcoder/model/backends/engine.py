"""The child process of the embedded engine: one JSON line in (what to load), one out (where to ask).

Run by path, isolated, with nothing of the project imported. It ends when its
standard input does, that is with its parent, however that ends: at once, or as
soon as the model is loaded, because nothing else of Python runs until then.
"""

import json
import os
import sys
import time
import urllib.request


def main() -> None:
    order = json.loads(sys.stdin.readline())
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.n_ctx = order["window"]
    params.n_parallel = 1
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    params.verbosity = -1  # the default writes to our standard output
    params.swa_full = (
        True  # else a model with a sliding window reads a prompt anew whose beginning it knows
    )
    params.warmup = False
    params.ui = False
    params.port = 0
    params.api_keys = [order["key"]]
    server = xllamacpp.Server(params)
    # Not let go before it has answered once: deleting a fresh server hangs for ever.
    while not healthy(server.listening_address):
        time.sleep(0.02)
    print(json.dumps({"url": server.listening_address}), flush=True)
    sys.stdin.read()
    os._exit(0)


def healthy(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
