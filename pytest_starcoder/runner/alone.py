"""The child that runs one program nobody has read: a JSON job on standard input, what became of it in a file.

Run by path, isolated. The alarm ends the process itself: an exception could be
caught by the program.
"""

import json
import os
import signal
import sys


def main() -> None:
    from pathlib import Path

    from pytest_starcoder.runner.confine import Confinement, Unconfined, confine, limit_forks

    job = json.loads(sys.stdin.read())
    said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.chdir(job["confinement"]["folder"])
    try:
        level = confine(Confinement.from_json(job["confinement"]))
    except Unconfined as exc:
        os.write(said, f"\nunconfined: {exc}\n".encode())
        return
    os.write(said, f"{level}\n".encode())
    if hasattr(os, "fork"):
        limit_forks()
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - the program's, until its end
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    sys.argv = ["solution"]
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, job["seconds"])
    try:
        exec(compile(job["program"], "<solution>", "exec"), {"__name__": "__main__"})
    except BaseException as exc:  # noqa: BLE001 - whatever ends it is the answer
        text = f"{type(exc).__name__}: {exc}".splitlines()[0] if str(exc) else type(exc).__name__
        os.write(said, f"{text[:300]}\n".encode("utf-8", "replace"))
    else:
        os.write(said, b"passed\n")
    os._exit(0)  # threads that the program left behind would go on


if __name__ == "__main__":
    main()
