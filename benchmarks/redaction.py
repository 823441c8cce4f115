"""Measures recall, false positives and speed of redaction, compared with detect-secrets.

    python -m benchmarks.redaction [--missed]

The samples are in `tests/redaction`: secrets, with the parts that must not be visible, and harmless
texts. Random characters are filled in when samples are read, always the same ones, so that no file
seems to contain live tokens.
"""

from __future__ import annotations

import random
import re
import string
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_starcoder
from benchmarks.published import Outcome, Row, options, publish, wall_time
from pytest_starcoder.redaction.redactor import Redactor, redact
from pytest_starcoder.report.bar_chart import Bars

CORPUS = Path(__file__).parents[1] / "tests" / "redaction"
PACKAGE = Path(pytest_starcoder.__file__).parent

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Sample:
    """A text in some format, under a file name, and the parts of it that must not be visible."""

    format: str
    file: str
    text: str
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """The result of a detector: missed secrets, and harmless samples it took for secrets."""

    missed: tuple[Sample, ...]
    secrets: int
    false: tuple[Sample, ...]
    harmless: int

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / self.secrets

    @property
    def false_rate(self) -> float:
        return len(self.false) / self.harmless


def samples(name: str) -> list[Sample]:
    """Return the samples in a corpus file."""
    found: list[Sample] = []
    kind = file = ""
    for line in (CORPUS / f"{name}.txt").read_text("utf-8").splitlines():
        if line.startswith("## ") and len(line.split()) == 3:
            kind, file = line.split()[1:]
        elif line.strip() and kind:
            found.append(_sample(kind, file, line, len(found)))
    return found


def _sample(kind: str, file: str, line: str, number: int) -> Sample:
    chance = random.Random(number)
    text = re.sub(r"«([^»]*)»", lambda match: _made_up(match[1], chance), line).replace("⏎", "\n")
    secrets = tuple(re.findall(r"⟦([^⟧]*)⟧", text))
    return Sample(kind, file, re.sub("[⟦⟧]", "", text), secrets)


_KINDS = {
    "hex": "0123456789abcdef",
    "alnum": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "digits": "123456789",
    "b64": string.ascii_letters + string.digits + "+/",
}


