"""Sealed files: what lay in a folder of a thousand trials as one ZIP file beside it, so that few files are left.

`hpo compact` writes them (`compaction.py`); here they are read. `ledger/results/000.1.zip` holds `12.json` where
`ledger/results/000/12.json` lay, `000.2.zip` what was sealed later; a name in a later one counts. Any tool for ZIP
files reads them. Each entry has a check sum, and the table of entries has one in the file's comment: an entry that is
damaged is an error and never taken for one that was not there. When the table is damaged, the headers before the
entries, which say the same, are read instead.

Standard library only, Python 3.8 or newer: the runner imports it on every node. What costs time is imported when there
is a sealed file.
"""

from __future__ import annotations

import binascii
import os
import struct

from hpo_workflow.store import atomic
from hpo_workflow.store.atomic import read_json, unseal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import zipfile
    from collections.abc import Generator, Iterable, Mapping
    from typing import IO, Any

    from hpo_workflow.store.paths import StudyPaths

MOST_OPEN = 16
"""Sealed folders that are kept open at once."""

PIECE_BYTES = 1 << 20

HEADER = struct.Struct("<4s5H3I2H")
"""What stands before an entry. Source: APPNOTE.TXT of PKWARE, 4.3.7."""


class DamagedSeal(ValueError):
    """What a sealed file holds under a name cannot be read.

    Attributes:
        path: The sealed file.
        name: The entry; empty where its table is damaged, so that nobody knows whether it had such an entry.
    """

    def __init__(self, path: str, name: str, why: str) -> None:
        super().__init__(f"{name} in it: {why}" if name else why)
        self.path = path
        self.name = name


class Part:
    """One sealed file.

    Args:
        path: The file; OSError where it cannot be opened.

    Attributes:
        entries: What it holds, by name.
        damage: Why its table cannot be read as a whole; empty where it can.
    """

    def __init__(self, path: str) -> None:
        import zipfile

        self.path = path
        self.entries: Mapping[str, zipfile.ZipInfo] = {}
        self.damage = ""
        self._file = open(path, "rb")  # noqa: SIM115  (closed with the object)
        try:
            try:
                with zipfile.ZipFile(self._file) as archive:
                    self.entries = {entry.filename: entry for entry in archive.infolist()}
                    said = archive.comment
                whole = said == table_sum(self.entries.values())
            except OSError:
                raise
            except Exception:  # whatever zipfile makes of a garbled table
                whole = False
            if not whole:
                self.entries, reached_the_table = _entries_before_the_table(self._file)
                self.damage = "" if reached_the_table else "its end has gone, and its table with it"
        except BaseException:
            self._file.close()
            raise

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        file = getattr(self, "_file", None)
        if file is not None:
            file.close()

    def _unpacked(self, name: str, file: IO[bytes]) -> zipfile.ZipExtFile:
        """An entry as a file, read from the sealed one; damage shows when it is read."""
        import zipfile

        entry = self.entries[name]
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise DamagedSeal(self.path, name, "nobody has packed it like that")
        file.seek(entry.header_offset)
        header = file.read(HEADER.size)
        if len(header) < HEADER.size or header[:4] != b"PK\x03\x04":
            raise DamagedSeal(self.path, name, "its header is garbled")
        n_name, n_extra = HEADER.unpack(header)[9:]
        if file.read(n_name) != name.encode():
            raise DamagedSeal(self.path, name, "its header is that of another one")
        file.seek(n_extra, os.SEEK_CUR)
        return zipfile.ZipExtFile(file, "r", entry)

    def pieces(self, name: str) -> Generator[bytes, None, None]:
        """The content of an entry, piece by piece; only at its end it is known to be what was written.

        Raises:
            DamagedSeal: It is not what was written.
        """
        n_bytes = 0
        try:
            unpacked = self._unpacked(name, self._file)
            while True:
                data = unpacked.read(PIECE_BYTES)
                if not data:
                    break
                n_bytes += len(data)
                yield data
        except (DamagedSeal, OSError):
            raise
        except Exception as error:  # zlib.error, BadZipFile, EOFError, NotImplementedError of a garbled header
            raise DamagedSeal(self.path, name, str(error) or type(error).__name__) from None
        if n_bytes != self.entries[name].file_size:
            raise DamagedSeal(self.path, name, "its end has gone")

    def read(self, name: str) -> bytes:
        """The content of an entry; DamagedSeal where it is not what was written."""
        return b"".join(self.pieces(name))

    def open(self, name: str) -> _Unpacked:
        """An entry as a file of its own, read through once before: DamagedSeal where it is not what was written."""
        for _ in self.pieces(name):
            pass
        return _Unpacked(self, name)


class _Unpacked:
    """An entry that is read from its start to its end. It keeps its sealed file open."""

    def __init__(self, part: Part, name: str) -> None:
        self._part = Part(part.path)  # others read from theirs meanwhile
        self._pieces = self._part.pieces(name)
        self._rest = b""

    def __enter__(self) -> _Unpacked:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sealed file."""
        self._pieces.close()
        self._part.close()

    def read(self, n_bytes: int) -> bytes:
        """So many bytes at most, and none at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        data, self._rest = self._rest[:n_bytes], self._rest[n_bytes:]
        return data


