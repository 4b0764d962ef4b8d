"""A file that is not as it should be gives faults in words, whatever is wrong with it, and never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.importers import Draft
from hpo_workflow.importers.katib_experiment import read_experiment as read_katib
from hpo_workflow.importers.nni_experiment import read_experiment as read_nni
from hpo_workflow.importers.study_text import study_text
from hpo_workflow.importers.wandb_sweep import read_sweep
from hpo_workflow.study_file.yaml_reader import read_yaml
from tests.hostile_texts import HOSTILE

SAMPLES = Path(__file__).parent / "samples"
Reader = Callable[[str, str], Draft]
READERS: dict[str, Reader] = {
    "sweep.yaml": read_sweep,
    "sweep_flags.yaml": read_sweep,
    "sweep_json.yaml": read_sweep,
    "experiment_random.yaml": read_katib,
    "experiment_hyperband.yaml": read_katib,
    "experiment_grid.yaml": read_katib,
    "config.yml": lambda text, file: read_nni(text, file, lambda name: (SAMPLES / name).read_bytes()),
    "config_v1.yml": lambda text, file: read_nni(text, file, lambda name: (SAMPLES / name).read_bytes()),
    "search_space.json": read_nni,
}
WRONG: list[Any] = [None, [], {}, "x", "", -1.5, 0, True, [[1]], {"a": {"b": 1}}, 1e300, ["x", "x"], "${hpo.lr}"]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], wrong: Any) -> Any:
    changed = copy.deepcopy(value)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = wrong
    return changed


def imported(reader: Reader, value: Any) -> str | None:
    """The study file, or None where the source has faults, each of which says what is wrong."""
    try:
        draft = reader(json.dumps(value), "source")
    except ConfigError:
        return None
    text = study_text(draft, "source", "schema.json")
    assert read_yaml(text, "study.yaml").value["study"]
    return text


@pytest.mark.parametrize("name", READERS)
def test_no_value_of_another_kind_is_more_than_a_fault(name: str) -> None:
    text = (SAMPLES / name).read_text()
    whole = json.loads(text) if name.endswith("json") else read_yaml(text, name).value
    assert imported(READERS[name], whole) is not None
    refused = 0
    for number, path in enumerate(paths(whole)):
        for wrong in WRONG[number % 3 :: 3]:
            refused += imported(READERS[name], replaced(whole, path, wrong)) is None
    assert refused > 5


@pytest.mark.parametrize("name", READERS)
def test_no_key_that_is_missing_is_more_than_a_fault(name: str) -> None:
    text = (SAMPLES / name).read_text()
    whole = json.loads(text) if name.endswith("json") else read_yaml(text, name).value
    for path in paths(whole):
        changed = copy.deepcopy(whole)
        node = changed
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        imported(READERS[name], changed)


@pytest.mark.parametrize("name", ["sweep.yaml", "experiment_random.yaml", "search_space.json"])
def test_hostile_texts_are_written_as_texts_or_refused(name: str) -> None:
    text = (SAMPLES / name).read_text()
    whole = json.loads(text) if name.endswith("json") else read_yaml(text, name).value
    texts = [path for path in paths(whole) if isinstance(_at(whole, path), str)]
    for number, hostile in enumerate(HOSTILE):
        path = texts[number % len(texts)]
        written = imported(READERS[name], replaced(whole, path, hostile))
        assert written is None or not any(c != "\n" and not c.isprintable() for c in written)


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 8)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize("reader", [read_sweep, read_katib, read_nni])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("just a text", "this is no "),
        ("[1, 2]", "this is no "),
        ("{}", "this is no "),
        ("a: [1, 2", "a bracket is opened"),
        ("{'a': 1, 'a': 2}", "is given twice"),
        ('{"a": 1, "a": 2}', "is given twice"),
        ('{"a": "\\ud800"}', "holds what is no character"),
        ("a: !!python/object:os.system x", "the tag"),
        ("a: \x07", "cannot stand in YAML"),
        (BOMB, "more than 8000 values"),
        ("[" * 5000, "nests deeper"),
        ("x: " + "y" * 300_000, "a study file has at most"),
        ('{"a": ' * 30 + "1" + "}" * 30, "nests too deep"),
        ("parameters: {x: {value: 1}}\nmethod: &m random\n<<: *m", "merge key"),
    ],
)
def test_a_text_that_is_no_such_file_is_refused_in_words(reader: Reader, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        reader(text, "source")


def test_what_yaml_reads_in_two_ways_is_named() -> None:
    draft = read_sweep("program: a.py\nmethod: random\nrun_cap: 3\nparameters: {x: {values: [no, maybe]}}", "source")
    assert draft.study["space"]["x"] == ["no", "maybe"]
    assert any("'no' is text here" in note.problem for note in draft.changed)
