"""Files that are whole or absent: publishing write-once records, replacing derived files, appending to indexes.

Records end with a check sum of themselves (`crc32`), so that a byte which a disk or a person changes is noticed. One
without it, as earlier versions wrote them, is taken as it is.

Standard library only, Python 3.8 or newer: the runner imports it on every node.
"""

from __future__ import annotations

import binascii
import errno
import itertools
import json
import os
import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_unique = itertools.count()
_SUM = re.compile(rb',"crc32":"([0-9a-f]{8})"\}\s*\Z')


def to_json(value: Any) -> str:
    """`value` as one line of strict JSON; keys stay in their order, a space's in the file's. NaN is an error."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def seal(record: Mapping[str, Any]) -> str:
    """A record as a line that ends with its check sum."""
    text = to_json(record)
    if len(text) <= 2:
        return text + "\n"
    return f'{text[:-1]},"crc32":"{binascii.crc32(text.encode()):08x}"}}\n'


def unseal(data: bytes) -> Any:
    """What `seal` wrote, without the check sum, or any other JSON.

    Raises:
        ValueError: It is not JSON, or not what was written.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise ValueError("its lists are nested too deeply") from None
    if isinstance(value, dict) and "crc32" in value:
        del value["crc32"]
        found = _SUM.search(data)
        if found is None or binascii.crc32(data[: found.start()] + b"}") != int(found.group(1), 16):
            raise ValueError("its check sum is of another content")
    return value


def open_beside(path: str) -> tuple[int, str]:
    """A new file in the folder of `path`, open for writing, and its name. Nobody else has it, and no link leads to it.

    A name that exists already is left alone: it may be of a process that was killed, as in containers, where every
    process of ours may have the same number on the same host.
    """
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, exist_ok=True)
    tries = 1000
    while True:
        name = f".{os.path.basename(path)}.{os.uname().nodename}.{os.getpid()}.{next(_unique)}.tmp"
        temporary = os.path.join(folder, name)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            return descriptor, temporary
        except FileExistsError:
            tries -= 1
            if not tries:
                raise


def _write_beside(path: str, content: bytes) -> str:
    """Write a new file in the folder of `path`, flushed to the disk; return its name."""
    descriptor, temporary = open_beside(path)
    try:
        try:
            data = memoryview(content)
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)  # NFS reports a full quota here, so an error of close is not swallowed
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems do not know fsync of a folder
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def publish(path: str, value: Mapping[str, Any]) -> bool:
    """Write a record once; True when this call did it, False when an earlier one had.

    The first publisher wins and a published record never changes. After a crash at any point the record is whole or
    absent.
    """
    return publish_bytes(path, seal(value).encode())


def publish_bytes(path: str, content: bytes) -> bool:
    """The same with any content."""
    return publish_file(path, _write_beside(path, content))


def publish_file(path: str, temporary: str) -> bool:
    """The same with a file in the same folder that is flushed to the disk; it loses its name.

    Source of the link count test: open(2), the recipe for NFS, where link may report an error although it succeeded.
    """
    try:
        try:
            os.link(temporary, path)
            won = True
        except OSError as error:
            won = os.stat(temporary).st_nlink == 2
            if not won and error.errno != errno.EEXIST:
                raise
        _sync_folder(path)
    finally:
        os.unlink(temporary)
    return won


def replace(path: str, text: str) -> None:
    """Write a derived file in one step; readers see the old content or the new."""
    temporary = _write_beside(path, text.encode())
    try:
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def append(path: str, text: str) -> None:
    """Lines more in an index, in one step; what is torn at its end stays a line of its own."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (("\n" if torn else "") + text).encode())
    finally:
        os.close(descriptor)


def read_json(path: str) -> Any | None:
    """What a JSON file holds, or None where there is no such file.

    ESTALE (a file that another NFS client replaced) is tried again. A file that is not what was written raises
    ValueError: the caller knows whether it is a record to set aside or a cache to build anew.
    """
    for attempt in range(5):
        try:
            with open(path, "rb") as file:
                return unseal(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ESTALE or attempt == 4:
                raise
            time.sleep(0.05 * 2**attempt)
    return None