def table_sum(entries: Iterable[zipfile.ZipInfo]) -> bytes:
    """What the comment of a sealed file says of its table."""
    listed = sorted(
        (entry.filename, entry.compress_type, entry.compress_size, entry.file_size, entry.CRC, entry.header_offset)
        for entry in entries
    )
    return b"hpo-workflow %d entries %08x" % (len(listed), binascii.crc32(repr(listed).encode()))


def _entries_before_the_table(file: IO[bytes]) -> tuple[dict[str, zipfile.ZipInfo], bool]:
    """The entries by the headers before them, and whether all of these could be read."""
    import zipfile

    found: dict[str, zipfile.ZipInfo] = {}
    at = 0
    while True:
        file.seek(at)
        header = file.read(HEADER.size)
        if len(header) < HEADER.size or header[:4] != b"PK\x03\x04":
            return found, header[:4] == b"PK\x01\x02"
        _, _, _, method, _, _, crc, n_packed, n_bytes, n_name, n_extra = HEADER.unpack(header)
        name = file.read(n_name)
        try:
            entry = zipfile.ZipInfo(name.decode("ascii"))
        except (ValueError, struct.error):
            return found, False
        if 0xFFFFFFFF in (n_packed, n_bytes):  # its sizes stand elsewhere: APPNOTE.TXT, 4.5.3
            extra = file.read(n_extra)
            if len(extra) < 20 or extra[:2] != b"\x01\x00":
                return found, False
            n_bytes, n_packed = struct.unpack("<QQ", extra[4:20])
        entry.header_offset, entry.compress_type, entry.CRC = at, method, crc
        entry.compress_size, entry.file_size = n_packed, n_bytes
        found[entry.filename] = entry
        at += HEADER.size + n_name + n_extra + n_packed


class Sealed:
    """Files of a study, wherever they are: in their places, or sealed.

    A sealed file is opened once and its table read once, however many records are asked for. Where nothing is sealed,
    it costs one look for each file that is not there.
    """

    def __init__(self, paths: StudyPaths) -> None:
        self._paths = paths
        self._parts: dict[str, list[Part]] = {}

    def parts(self, folder: str) -> list[Part]:
        """The sealed files of a folder, in order; those that are new are opened."""
        known = self._parts.pop(folder, [])
        while True:
            try:
                known.append(Part(self._paths.sealed(folder, len(known) + 1)))
            except (FileNotFoundError, NotADirectoryError):
                break
        if known:
            self._parts[folder] = known
            while len(self._parts) > MOST_OPEN:
                self._parts.pop(next(iter(self._parts)))
        return known

    def _find(self, parts: list[Part], name: str) -> bytes | None:
        """What the last of these parts holds that can be read."""
        damage: DamagedSeal | None = None
        for part in reversed(parts):
            if name in part.entries:
                try:
                    return part.read(name)
                except DamagedSeal as error:
                    damage = damage or error
            elif part.damage:
                damage = damage or DamagedSeal(part.path, "", part.damage)
        if damage is not None:
            raise damage
        return None

    def sealed(self, path: str) -> bytes | None:
        """What is sealed of a file; None where nothing is.

        Raises:
            DamagedSeal: It is not what was sealed.
        """
        folder, name = self._paths.place_in_seal(path)
        return self._find(self.parts(folder), name)

    def is_sealed(self, path: str) -> bool:
        """Whether a file is sealed and can be read; what cannot be read counts as none."""
        try:
            return self.sealed(path) is not None
        except DamagedSeal:
            return False

    def exists(self, path: str) -> bool:
        """Whether a file is in its place, or sealed and whole."""
        return os.path.exists(path) or self.is_sealed(path)

    def json(self, path: str) -> Any | None:
        """What a record holds, None where there is none.

        Raises:
            ValueError: It is not what was written; a DamagedSeal where it is sealed.
        """
        folder, name = self._paths.place_in_seal(path)
        known = self._parts.get(folder)
        damage: DamagedSeal | None = None
        if known:  # most of this folder is sealed: no look for each record
            try:
                data = self._find(known, name)
                if data is not None:
                    return unseal(data)
            except DamagedSeal as error:
                damage = error
        found = read_json(path)
        if found is not None:
            return found
        if damage is not None:
            raise damage
        data = self._find(self.parts(folder), name)
        return None if data is None else unseal(data)

    def open(self, path: str) -> IO[bytes] | _Unpacked:
        """A file of a trial, to be read piece by piece with `read(n)`.

        Raises:
            FileNotFoundError: It is neither in its place nor sealed.
            DamagedSeal: It is not what was sealed.
        """
        try:
            return open(path, "rb", buffering=0)
        except FileNotFoundError:
            folder, name = self._paths.place_in_seal(path)
            parts = self.parts(folder)
            for part in reversed(parts):
                if name in part.entries:
                    return part.open(name)
            if any(part.damage for part in parts):
                raise DamagedSeal(parts[-1].path, "", parts[-1].damage) from None
            raise


def publish(paths: StudyPaths, path: str, value: Mapping[str, Any]) -> bool:
    """Write a record once, as `atomic.publish`; False also where an earlier one was sealed.

    Its place is empty then. It is looked for before and after: what was sealed was there before its place was empty, so
    one of two copies of a trial that ends while the other one's result is being sealed cannot win.
    """
    if Sealed(paths).is_sealed(path) or not atomic.publish(path, value):
        return False
    if Sealed(paths).is_sealed(path):
        os.unlink(path)
        return False
    return True