def _made_up(what: str, chance: random.Random) -> str:
    """Return random characters: `hex:32`, `b64:40`, or a password such as `pw:16`."""
    kind, *rest = what.split(":")
    size = int(rest[-1]) if rest and rest[-1].isdigit() else 12
    if kind != "pw":
        alphabet = _KINDS[kind]
        while True:
            made = "".join(chance.choices(alphabet, k=size))
            if size < 16 or kind in ("digits", "hex") or re.search(r"\d.*\d", made):
                return made
    signs = "" if "alnum" in rest else chance.choice(["", "", "!", "@", "#", "-", "_"])
    while True:
        made = "".join(chance.choices(_KINDS["alnum"], k=size - len(signs)))
        if (
            re.search(r"[a-z]", made)
            and re.search(r"[A-Z]", made)
            and len(re.findall(r"[A-Za-z]\d", made)) >= 2
        ):
            return made[: size // 2] + signs + made[size // 2 :]


def ours(secrets: Sequence[Sample], harmless: Sequence[Sample]) -> Figures:
    """Redact the samples, each as a separate text, and return the result."""
    missed = [sample for sample in secrets if shows(redact(sample.text), sample)]
    false = [sample for sample in harmless if redact(sample.text) != sample.text]
    return Figures(tuple(missed), len(secrets), tuple(false), len(harmless))


def shows(text: str, sample: Sample) -> bool:
    """Return whether a secret of the sample, or half of it, is still visible in `text`."""
    for secret in sample.secrets:
        half = len(secret) // 2
        if secret in text or (half >= 8 and (secret[:half] in text or secret[-half:] in text)):
            return True
    return False


def theirs(secrets: Sequence[Sample], harmless: Sequence[Sample]) -> Figures:
    """Run the plugins of detect-secrets on the samples and return the result."""
    missed = [sample for sample in secrets if not detected(sample)]
    false = [sample for sample in harmless if any(_detections(sample))]
    return Figures(tuple(missed), len(secrets), tuple(false), len(harmless))


def detected(sample: Sample) -> bool:
    """Return whether detect-secrets finds a secret of the sample, or at least its line."""
    return any(
        value in secret or secret in value or "BEGIN" in value
        for value in _detections(sample)
        for secret in sample.secrets
    )


def _detections(sample: Sample) -> Iterator[str]:
    """Yield the values that detect-secrets finds, without its plugins for public addresses."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.settings import default_settings

    with default_settings():
        classes: list[Any] = list(get_mapping_from_secret_type_to_class().values())
        plugins = [plugin() for plugin in classes]
        for plugin in plugins:
            if type(plugin).__name__ == "IPPublicDetector":
                continue
            for line in sample.text.split("\n"):
                for secret in plugin.analyze_line(filename=sample.file, line=line, line_number=1):
                    yield secret.secret_value or ""


def package_lines() -> tuple[int, int]:
    """Return how many lines this package has, and how many of them `redact` changes."""
    lines = changed = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        before = path.read_text("utf-8")
        after = redact(before)
        lines += before.count("\n")
        changed += sum(
            one != other for one, other in zip(before.split("\n"), after.split("\n"), strict=True)
        )
    return lines, changed


def large_texts() -> dict[str, str]:
    """Return a megabyte, or the size in the name, of several kinds of text."""
    chance = random.Random(1)
    source = "".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    passwords = (f"password = '{_made_up('pw:14', chance)}'\n" for _ in range(100_000))
    table = (f"row({number}, 'x', {number * 7 % 1000})\n" for number in range(100_000))
    corpus = "\n".join(sample.text for sample in samples("secrets")) + "\n"
    return {
        "this package": (source * (MEGABYTE // len(source) + 1))[:MEGABYTE],
        "0.25 MB of distinct passwords": _first(passwords, MEGABYTE // 4),
        "a table": _first(table, MEGABYTE),
        "the secrets again and again": (corpus * (MEGABYTE // len(corpus) + 1))[:MEGABYTE],
        "one line": "x = 1; " * (MEGABYTE // 7),
    }


def _first(lines: Iterable[str], size: int) -> str:
    found: list[str] = []
    left = size
    for line in lines:
        if left <= 0:
            break
        found.append(line)
        left -= len(line)
    return "".join(found)


def seconds(text: str) -> float:
    """Return processor seconds per text: the lower of two, to reduce noise."""
    taken = []
    for number in range(2):
        fresh = f"{text}\n{number}"  # texts seen before are cached
        start = time.process_time()
        Redactor().redact(fresh)
        taken.append(time.process_time() - start)
    return min(taken)


def rows(secrets: str, harmless: str, label: str) -> list[Row]:
    """Return recall and false positives on one part of the corpus, ours and detect-secrets'."""
    guarded, plain = samples(secrets), samples(harmless)
    mine, other = ours(guarded, plain), theirs(guarded, plain)
    more = sum(detected(sample) for sample in mine.missed)
    return [
        Row(f"secrets found of {mine.secrets}{label}", f"{mine.recall:.1%}", ">= 97 %"),
        Row("the same by detect-secrets", f"{other.recall:.1%}"),
        Row("found by detect-secrets and not by us", str(more), "0"),
        Row(
            f"harmless texts changed of {mine.harmless}{label}", f"{mine.false_rate:.1%}", "<= 1 %"
        ),
        Row("the same by detect-secrets", f"{other.false_rate:.1%}"),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--missed", action="store_true", help="only print the samples that fail")
    chosen, started = parser.parse_args(argv), time.perf_counter()
    if chosen.missed:
        for kind in ("", "held_out_"):
            _print_missed(ours(samples(f"{kind}secrets"), samples(f"{kind}harmless")))
        return
    lines, changed = package_lines()
    speeds = [(name, len(text) / MEGABYTE / seconds(text)) for name, text in large_texts().items()]
    table = [
        *rows("secrets", "harmless", ""),
        *rows("held_out_secrets", "held_out_harmless", ", written afterwards"),
        Row(f"lines changed of the {lines:,} of this package", str(changed), "0"),
        *(
            Row(f"MB a second: {name}", f"{speed:.1f}", ASKED.get(name, ""))
            for name, speed in speeds
        ),
        wall_time(started),
    ]
    chart = Bars(
        "What redaction takes",
        "megabytes a second",
        ("MB/s",),
        tuple((name, (round(speed, 2),)) for name, speed in speeds),
    )
    publish(Outcome("redaction", table, [chart]), chosen)


ASKED = {
    "this package": ">= 1",
    "a table": ">= 1",
    "one line": ">= 1",
    "0.25 MB of distinct passwords": ">= 0.25",
}


def _print_missed(figures: Figures) -> None:
    for label, wrong in (("missed", figures.missed), ("false", figures.false)):
        for sample in wrong:
            print(f"{label} {sample.format}: {sample.text!r} -> {redact(sample.text)!r}")


if __name__ == "__main__":
    main()
