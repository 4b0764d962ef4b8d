"""Sealed files, read: what lies in its place, what is sealed, and what of it is damaged."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.store.atomic import publish, seal
from hpo_workflow.store.compaction import Settled, compact, find_bundles
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import DamagedSeal, Part, Sealed
from hpo_workflow.store.sealed import publish as publish_unless_sealed
from tests.soak import IS_SOAK

SEED = 11
NUMBERS = range(6)


def record(number: int) -> dict[str, object]:
    return {"number": number, "end": {"kind": "done"}, "seconds": number / 8, "noise": f"{number * 7919:x}" * 5}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study of six results, sealed."""
    return sealed_study(tmp_path / "s", NUMBERS)


def sealed_study(root: Path, numbers: range) -> StudyPaths:
    paths = StudyPaths(str(root))
    for number in numbers:
        publish(paths.result_record(number), record(number))
    settled = Settled(set(numbers), (), {"000"}, ())
    assert compact(paths, find_bundles(paths, settled)).n_sealed == len(numbers)
    return paths


def the_part(paths: StudyPaths) -> Path:
    return Path(paths.sealed(f"{paths.root}/ledger/results/000", 1))


def test_what_is_sealed_is_found_as_if_it_lay_in_its_place(paths: StudyPaths) -> None:
    assert not Path(paths.result_record(0)).parent.exists()
    sealed = Sealed(paths)
    for number in NUMBERS:
        path = paths.result_record(number)
        assert sealed.json(path) == record(number)
        assert sealed.sealed(path) == seal(record(number)).encode()
        assert sealed.exists(path) and sealed.is_sealed(path)
    for path in (paths.result_record(7), paths.result_record(1007), paths.batch_record(0), paths.log(1, 1)):
        assert sealed.json(path) is None and not sealed.exists(path)
    with pytest.raises(FileNotFoundError):
        sealed.open(paths.log(1, 1))


def test_a_shard_is_opened_once_however_many_records_are_read(paths: StudyPaths) -> None:
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and paths.root in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(hook)
    sealed = Sealed(paths)
    assert [sealed.json(paths.result_record(number)) for number in NUMBERS] == [record(n) for n in NUMBERS]
    watching = False
    assert opened.count(str(the_part(paths))) == 1
    assert len(opened) <= 3, f"one look at the place of the first, one at a second part: {opened}"


