"""Records are appended and survive a crash."""

from __future__ import annotations

import pytest

from benchmarks.json_lines import append, read


def test_records_are_read_as_they_were_appended(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    assert read(path) == []
    append(path, {"b": 1, "a": [2, 3]})
    append(path, {"b": 2})
    assert read(path) == [{"b": 1, "a": [2, 3]}, {"b": 2}]
    assert path.read_text() == '{"a": [2, 3], "b": 1}\n{"b": 2}\n'


def test_a_line_that_was_cut_off_is_replaced_by_the_next(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": ')
    assert read(path) == [{"a": 1}]
    append(path, {"a": 3})
    assert read(path) == [{"a": 1}, {"a": 3}]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{{\n{"a": 2}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: not JSON"):
        read(path)
