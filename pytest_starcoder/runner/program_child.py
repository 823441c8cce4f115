"""The child that runs one program nobody has read: a JSON job in a file, what became of it in another.

Run by path, isolated. The alarm ends the process itself: an exception could be
caught by the program. Both files are removed from their folder before the
program starts, and only lines with the job's token count, so no program reports a
verdict by accident or by guessing. One that looks for the token in our frames can
still do so: nothing is hidden within one process.
"""

import contextlib
import json
import os
import signal
import sys


def main() -> None:
    from pathlib import Path

    from pytest_starcoder.runner.sandbox import Sandbox, Unconfined, confine, limit_forks

    job = json.loads(Path(sys.argv[1]).read_text("ascii"))
    answers = os.open(job["said"], os.O_WRONLY | os.O_APPEND)
    for path in (sys.argv[1], job["said"]):
        with contextlib.suppress(OSError):  # Windows cannot remove an open file
            Path(path).unlink()

    write, leave = os.write, os._exit  # saved, because the program may replace these functions

    def say(text: str) -> None:
        write(answers, f"\n{job['token']}{text}\n".encode("utf-8", "replace"))

    os.chdir(job["confinement"]["folder"])
    try:
        level = confine(Sandbox.from_json(job["confinement"]))
    except Unconfined as exc:
        say("")
        say(f"unconfined: {exc}")
        return
    say(level)
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
        say(text[:300])
    else:
        say("passed")
    leave(0)  # threads left by the program must not keep running


if __name__ == "__main__":
    main()
