"""Where the placeholders of a shell command stand, and which of those places are safe.

A value is put in with `shlex.quote`. That is right in one kind of place only: as (part of) a word that no quotes
surround and that the shell reads once. `read_shell` finds these words and refuses a placeholder anywhere else, as well
as all of them in a command that it does not understand. Refused are quotes, backticks, comments, here-documents,
arithmetic, `[[ ]]`, `case`, `${...}` of the shell, brackets and braces that the shell would expand, names of variables,
and arguments that are read as code again (`eval`, `bash -c`, `ssh`).

Facts of the trial that are numbers and the study's name hold no character that a shell minds, so they may also stand in
quotes, comments, here-documents and arithmetic.

The grammar is the one of bash 5 and of POSIX sh (Shell Command Language, section 2), read from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hpo_workflow.template.placeholders import NUMBER_FACTS, Escaped, Fact, Hpo, Placeholder, Problem, StudyName, Text

_BLANKS = " \t"
_META = " \t\n|&;()<>"
_RESERVED = frozenset({"if", "then", "elif", "else", "fi", "do", "done", "while", "until", "{", "}", "!"})
_SHELLS = frozenset({"bash", "sh", "dash", "zsh", "ksh", "ash", "fish"})
_INTERPRETERS = re.compile(r"(?:python|pypy|perl|ruby|node|Rscript|julia|php|lua)[0-9.]*")
_REREADERS = {
    **dict.fromkeys(("awk", "gawk", "mawk", "sed"), "reads its arguments as a program"),
    **dict.fromkeys(("eval", "trap", "alias"), "reads its arguments as shell text a second time"),
    **dict.fromkeys(("ssh", "rsh", "pdsh", "clush", "su", "watch", "parallel"), "hands its arguments to another shell"),
    **dict.fromkeys(("let", "declare", "typeset", "local"), "can evaluate its arguments"),
    **dict.fromkeys(("unset", "read", "mapfile", "readarray", "getopts", "wait"), "evaluates names of variables"),
    **dict.fromkeys(("bind", "complete", "compgen", "enable", "coproc"), "can run its arguments as commands"),
}
_LAUNCHERS = {"command", "builtin", "exec", "env", "nohup", "nice", "ionice", "stdbuf"}
_LAUNCHERS |= {"timeout", "setsid", "srun", "mpirun", "mpiexec", "mpiexec.hydra", "sudo", "xargs"}
_LAUNCHERS |= {"numactl", "taskset", "chrt", "strace", "time", "singularity", "apptainer"}
"""Programs that run the command which follows them."""
_TEST_OPERATORS = {"=", "==", "!=", "<", ">", "-eq", "-ne", "-lt"}
_TEST_OPERATORS |= {"-le", "-gt", "-ge"}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_VARIABLES = {
    "number": "HPO_TRIAL",
    "dir": "HPO_TRIAL_DIR",
    "seed": "HPO_SEED",
    "attempt": "HPO_ATTEMPT",
    "params_file": "HPO_PARAMS_FILE",
    "fidelity": "HPO_FIDELITY",
    "resume_from": "HPO_RESUME_FROM",
}


def variable_of(name: str) -> str:
    """The environment variable that holds parameter `name`."""
    return "HPO_PARAM_" + name.replace(".", "_").upper()


@dataclass
class Word:
    """A word of the shell that no quotes surround as a whole.

    Args:
        start: Where it starts in the command.
        end: Where it ends.
        gap: Where the blanks before it start.
        text: What it says without its quotes; None when only the shell can know (a variable, a placeholder).
        prefix: Its literal text before the first thing that is not literal.
        role: `program | argument | assignment | source | target | list`; a source is read (`< file`), a target written.
        removable: It can be left out and the command remains one.
    """

    start: int
    gap: int
    end: int = 0
    text: str | None = None
    prefix: str = ""
    role: str = "argument"
    removable: bool = True
    placeholders: list[Placeholder] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where an accepted placeholder stands.

    Args:
        word: Its word; None for harmless facts outside of words, which are put in as they are.
        apart: An empty pair of quotes must keep the value apart from what stands beside it (`$x` or `>`).
    """

    word: Word | None
    apart: bool = False


