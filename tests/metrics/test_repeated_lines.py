"""Lines of known kinds are read at once, and nothing but the time tells."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from hpo_workflow.metrics import MetricReader, repeated_lines
from hpo_workflow.metrics.extraction import Series
from hpo_workflow.metrics.reader import CAP_POINTS
from hpo_workflow.metrics.repeated_lines import RepeatedLines
from tests.metrics.reading import BEST, LOSS, verdict
from tests.metrics.test_fuzz import SETTINGS, cut, line
from tests.soak import size

SEED = 20261122
FORMS = [
    "2026-11-21 10:11:12,345 INFO epoch={} loss={} acc={}%",
    "{}%|███   | {}/100 [00:0{}<00:1{}, 10{}.35it/s, loss=0.{}]",
    "train loss={} step={}",
    "Epoch [{}/{}] loss: {}, acc = {}",
    '{{"epoch": {}, "loss": {}.{}, "ts": "2026-01-0{}", "n": [{}, {}], "s": {{"a{}": {}}}}}',
    '{}: {{"loss": {}e-0{}, "step": {}}}',
    "model=resnet{} size={},{} loss=-{}.{}",
    "x='{}' loss={}",
    "layer{}_loss={} loss=1e{}",
    "loss={} {}",
    "loss={}_{}",
    "acc {} loss=\t{}",
    "loss={}.{}.{}",
    "val/loss={} loss={} epoch={}",
    "x=1.#INF{} loss={}",
    "x=2.#INF loss={}",
    'q="  {}   " loss={}',
    'q="' + " " * 80 + '{}   " loss={}',
    "loss={} loss={}",
    "epoch={} epoch={} loss={}",
    "a=nan({}) loss={}",
    "loss={}e{}",
    "loss={} {} {} acc={}",
    "acc={} {}.{}, loss={}, {}",
    "loss: {} {}",
    "a|{}={} loss = {} epoch={}",
]
"""Lines of which a log holds many, and some of whose metrics hang on a digit."""
MORE_SETTINGS: list[dict[str, Any]] = [
    {"format": "json", "step": "epoch"},
    {"format": "json", "define": {"acc": {"after": "acc"}}},
    {"format": "katib", "step": "epoch"},
    {"define": {"loss": {"after": "loss: "}, "acc": {"after": "acc ="}}, "step": "epoch"},
    {"define": {"other": {"after": "loss="}}},
    {"define": {"loss": {"after": "1oss"}}},
]


def repeated(rng: random.Random) -> bytes:
    """A log of few kinds of lines that differ in their digits, sometimes in unlikely ones."""
    kinds = []
    for _ in range(rng.randrange(1, 6)):
        form = rng.choice(FORMS).format(*(rng.randrange(1000) for _ in range(9))).encode()
        kinds.append(line(rng)[:2000] + b"\n" if rng.random() < 0.3 else form + rng.choice([b"\n", b"\r", b"\r\n"]))
    lengths = [1, 2, 3, 3, 4] if rng.random() < 0.6 else [1, 24, 25, 26, 60, 101]

    def other(match: re.Match[bytes]) -> bytes:
        if rng.random() < 0.2:
            return match.group()
        return bytes(rng.choices(b"0123456789", k=rng.choice([*lengths, len(match.group())])))

    return b"".join(re.sub(rb"\d+", other, rng.choice(kinds)) for _ in range(rng.randrange(300)))


def read_all(pieces: list[bytes], settings: dict[str, Any], objective: dict[str, Any]) -> tuple[str, str]:
    """All that is found, and the points that were told before the end."""
    reader = MetricReader(settings, objective)
    points = [point for piece in pieces for point in reader.feed(piece)]
    extraction = reader.close()
    return json.dumps([extraction.to_json(), verdict(extraction, objective)], sort_keys=True), repr(points)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_known_kinds_of_lines_are_read_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "LEARN_AFTER", 2)
    quick = RepeatedLines.can_read
    rng = random.Random(SEED)
    n_lines = n_known = 0
    taken = MetricReader._take

    def counted(self: MetricReader, kinds: Any, rows: Any, points: Any) -> None:
        nonlocal n_known
        n_known += len(rows)
        taken(self, kinds, rows, points)

    monkeypatch.setattr(MetricReader, "_take", counted)
    while n_lines < size(10_000, 500_000):
        text = repeated(rng)
        settings = rng.choice(SETTINGS + MORE_SETTINGS)
        objective = {**rng.choice([LOSS, BEST]), "metric": rng.choice(["loss", "loss", "val/loss", "acc"])}
        pieces = cut(text, rng)
        monkeypatch.setattr(RepeatedLines, "can_read", lambda scanner: False)
        careful = read_all(pieces, settings, objective)
        monkeypatch.setattr(RepeatedLines, "can_read", quick)
        assert read_all(pieces, settings, objective) == careful, f"line {n_lines} and on, seed {SEED}: {settings}"
        n_lines += text.count(b"\n") + 1
    assert n_known > n_lines / 20
    print(f"{n_lines} lines, {n_known} of them of a known kind: all read as one by one")


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({}, "12:00:01 epoch={0} loss=0.{1} acc={0}.5% opt=adam7 lr=1e-0{0}"),
        ({"step": "epoch"}, "epoch={0} loss=0.{1} time={0}s"),
        ({}, "{0}%|██  | {1}/9 [00:0{0}<00:09, 1.5it/s, loss=0.{1}]"),
        ({"format": "katib"}, "epoch={0} loss=0.{1}"),
        ({"format": "json"}, '{{"epoch": {0}, "loss": 0.{1}, "at": "12:00:0{0}", "lrs": [0.1, {0}]}}'),
        ({"define": {"loss": {"after": "loss:"}}}, "epoch={0} loss: 0.{1}"),
    ],
)
def test_common_logs_are_of_known_kinds(settings: dict[str, Any], form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = []
    read_line = MetricReader._line

    def noted(self: MetricReader, number: int, line: bytes, points: Any) -> None:
        one_by_one.append(line)
        read_line(self, number, line, points)

    monkeypatch.setattr(MetricReader, "_line", noted)
    reader = MetricReader(settings, LOSS)
    points = reader.feed("".join(form.format(i % 9 + 1, i) + "\n" for i in range(1000)).encode())
    assert [value for _, value in points] == [float(f"0.{i}") for i in range(1000)]
    assert len(one_by_one) <= repeated_lines.LEARN_AFTER + 1


def test_a_log_of_ever_new_kinds_of_lines_takes_bounded_memory() -> None:
    reader = MetricReader({}, LOSS)
    letters = "abcdefghij"
    for i in range(1500):
        word = "".join(letters[int(digit)] for digit in str(i))
        reader.feed(f"{word} loss=0.5 {word}\n".encode() * repeated_lines.LEARN_AFTER)
    known = reader._repeated
    assert repeated_lines.CAP_KINDS / 2 < len(known.kinds) <= repeated_lines.CAP_KINDS
    assert len(known._seen) <= repeated_lines.CAP_SEEN
    assert reader.close().counts["loss"] == 1500 * repeated_lines.LEARN_AFTER


def test_many_points_at_once_are_kept_as_one_by_one() -> None:
    rng = random.Random(SEED)
    for _ in range(25):
        together, single = Series(), Series()
        cap = rng.choice([100, 107, CAP_POINTS])
        for _ in range(rng.randrange(1, 30)):
            cap = max(100, cap - rng.choice([0, 0, 0, 40]))
            odd = rng.choice([float("nan"), float("inf"), -0.0, 0.0])
            values = [rng.choice([rng.random(), 0.5, 0.0]) for _ in range(rng.choice([1, 3, 5, 50, 1000]))]
            if rng.random() < 0.2:
                values[rng.randrange(len(values))] = odd
            steps = [rng.random() for _ in values] if rng.random() < 0.5 else range(len(values))
            together.extend(steps, values, cap)
            for step, value in zip(steps, values, strict=True):
                single.append(float(step), value, cap)
            for name in Series.__slots__:
                assert repr(getattr(together, name)) == repr(getattr(single, name))