def test_where_nothing_is_sealed_a_record_is_opened_and_nothing_else(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    publish(paths.result_record(1), record(1))
    call = "import sys; opened = []; sys.addaudithook(lambda e, a: opened.append(a[0]) if e == 'open' else None)\n"
    call += "from hpo_workflow.store.paths import StudyPaths\nfrom hpo_workflow.store.sealed import Sealed\n"
    call += f"opened.clear(); p = StudyPaths({str(tmp_path)!r}); assert Sealed(p).json(p.result_record(1))\n"
    call += "assert opened == [p.result_record(1)], opened\nassert 'zipfile' not in sys.modules"
    subprocess.run([sys.executable, "-c", call], check=True)


def test_a_later_part_counts_and_a_reader_finds_it_when_it_comes(paths: StudyPaths) -> None:
    sealed = Sealed(paths)
    assert sealed.json(paths.result_record(3)) == record(3)
    for number in (8, 9):
        publish(paths.result_record(number), record(number))
    compact(paths, find_bundles(paths, Settled({*NUMBERS, 8, 9}, (), {"000"}, ())))
    assert Path(paths.sealed(f"{paths.root}/ledger/results/000", 2)).exists()
    assert sealed.json(paths.result_record(9)) == record(9), "one that had looked before finds it too"
    assert Sealed(paths).json(paths.result_record(3)) == record(3)


def test_the_slower_copy_of_a_trial_cannot_publish_what_is_sealed(paths: StudyPaths) -> None:
    other = {**record(2), "seconds": 99.0}
    assert not publish_unless_sealed(paths, paths.result_record(2), other)
    assert Sealed(paths).json(paths.result_record(2)) == record(2)
    assert not Path(paths.result_record(2)).exists()
    assert publish_unless_sealed(paths, paths.result_record(6), record(6))


def read_all(paths: StudyPaths) -> dict[int, object]:
    """Each record as a new reader finds it; what is damaged is an error that names the file."""
    found: dict[int, object] = {}
    sealed = Sealed(paths)
    for number in NUMBERS:
        try:
            found[number] = sealed.json(paths.result_record(number))
        except DamagedSeal as error:
            found[number] = "damaged" if error.path == str(the_part(paths)) else "another file is named"
    return found


@pytest.mark.soak
def test_a_byte_that_changes_costs_one_record_at_most_and_never_becomes_another(paths: StudyPaths) -> None:
    part, rng = the_part(paths), random.Random(SEED)
    whole = part.read_bytes()
    costs = 0
    places = range(len(whole)) if IS_SOAK else range(0, len(whole), 11)
    for at in places:
        for byte in {whole[at] ^ (1 << rng.randrange(8)), rng.choice([b for b in range(256) if b != whole[at]])}:
            part.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            found = read_all(paths)
            wrong = [number for number in NUMBERS if found[number] != record(number)]
            assert [found[number] for number in wrong] in ([], ["damaged"]), (at, byte, found)
            costs += len(wrong)
    assert costs, "nothing was damaged: this test proves nothing"
    print(f"{2 * len(places)} bytes of a sealed file: {costs} times one record was damaged, else all were read")


def test_what_is_cut_off_is_an_error_and_not_a_trial_that_never_ran(paths: StudyPaths) -> None:
    part = the_part(paths)
    whole = part.read_bytes()
    table = whole.index(b"PK\x01\x02")
    for at in (*range(0, table, 3), table, table + 30, len(whole) - 5):
        part.write_bytes(whole[:at])
        found = read_all(paths)
        assert all(value in ("damaged", record(number)) for number, value in found.items()), (at, found)
        assert at < table + 4 or list(found.values()) == [record(n) for n in NUMBERS], "only the table was cut"
        if at < table:
            with pytest.raises(DamagedSeal, match="its end has gone"):
                Sealed(paths).json(paths.result_record(17))  # nobody knows whether it was there
            assert not Sealed(paths).exists(paths.result_record(17))


def test_a_damaged_record_is_made_up_for_by_one_in_its_place(paths: StudyPaths) -> None:
    part = the_part(paths)
    data = bytearray(part.read_bytes())
    where = Part(str(part)).entries["4.json"].header_offset + 60
    data[where] ^= 1
    part.write_bytes(data)
    sealed = Sealed(paths)
    with pytest.raises(DamagedSeal, match=r"4\.json in it"):
        sealed.json(paths.result_record(4))
    assert not sealed.exists(paths.result_record(4)), "so the trial is run again"
    again = {**record(4), "seconds": 5.0}
    assert publish_unless_sealed(paths, paths.result_record(4), again)
    assert sealed.json(paths.result_record(4)) == again
    settled = Settled(set(NUMBERS), (), {"000"}, ())
    publish(paths.result_record(5), record(5))  # as a call leaves it that was killed before it had removed all
    compact(paths, find_bundles(paths, settled))
    assert sealed.json(paths.result_record(4)) == again, "one file is not worth a further part"
    assert not Path(paths.result_record(5)).exists()


def test_files_of_a_trial_are_read_piece_by_piece(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    text = bytes(random.Random(SEED).choices(b"0123456789\n", k=2_000_000))
    for number in (1, 2):
        publish(paths.result_record(number), record(number))
        Path(paths.trial_dir(number)).mkdir(parents=True)
        Path(paths.log(number, 1)).write_bytes(text)
    settled = Settled({1, 2}, (), {"000"}, ())
    compact(paths, find_bundles(paths, settled, texts_of={1, 2}))
    assert not Path(paths.trial_dir(1)).exists()
    with Sealed(paths).open(paths.log(1, 1)) as one, Sealed(paths).open(paths.log(2, 1)) as two:
        pieces = [one.read(1 << 19), two.read(1 << 19)]
        assert pieces[0] == pieces[1] == text[: 1 << 19], "two at once do not disturb each other"
        rest = b""
        while piece := one.read(1 << 16):
            rest += piece
    assert pieces[0] + rest == text
