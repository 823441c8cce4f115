"""Runs of the test generation, with drafts that run in this process."""

from __future__ import annotations

from dataclasses import replace

from support.in_process_trials import InProcessBench, InProcessTrials
from support.shop import SHOP, generate, reasons, shop_draft, target_named, targets_in

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Origin
from pytest_starcoder.generate.generation import Generation
from pytest_starcoder.generate.job import drafts_without_model
from pytest_starcoder.generate.result import Counts
from pytest_starcoder.runner.trials import Unavailable


def test_suspected_bug() -> None:
    generated = generate(drafts_without_model(SHOP, targets_in(SHOP), [Origin.DOCTEST]))
    [bug] = generated.suspected
    assert (bug.draft.because, bug.reason) == ('>>> parse("3")', "raises ValueError")
    assert {test.draft.target.name for test in generated.kept} == {"mean"}


def test_score_before_and_after() -> None:
    generated = generate([shop_draft("assert mean([1, 2, 3]) == 2")], [target_named("mean")])
    [score] = generated.scores
    assert score.before == Counts()
    assert score.total.lines == score.after.lines + 1 == 3
    assert 0 < score.after.mutants == score.total.mutants - len(score.living)


def test_branches() -> None:
    source = "def f(x):\n    for y in x:\n        if y > 3:\n            x = [y]\n    return x\n"
    [target, _] = targets_in(source)
    drafts = [
        shop_draft("assert f([5, 4]) == [4]", target, name="test_0"),
        shop_draft("assert f([]) == []", target, name="test_1"),
    ]
    [score] = generate(drafts, [target], source).scores
    assert (score.total.lines, score.after.lines) == (4, 4)
    assert (score.total.branches, score.after.branches) == (4, 3)


def test_existing_suite() -> None:
    existing = shop_draft("assert mean([1, 2, 3]) == 2", name="test_existing")
    draft = shop_draft("assert 2 == mean([1, 2, 3])")
    generated = generate(
        [draft], [target_named("mean")], suite=[existing.nodeid], bench={"suite": [existing]}
    )
    assert reasons(generated) == {"test_drafted": "adds nothing"}
    [score] = generated.scores
    assert 0 < score.before.mutants == score.after.mutants < score.total.mutants


def test_documented_exception() -> None:
    source = SHOP.replace(
        "ValueError: no values\n", "\n    Raises:\n        ValueError: if so\n", 1
    )
    mean = target_named("mean", source)
    calls = {"mean": ["mean([])", "mean([2])"]}
    bench = {"calls": calls}
    drafts = [shop_draft("assert mean([1, 2, 3]) == 2", mean)]
    generated = generate(drafts, [mean], source, bench=bench)
    assert not [test for test in generated.kept if test.draft.origin is Origin.RAISES]
    doctest = replace(drafts[0], origin=Origin.DOCTEST)
    generated = generate([doctest], [mean], source, bench=bench)
    [raising] = [test.draft for test in generated.kept if test.draft.origin is Origin.RAISES]
    assert raising.body == ("with pytest.raises(ValueError):\n    mean([])",)


def test_characterisation() -> None:
    price = target_named("price")
    bench = {"calls": {"price": ["price(10)", "price(11, 7)", "price(12, 3)"]}}
    drafts = [shop_draft("assert price(5) == 10", price)]
    assert not generate(drafts, [price], bench=bench, characterise=False).kept[1:]
    generated = generate(drafts, [price], bench=bench, characterise=True)
    added = generated.kept[1:]
    assert added
    assert {test.draft.origin for test in added} == {Origin.CHARACTERISATION}
    assert all(test.draft.name.startswith("test_price_characterised_") for test in added)
    assert generated.scores[0].after.mutants > generated.scores[0].total.mutants / 2


def test_same_name_in_two_modules() -> None:
    sources = {"shop.py": SHOP, "other.py": SHOP}
    targets = [target_named("mean"), targets_in(SHOP, "other.py")[0]]
    drafts = [draft for target in targets for draft in doctest_drafts(target, ["mean"])]
    generated = generate(drafts, targets, bench={"sources": sources})
    assert {(test.draft.target.module, test.draft.name) for test in generated.kept} == {
        ("shop", "test_mean_example_1"),
        ("shop", "test_mean_example_2"),
        ("other", "test_mean_example_1_2"),
        ("other", "test_mean_example_2_2"),
    }


def test_confirmation() -> None:
    draft = shop_draft("assert mean([1, 2, 3]) == 2")
    generated = generate([draft], bench={"failures_at_the_end": {"test_drafted": "hung"}})
    assert reasons(generated) == {"test_drafted": "depends on the hash seed"}
    mean = generated.scores[0]
    assert mean.after == mean.before


def test_confirmation_out_of_time() -> None:
    draft = shop_draft("assert mean([1, 2, 3]) == 2")
    over = {"test_drafted": "not run: the time is over"}
    generated = generate([draft], bench={"failures_at_the_end": over})
    assert reasons(generated) == {"test_drafted": "was not run: the time limit was reached"}


def test_unimportable_module() -> None:
    note = generate([], source=f"import not_there\n{SHOP}").note
    assert note == "shop cannot be imported (ModuleNotFoundError: No module named 'not_there')"


class UnavailableBench(InProcessBench):
    def open(self, *_: object, **__: object) -> InProcessTrials:
        raise self.error

    error: Exception = Unavailable("this platform cannot fork a process")


def test_unavailable_trials() -> None:
    generation = Generation(UnavailableBench(), str, Deadline.after(9))
    assert generation.run([]).note == "this platform cannot fork a process"


def test_no_process() -> None:
    class Full(UnavailableBench):
        error = OSError("too many processes")

    note = Generation(Full(), str, Deadline.after(9)).run([]).note
    assert note == "no process could be started: too many processes"


def test_out_of_time() -> None:
    bench = InProcessBench(targets=targets_in(SHOP), sources={"shop.py": SHOP})
    generation = Generation(bench, bench.sources.__getitem__, Deadline.after(0, "generate_timeout"))
    generated = generation.run([shop_draft("assert mean([1, 2, 3]) == 2")])
    assert not generated.kept
    assert generated.over == "the time limit was reached (the setting generate_timeout)"


def test_interrupted() -> None:
    def interrupt(step: str) -> None:
        if "drafts from model" in step:
            raise KeyboardInterrupt

    example = shop_draft("assert mean([1, 2, 3]) == 2", origin=Origin.DOCTEST)
    generated = generate([example, shop_draft("assert mean([]) == 2")], progress=interrupt)
    assert reasons(generated) == {"test_drafted": "kept"}
    assert generated.over == "the run was interrupted; answers of the model are remembered"


def test_level_of_sandbox() -> None:
    assert generate([]).level == "audit"