@dataclass(frozen=True)
class ShellText:
    """A command as the shell will read it.

    Args:
        text: The command with its placeholders.
        places: Accepted placeholders by the offset where they start.
        escapes: What an escaped placeholder becomes, by offset.
        words: All words in order; those without a literal text included.
        comments: Comments, with their `#`.
        problems: Refusals, in the order of the command.
    """

    text: Text
    places: Mapping[int, Place]
    escapes: Mapping[int, str]
    words: tuple[Word, ...]
    comments: tuple[str, ...]
    problems: tuple[Problem, ...]


class _Lost(Exception):
    """The command is not one that this reader understands; carries the sentence."""


def read_shell(text: Text) -> ShellText:
    """Find the words of a command; refuse placeholders that would not reach the program as they are."""
    reader = _Reader(text)
    reader.run()
    problems = tuple(problem for _, problem in sorted(reader.problems, key=lambda entry: entry[0]))
    words = tuple(sorted(reader.words, key=lambda word: word.start))
    return ShellText(text, reader.places, reader.escapes, words, tuple(reader.comments), problems)


class _Reader:
    def __init__(self, text: Text) -> None:
        self.text = text
        self.source = text.source
        self.at = {item.start: item for item in text.placeholders}
        self.position = 0
        self.depth = 0
        self.places: dict[int, Place] = {}
        self.escapes: dict[int, str] = {}
        self.words: list[Word] = []
        self.comments: list[str] = []
        self.problems: list[tuple[int, Problem]] = []
        self.heredocs: list[tuple[str, bool, bool]] = []
        self.computed: list[str] = []
        """Texts in which bash evaluates variables as arithmetic, to any depth."""
        self.assigned: list[tuple[str, Word]] = []

    # ---- the whole -------------------------------------------------------------------------------
    def run(self) -> None:
        try:
            self._commands("")
            self._check_computed()
        except _Lost as lost:
            is_open = "never closed" in str(lost)
            if is_open and any("never closed" in problem.problem for problem in self.text.problems):
                return
            if is_open or any(isinstance(item, (Hpo, Fact)) for item in self.text.placeholders):
                cure = (
                    "Read the variables HPO_PARAM_* instead of placeholders in such a command, or move it to a script."
                )
                cure = "Close it." if is_open else cure
                self.problems.append((self.position, Problem(f"{lost}", cure)))
                return
            self.escapes.update({i.start: i.literal for i in self.text.placeholders if isinstance(i, Escaped)})
            self.places.update({i.start: Place(None) for i in self.text.placeholders if isinstance(i, StudyName)})

    def _char(self, ahead: int = 0) -> str:
        index = self.position + ahead
        return self.source[index] if index < len(self.source) else ""

    def _starts(self, text: str) -> bool:
        return self.source.startswith(text, self.position)

    def _placeholder(self) -> Placeholder | None:
        return self.at.get(self.position)

    def _excerpt(self, start: int, length: int = 50) -> str:
        line = self.source[start:].split("\n", 1)[0]
        return line if len(line) <= length else line[: length - 3] + "..."

    # ---- commands --------------------------------------------------------------------------------
    def _commands(self, closer: str) -> None:
        """Read commands up to `closer` (`)` or the end of the text)."""
        self.depth += 1
        if self.depth > 20:
            raise _Lost("the command nests deeper than 20 levels.")
        opened = self.position
        words: list[Word] = []
        while True:
            gap = self.position
            self._skip_blanks()
            char = self._char()
            if not char:
                if closer:
                    raise _Lost(f"a parenthesis is never closed: `({self._excerpt(opened)}`.")
                self._end_command(words)
                break
            if char == "\n":
                self.position += 1
                self._end_command(words)
                self._read_heredocs()
                words = []
            elif char == "#":
                self._comment()
            elif char == ")":
                if not closer:
                    raise _Lost(
                        f"a parenthesis closes that nothing opens, before `{self._excerpt(self.position + 1)}`."
                    )
                self.position += 1
                self._end_command(words)
                break
            elif self._starts(";;") or self._starts(";&"):
                raise _Lost("`;;` stands outside of `case`.")
            elif redirection := re.compile(r"<<<|<<-?|&>>|&>|<>|[<>]&|>>|>\||[<>](?!\()").match(
                self.source, self.position
            ):
                self._redirection(redirection.group())
            elif operator := re.compile(r"&&|\|\||\|&|[;|&]").match(self.source, self.position):
                self.position = operator.end()
                self._end_command(words)
                words = []
            elif char == "(":
                self._parenthesis(words)
            elif not words and (keyword := self._keyword()):
                self._compound(keyword, gap)
            else:
                word = self._word(gap)
                if word.end == word.start:
                    raise _Lost(f"`{self._excerpt(word.start)}` is not understood.")
                if word.text is not None and word.text.isdigit() and self._char() in ("<", ">"):
                    continue  # the number of a file descriptor
                words.append(word)
        self.depth -= 1

    def _skip_blanks(self) -> None:
        while self._char() and (self._char() in _BLANKS or self._starts("\\\n")):
            self.position += 2 if self._starts("\\\n") else 1

    def _comment(self) -> None:
        end = self.source.find("\n", self.position)
        end = len(self.source) if end < 0 else end
        self.comments.append(self.source[self.position : end])
        self._opaque(self.position, end, "a comment", harmless=True)
        self.position = end

    def _keyword(self) -> str:
        match = re.compile(r"[a-z]+(?=[\s;()<>&|]|$)|[{}!](?=[\s;]|$)|\[\[(?=\s)").match(self.source, self.position)
        if match and (
            match.group() in _RESERVED or match.group() in ("for", "select", "case", "[[", "function", "time")
        ):
            return match.group()
        return ""

    def _compound(self, keyword: str, gap: int) -> None:
        """Pass a reserved word; what follows is a command again, or a construct with rules of its own."""
        start = self.position
        self.position += len(keyword)
        if keyword in ("for", "select"):
            self._skip_blanks()
            if self._starts("(("):
                self._arithmetic("an arithmetic `(( ))`")
                return
            self._name_word()
            self._skip_space()
            if re.compile(r"in(?=[\s;]|$)").match(self.source, self.position):
                self.position += 2
                while True:
                    gap = self.position
                    self._skip_blanks()
                    if not self._char() or self._char() in "\n;":
                        break
                    if self._char() in "#&|()<>":
                        raise _Lost(f"the list of a `{keyword}` is not understood at `{self._excerpt(self.position)}`.")
                    word = self._word(gap)
                    word.role = "list"
                    self._accept(word)
        elif keyword == "case":
            end = self._closing_word("case", "esac")
            self._opaque(start, end, "`case`")
            self.position = end
        elif keyword == "[[":
            end = self._closing_word("[[", "]]")
            self._opaque(start, end, "`[[ ]]`")
            self.position = end
        elif keyword == "function":
            self._skip_blanks()
            self._name_word()
            self._skip_blanks()
            if self._starts("()"):
                self.position += 2
        elif keyword == "time":
            self._skip_blanks()
            if re.compile(r"-p(?=\s)").match(self.source, self.position):
                self.position += 2

    def _skip_space(self) -> None:
        self._skip_blanks()
        while self._char() == "\n":
            self.position += 1
            self._skip_blanks()

    def _name_word(self) -> None:
        """The name after `for` or `function`: no placeholder may stand in it."""
        word = self._word(self.position)
        for item in word.placeholders:
            self._refuse(item, "the name of a variable or function")

    def _closing_word(self, opener: str, closer: str) -> int:
        """The end of the construct that was just opened; quotes in it are passed over."""
        level = 1
        while self.position < len(self.source):
            char = self._char()
            if char == "\\":
                self.position += 2
            elif char in "'\"`":
                self._pass_quotes()
            else:
                match = re.compile(
                    rf"(?<![^\s;]){re.escape(opener)}(?=\s)|(?<![^\s;]){re.escape(closer)}(?=[\s;)&|<>]|$)"
                )
                if found := match.match(self.source, self.position):
                    level += 1 if found.group() == opener else -1
                    self.position = found.end()
                    if not level:
                        return self.position
                else:
                    self.position += 1
        raise _Lost(f"`{opener}` is never closed with `{closer}`.")

    def _pass_quotes(self) -> None:
        quote = self._char()
        start = self.position
        self.position += 1
        while self._char() and self._char() != quote:
            self.position += 2 if self._char() == "\\" and quote != "'" else 1
        if not self._char():
            raise _Lost(f"a quote is never closed: `{self._excerpt(start)}`.")
        self.position += 1

    def _parenthesis(self, words: list[Word]) -> None:
        if not words:
            if self._starts("(("):
                self._arithmetic("an arithmetic `(( ))`")
                return
            self.position += 1
            self._commands(")")
            return
        self.position += 1
        self._skip_blanks()
        if len(words) == 1 and self._char() == ")" and words[0].text:
            self.position += 1
            words.clear()  # the definition of a function
            return
        raise _Lost(f"a parenthesis stands where none is expected, before `{self._excerpt(self.position)}`.")

    def _redirection(self, operator: str) -> None:
        self.position += len(operator)
        gap = self.position
        self._skip_blanks()
        if self._starts("<(") or self._starts(">("):
            self._word(gap)
            return
        start = self.position
        word = self._word(gap)
        if word.end == start:
            raise _Lost(f"`{operator}` is not followed by a file.")
        if operator in ("<<", "<<-"):
            for item in word.placeholders:
                self._refuse(item, "the delimiter of a here-document")
            raw = self.source[start : word.end]
            if word.text is None:
                raise _Lost(f"the delimiter of a here-document is not understood: `{self._excerpt(start)}`.")
            self.heredocs.append((word.text, raw != word.text, operator == "<<-"))
            return
        if operator in ("<&", ">&"):
            for item in word.placeholders:
                self._refuse(item, "the number of a file descriptor")
            return
        word.role = "source" if operator in ("<", "<>", "<<<") else "target"
        word.removable = False
        self._accept(word)

    def _read_heredocs(self) -> None:
        for delimiter, quoted, tabs in self.heredocs:
            start = self.position
            while self.position < len(self.source):
                end = self.source.find("\n", self.position)
                end = len(self.source) if end < 0 else end
                line = self.source[self.position : end]
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    self._opaque(start, self.position, "a here-document", harmless=True, escape="" if quoted else "\\")
                    self.position = min(end + 1, len(self.source))
                    break
                self.position = min(end + 1, len(self.source))
            else:
                self._opaque(start, self.position, "a here-document", harmless=True, escape="" if quoted else "\\")
        self.heredocs.clear()

    # ---- words -----------------------------------------------------------------------------------
    def _word(self, gap: int) -> Word:
        """Read one word and the constructs in it. Its placeholders are accepted or refused by `_accept`."""
        word = Word(self.position, gap)
        literal: list[str] = []
        known = True
        """`literal` is still the whole text of the word."""
        brackets = braces = 0
        if self._starts("<(") or self._starts(">("):
            self.position += 2
            self._commands(")")
            known = False
        while char := self._char():
            item = self._placeholder()
            if item is not None:
                self._in_word(item, word, "".join(literal) if known else None, brackets, braces)
                known = self._literal_ends(word, literal, known)
                self.position = item.end
                continue
            if char in _META:
                if char == "(" and _ASSIGNMENT.fullmatch(self.source[word.start : self.position]):
                    known = self._literal_ends(word, literal, known)
                    self._array()
                    continue
                break
            if char == "\\":
                if self._starts("\\\n"):
                    self.position += 2
                    continue
                following = self.at.get(self.position + 1)
                if following is not None:
                    self._refuse(following, "a backslash escape")
                    known = self._literal_ends(word, literal, known)
                    self.position = following.end
                    continue
                literal.append(self._char(1))
                self.position += 2
            elif char == "'":
                start = self.position
                self._single()
                literal.append(self.source[start + 1 : self.position - 1])
            elif char == '"':
                start = self.position
                if self._double():
                    literal.append(re.sub(r"\\([$`\"\\\n])", r"\1", self.source[start + 1 : self.position - 1]))
                else:
                    known = self._literal_ends(word, literal, known)
            elif char in "`$":
                if self._expansion():
                    known = self._literal_ends(word, literal, known)
                else:
                    literal.append(char)
                    self.position += 1
            else:
                brackets += (char == "[") - (char == "]")
                brackets = max(brackets, 0)
                braces += (char == "{") - (char == "}")
                braces = max(braces, 0)
                if char in "*?[" or (char == "~" and self.position == word.start):
                    known = self._literal_ends(word, literal, known)
                literal.append(char)
                self.position += 1
        word.end = self.position
        if self.source[word.start : word.end] == "[":
            word.prefix = word.text = "["
        elif known:
            word.prefix = word.text = "".join(literal)
        if word.placeholders and self._char() in ("<", ">") and self._char():
            for item in word.placeholders:
                if item.start in self.places:
                    self.places[item.start] = Place(word, apart=True)
        self.words.append(word)
        return word

    def _literal_ends(self, word: Word, literal: list[str], known: bool) -> bool:
        """From here on only the shell knows the word's text."""
        if known:
            word.prefix = "".join(literal)
        return False

    def _in_word(self, item: Placeholder, word: Word, literal: str | None, brackets: int, braces: int) -> None:
        """A placeholder that no quotes surround; what its word is for is judged when the command has ended."""
        word.placeholders.append(item)
        before = self.source[word.start : item.start]
        variable = re.search(r"\$[A-Za-z0-9_]*$", before)
        if variable and self._is_unquoted_dollar(before, variable.start()):
            if variable.group() == "$":
                self._refuse(item, "an expansion that a `$` opens")
                return
            apart = True
        else:
            apart = False
        if isinstance(item, Escaped):
            self.escapes[item.start] = f"'{item.literal}'"
        elif brackets:
            self._refuse(item, "square brackets, which the shell expands,")
        elif braces:
            self._refuse(item, "braces, which the shell expands,")
        elif re.search(r"(?:^|[=:])~[^/]*$", before):
            self._refuse(item, "the name of a user after `~`")
        else:
            self.places[item.start] = Place(word, apart)

    @staticmethod
    def _is_unquoted_dollar(before: str, index: int) -> bool:
        """An escaped dollar counts as one too: keeping the value apart costs nothing."""
        return not before[:index].endswith("\\") or before[index:] != "$"

    def _single(self) -> None:
        start = self.position
        end = self.source.find("'", start + 1)
        if end < 0:
            raise _Lost(f"a single quote is never closed: `{self._excerpt(start)}`.")
        self._opaque(start, end + 1, "single quotes", harmless=True)
        self.position = end + 1

    def _double(self) -> bool:
        """Pass a double-quoted part; True when it is literal."""
        start = self.position
        self.position += 1
        is_literal = True
        while True:
            char = self._char()
            if not char:
                self.position = start
                raise _Lost(f"a double quote is never closed: `{self._excerpt(start)}`.")
            item = self._placeholder()
            if item is not None:
                is_literal = False
                self._hidden(item, "double quotes", harmless=True, escape="\\")
                self.position = item.end
            elif char == "\\":
                following = self.at.get(self.position + 1)
                if following is not None:
                    self._refuse(following, "a backslash escape")
                    self.position = following.end
                else:
                    self.position += 2
            elif char == '"':
                self.position += 1
                return is_literal
            elif char in "`$" and self._expansion(quoted=True):
                is_literal = False
            else:
                self.position += 1

    def _expansion(self, quoted: bool = False) -> bool:
        """Pass what `$` or a backtick opens; False when the dollar is just a dollar."""
        start = self.position
        if self._char() == "`":
            self._pass_quotes()
            self._opaque(start, self.position, "backticks")
        elif self._starts("$(("):
            self.position += 1
            self._arithmetic("an arithmetic `$(( ))`")
        elif self._starts("$("):
            self.position += 2
            self._commands(")")
        elif self._starts("${"):
            self._parameter_expansion()
        elif self._starts("$["):
            end = self.source.find("]", start)
            if end < 0:
                raise _Lost(f"`$[` is never closed: `{self._excerpt(start)}`.")
            self._opaque(start, end, "an arithmetic `$[ ]`")
            self.position = end + 1
        elif self._starts("$'") and not quoted:
            self.position += 2
            while self._char() and self._char() != "'":
                self.position += 2 if self._char() == "\\" else 1
            if not self._char():
                raise _Lost(f"a single quote is never closed: `{self._excerpt(start)}`.")
            self.position += 1
            self._opaque(start, self.position, "the quotes `$'...'`")
        elif self._starts('$"') and not quoted:
            self.position += 1
            self._double()
        elif match := re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])").match(self.source, start):
            self.position = match.end()
            if self.source[start] == "$" and match.group() == "$$" and self.position - 1 in self.at:
                self.position -= 1
                return False
        else:
            return False
        return True

    def _parameter_expansion(self) -> None:
        """Pass `${...}` of the shell, with all that it nests."""
        start = self.position
        self.position += 2
        while True:
            char = self._char()
            if not char:
                self.position = start
                raise _Lost(f"`${{` is never closed: `{self._excerpt(start)}`.")
            item = self._placeholder()
            if item is not None:
                self._hidden(item, "an expansion `${...}` of the shell")
                self.position = item.end
            elif char == "}":
                self.position += 1
                return
            elif char == "\\":
                self.position += 2
            elif char == "'":
                self._single()
            elif char == '"':
                self._double()
            elif char in "`$" and self._expansion():
                pass
            else:
                self.position += 1

    def _arithmetic(self, name: str) -> None:
        """Pass `(( ... ))`, standing on its first parenthesis."""
        start = self.position
        level = 0
        while self._char():
            level += (self._char() == "(") - (self._char() == ")")
            self.position += 1
            if level == 0:
                self._opaque(start, self.position, name, harmless=True)
                return
        self.position = start
        raise _Lost(f"a parenthesis is never closed: `{self._excerpt(start)}`.")

    def _array(self) -> None:
        """Pass the list of an array, `name=(...)`; its words are arguments."""
        opened = self.position
        self.position += 1
        while True:
            gap = self.position
            self._skip_space()
            if not self._char():
                raise _Lost(f"a parenthesis is never closed: `{self._excerpt(opened)}`.")
            if self._char() == ")":
                self.position += 1
                return
            if self._char() == "#":
                self._comment()
                continue
            if self._char() in _META:
                raise _Lost(f"a list of an array is not understood at `{self._excerpt(self.position)}`.")
            word = self._word(gap)
            word.role = "list"
            self._accept(word)

    # ---- judging ---------------------------------------------------------------------------------
    def _end_command(self, words: list[Word]) -> None:
        """Judge the words of one command, all read now."""
        if not words:
            return
        index = 0
        while index < len(words) and _ASSIGNMENT.match(self.source, words[index].start):
            words[index].role = "assignment"
            index += 1
        first = index
        if first < len(words) and words[first].prefix.startswith("-"):
            option = self._excerpt(words[first].start, 30)
            cure = "End the line before it with \\, or write `command: >-` with all lines indented alike."
            self.problems.append((words[first].start, Problem(f"the line `{option}` is a command of its own.", cure)))
        is_alone = index == len(words)
        for word in words[:index]:
            word.removable = not is_alone
        reread = ""
        names: list[str] = []
        while index < len(words):
            word = words[index]
            name = (word.text or "").rsplit("/", 1)[-1]
            names.append(name)
            word.role = "program"
            word.removable = False
            if name in _REREADERS:
                reread = f"the arguments of `{name}`, which {_REREADERS[name]},"
            if name not in _LAUNCHERS:
                break
            index += 1
            while index < len(words) and self._belongs_to_launcher(words[index]):
                index += 1
        program = names[-1] if names else ""
        makes_numbers = any(re.fullmatch(r"-[a-zA-Z]*i[a-zA-Z]*", word.text or "") for word in words[index + 1 :])
        if program == "let" or (program in ("declare", "typeset", "local") and makes_numbers):
            self.computed.append(self.source[words[0].start : words[-1].end])
        for word in words:
            target = re.match(r"([A-Za-z_][A-Za-z0-9_]*)\+?=", word.prefix)
            if target and word.placeholders and (word.role == "assignment" or program in ("export", "readonly")):
                self.assigned.append((target[1], word))
        arguments = words[index + 1 :]
        script = self._script_of_shell(words[first:])
        for word in words:
            if not word.placeholders:
                continue
            where = reread if word in words[first:] else ""
            if word is script:
                where = "the text of another shell"
            elif program in ("export", "readonly") and word in arguments and not _ASSIGNMENT.match(word.prefix):
                where = f"a name that `{program}` reads"
            elif program in ("[", "test") and word in arguments and not self._is_comparison(program, arguments):
                where = f"`{program}`, in another form than `{program} A = B`,"
            elif program == "printf" and word in arguments and any(w.text == "-v" for w in arguments):
                where = "the arguments of `printf -v`"
            if where:
                for item in word.placeholders:
                    self._refuse(item, where)
            else:
                self._accept(word)
        words.clear()

    @staticmethod
    def _belongs_to_launcher(word: Word) -> bool:
        text = word.prefix if word.text is None else word.text
        return text.startswith("-") or bool(re.match(r"[0-9.]+[smhd]?$|[A-Za-z_]\w*=", text)) or text in ("exec", "run")

    @staticmethod
    def _script_of_shell(words: list[Word]) -> Word | None:
        """The word that a `bash -c` among the words reads as code."""
        for index, word in enumerate(words):
            name = (word.text or "").rsplit("/", 1)[-1]
            if name not in _SHELLS and not _INTERPRETERS.fullmatch(name) and name != "env":
                continue
            rest = words[index + 1 :]
            options = 0
            while options < len(rest) and rest[options].prefix.startswith(("-", "+")):
                options += 1
            code = r"-[a-zA-Z]*c[a-zA-Z]*" if name in _SHELLS else r"-S" if name == "env" else r"-[ceE]|--eval"
            if any(re.fullmatch(code, option.text or "") for option in rest[:options]):
                return rest[options] if options < len(rest) else None
        return None

    @staticmethod
    def _is_comparison(program: str, arguments: list[Word]) -> bool:
        texts = [word.text for word in arguments]
        if program == "[":
            if not texts or texts[-1] != "]":
                return False
            texts.pop()
        return len(texts) == 3 and texts[1] in _TEST_OPERATORS

    def _accept(self, word: Word) -> None:
        """The word is read once, as a word: only what it leaves out can still be wrong."""
        for item in word.placeholders:
            if isinstance(item, Hpo) and item.optional and not word.removable:
                what = {"source": "a file's name", "target": "a file's name", "assignment": "a lone assignment"}.get(
                    word.role, "the program's name"
                )
                cure = f"Write ${{hpo.{item.name}}} and give the parameter a fallback:, or move it to an argument."
                self.problems.append((item.start, Problem(f"`{item.source}` cannot be left out: it is {what}.", cure)))

    def _check_computed(self) -> None:
        """Refuse a value in a variable that is computed with: bash runs the `$(...)` in `a[$(...)]` then."""
        names = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", " ".join(self.computed)))
        for name, word in self.assigned:
            if name in names:
                for item in word.placeholders:
                    self._refuse(item, f"arithmetic, through the variable {name},")
        for name in sorted(names):
            if name.startswith("HPO_PARAM_"):
                cure = "Compute the value in the space (expr:), and make its placeholder a word of its own."
                self.problems.append((0, Problem(f"${name} stands in arithmetic, where it could run as code.", cure)))

    def _opaque(self, start: int, end: int, name: str, *, harmless: bool = False, escape: str | None = "") -> None:
        """Nothing but harmless facts may stand between `start` and `end`."""
        if "arithmetic" in name or name == "`[[ ]]`":
            self.computed.append(self.source[start:end])
        for item in self.text.placeholders:
            if start <= item.start < end:
                self._hidden(item, name, harmless=harmless, escape=escape)

    def _hidden(self, item: Placeholder, name: str, *, harmless: bool = False, escape: str | None = None) -> None:
        if isinstance(item, Escaped):
            if escape is None:
                self._refuse(item, name)
            else:
                self.escapes[item.start] = escape + item.literal
            return
        is_plain = isinstance(item, StudyName) or (isinstance(item, Fact) and item.name in NUMBER_FACTS)
        if is_plain and harmless and not re.search(r"\$[A-Za-z0-9_]*$", self.source[: item.start]):
            self.places[item.start] = Place(None)
            return
        self._refuse(item, name)

    def _refuse(self, item: Placeholder, where: str) -> None:
        self.places.pop(item.start, None)
        problem = f"`{item.source}` stands in {where} where its value cannot be protected."
        problem = problem.replace(", where", ", where").replace(" where its", ", where its").replace(",,", ",")
        if any(start == item.start for start, _ in self.problems):
            return
        self.problems.append((item.start, Problem(problem, _cure(item, where))))


