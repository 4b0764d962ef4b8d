"""A document that says what does not happen fails, and a true one does not."""

from __future__ import annotations

import pytest

from tests.clone import Block, Clone
from tests.story import Story, action, is_told

TRUE = """\
```text test=write:said.txt
step 1 loss=0.25
step 2 loss=0.5
```

```console test=run
$ mkdir folder && cd folder
$ cat ../said.txt
step 1   loss=0.3
...
$ echo \\
    two lines
two lines
```

```console test=run:3
$ pwd
/...
$ exit 3
```

```python test=run
x = 1
```

```python test=continue
assert x == 1
```

```yaml test=part
budget: {trials: 7}
space:
  lr: [1, 2]
```

```yaml test=refused
budget: {trails: 7}
```

```console test=of-another-file
$ this is not run
```
"""


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def write(tmp_path, text):
    document = tmp_path / "page.md"
    document.write_text(text)
    return document


def test_a_true_story_is_told_to_its_end_and_says_where(clone, tmp_path):
    document = write(tmp_path, TRUE)
    assert is_told(document)
    assert Story(clone, document).tell() == clone.folder / "folder"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("loss=0.3", "accuracy=0.3", "does not print"),
        ("two lines\ntwo lines", "two lines\nthree lines", "does not print"),
        ("test=run:3", "test=run:2", "ended with 3"),
        ("$ exit 3", "$ false\n$ exit 3", "ended with 1"),
        ("$ pwd\n", "$ exit 3\n", "what came before"),
        ("assert x == 1", "assert x == 2", "AssertionError"),
        ("trials: 7", "trails: 7", "trails"),
        ("trails: 7", "trials: 7", "this is accepted"),
    ],
)
def test_a_story_that_is_not_true_fails(clone, tmp_path, old, new, message):
    assert old in TRUE
    with pytest.raises(AssertionError, match=message):
        Story(clone, write(tmp_path, TRUE.replace(old, new, 1))).tell()


@pytest.mark.parametrize(
    ("language", "test", "known"),
    [
        ("console", "run", True),
        ("console", "", False),
        ("yaml", "run", False),
        ("r", "write:a.R", True),
        ("r", "", False),
    ],
)
def test_a_story_knows_its_marks_by_language(language, test, known):
    assert (action(Block(language, test, "")) is not None) == known