def _cure(item: Placeholder, where: str) -> str:
    """The safe form of a refused placeholder."""
    if isinstance(item, Escaped):
        return "Move it out of there, or into a script."
    if where == "a comment":
        return "Remove the comment, or move the placeholder before the #."
    if where == "a backslash escape":
        return f"Write ${item.source} for the text itself, or remove the backslash for the value."
    variable = ""
    if isinstance(item, Hpo) and not item.format and not item.text and not item.optional:
        variable = variable_of(item.name)
    elif isinstance(item, Fact):
        variable = _VARIABLES.get(item.name, "")
    elif isinstance(item, StudyName):
        variable = "HPO_STUDY"
    if where == "double quotes":
        if variable:
            return f'Write ${variable} inside the quotes, for example "${variable}": the variable holds the same value.'
        return f'End the quotes before it, as in "a "{item.source}" b".'
    if where == "single quotes":
        if variable:
            return f"End the quotes before it, as in 'a '{item.source}' b', or write \"${variable}\" in double quotes."
        return f"End the quotes before it, as in 'a '{item.source}' b'."
    if where in ("the text of another shell", "backticks") and variable:
        return f'Write "${variable}" there: the variable holds the same value and is never read as code.'
    if where.startswith("the arguments of"):
        return "Call the program directly, or give it the values in a file, with templates:."
    if "name" in where or "number" in where or "delimiter" in where:
        return "Write it out; only words that a program is given can vary."
    if where == "a here-document" and variable:
        return f"Write ${variable} there (the delimiter without quotes), or render the file with templates:."
    if "arithmetic" in where:
        return "Compute the value in the space (expr:), and make its placeholder a word of its own."
    if where == "`[[ ]]`" or "in another form than" in where:
        return f"Compare it as a word: `[ {item.source} = text ]`."
    if "which the shell expands" in where and variable:
        return f"Put the whole word in double quotes, with ${variable} in it."
    if variable:
        return f'Write "${variable}" there, or make {item.source} a word of its own, without quotes.'
    return f"Make {item.source} a word of its own, without quotes."
