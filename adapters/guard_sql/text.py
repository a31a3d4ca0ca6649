"""From SQL text to a tree: what is looked at before a parser may read the text, and while.

Bounds come first, since the parser is recursive. Then every character between two tokens must be a space
or an ordinary comment: what the database would take for a word and the tokeniser for a space (a
no-break space), or the other way round, never gets further. Comments are not executed: only regenerated
text is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from msgspec import Struct
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from guard.errors import Refused
from guard.names import near
from guard_sql import paramstyle
from guard_sql.dialects import Dialect
from guard_sql.parameters import Parameters, parameter_name, size
from guard_sql.refusal import sql_refused
from guard_sql.world import World, fold

MAX_TOKENS: Final = 8_192
MAX_NESTING: Final = 32
"""The deepest nesting of parentheses and CASE, and the longest run of prefix operators."""

_SPACE: Final = " \t\r\n\f"
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.CASE, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.END, TokenType.R_BRACKET, TokenType.R_BRACE})
_PREFIX: Final = frozenset({TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE})
_VALUES: Final = frozenset({TokenType.NUMBER, TokenType.STRING, TokenType.PLACEHOLDER})
_NO_COMMAND: Final = _VALUES | {TokenType.VAR, TokenType.IDENTIFIER}
_COMMANDS: Final = frozenset(
    {"abort", "attach", "checkpoint", "close", "cluster", "deallocate", "declare", "detach", "discard", "do", "import"}
    | {"listen", "move", "notify", "reassign", "refresh", "reindex", "release", "reset", "savepoint", "security"}
    | {"start", "unlisten"}
)
"""First words of other statements, that the tokeniser takes for names."""

_WORDS: Final = frozenset(
    {"cast", "nulls", "last", "first", "partition", "preceding", "following", "unbounded", "year", "month", "day"}
)
"""Words of SQL that the tokeniser takes for names."""

_MARKS: Final = frozenset({TokenType.COLON, TokenType.PARAMETER})
_AFTER_LIST: Final = frozenset(
    {TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY, TokenType.LIMIT}
    | {TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT}
)
_FIRST: Final = frozenset(
    {TokenType.SELECT, TokenType.WITH, TokenType.INSERT, TokenType.UPDATE, TokenType.DELETE, TokenType.L_PAREN}
)
KINDS: Final[tuple[type[exp.Expr], ...]] = (
    *(exp.Select, exp.Union, exp.Intersect, exp.Except),
    *(exp.Insert, exp.Update, exp.Delete),
)
"""What a statement can be."""


class Reading(Struct, frozen=True, eq=False):
    """A statement as read: its tree, its text without values, and the text of each part of its (first) select list."""

    tree: exp.Expr
    statement: str
    labels: tuple[str, ...]
    additions: int
    """How many plus signs the text has."""
    parameters: Parameters
    sql: str
    """The text itself, with its values: for words about it while it is planned, and kept by nothing."""


_BUILT: Final = (
    "Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the "
    "connection; tables are made and altered by a connection that is not guarded."
)


_BEGINNINGS: Final = ("select", "insert", "update", "delete", "with")


def _other(tokens: Sequence[Token]) -> str:
    """What to say of a text that begins with none of the words of a statement that is built."""
    first = tokens[0] if tokens else None
    if first is not None and (first.token_type not in _NO_COMMAND or first.text.lower() in _COMMANDS):
        return _BUILT
    found = None if first is None or not first.text.isascii() else near(first.text[:64].lower(), _BEGINNINGS)
    hint = "." if found is None else f": did you mean {found.upper()}?"
    return f"This is no SQL statement{hint} {_BUILT}"


def read(sql: str, world: World, *, longest: int, pyformat: bool = False) -> Reading:
    """Reads one statement of at most `longest` characters, and as many bytes in UTF-8.

    `pyformat`: its parameters are `%s` or `%(name)s`, and `%%` is a percent sign.
    """
    dialect, spelt = world.dialect, world.spelt
    marks = None
    if pyformat and type(sql) is str and len(sql) <= longest:
        sql, marks = paramstyle.native(sql)
    tokens = _tokens(sql, dialect, longest)
    _bounded(tokens)
    _gaps(sql, tokens)
    if not sql.isascii():
        for token in tokens:
            _word(token, spelt)
    named, parameters = _named(sql, tokens)
    if marks is not None and marks != sum(token.token_type is TokenType.COLON for token in named):
        raise sql_refused("A parameter stands in a text or a comment.")
    return Reading(
        tree=parse(named, sql, dialect),
        statement=_without_values(sql, tokens, world),
        labels=_labels(sql, tokens),
        additions=[token.token_type for token in tokens].count(TokenType.PLUS),
        parameters=parameters,
        sql=sql,
    )


def parse(tokens: list[Token], sql: str, dialect: Dialect) -> exp.Expr:
    """The tree of exactly one statement, or a refusal: nothing is repaired."""
    trees: list[exp.Expr | None] | None = None
    parser = dialect.parsers.take()
    with suppress(Exception):  # sqlglot fails with any error on odd input
        trees = parser.parse(tokens, sql)
    if trees is None:
        # Raised outside the handler: the parser's error quotes the statement, and would stay in __context__.
        raise sql_refused("It cannot be read.")
    parser.reset()
    dialect.parsers.put(parser)
    tree = trees[0] if len(trees) == 1 else None
    if type(tree) is exp.Subquery and not any(value for key, value in tree.args.items() if key != "this"):
        # What stands behind its parentheses (ORDER BY, LIMIT) or before them (WITH) would be lost with them.
        tree = tree.this
    if tree is None or type(tree) not in KINDS:
        raise sql_refused("It is no SELECT, INSERT, UPDATE or DELETE.")
    return tree


def tokenise(sql: str, dialect: Dialect) -> list[Token]:
    """The tokens of a text."""
    tokeniser = dialect.tokenisers.take()
    made: list[Token] | None = None
    with suppress(Exception):
        made = tokeniser.tokenize(sql)
    if made is None:
        raise sql_refused("It cannot be read.")
    tokeniser.tokenize("")  # so that it keeps nothing of the text
    dialect.tokenisers.put(tokeniser)
    return made


def _tokens(sql: str, dialect: Dialect, longest: int) -> list[Token]:
    if type(sql) is not str:
        raise sql_refused("A statement is plain text (str).")
    if len(sql) > longest:
        raise sql_refused(f"It is longer than {longest} characters.")
    if "\0" in sql or (not sql.isascii() and not _encodable(sql)):
        raise sql_refused("It holds a NUL or half a character.")
    if not sql.isascii() and size(sql) > longest:
        raise sql_refused(f"It is longer than {longest} bytes.")
    tokens = tokenise(sql, dialect)
    if tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens or tokens[0].token_type not in _FIRST:
        raise sql_refused(_other(tokens))
    return tokens


def _encodable(sql: str) -> bool:
    try:
        sql.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bounded(tokens: Sequence[Token]) -> None:
    if len(tokens) > MAX_TOKENS:
        raise sql_refused(f"It has more than {MAX_TOKENS} words.")
    depth = run = 0
    for token in tokens:
        kind = token.token_type
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
        run = run + 1 if kind in _PREFIX else 0
        if depth > MAX_NESTING or run > MAX_NESTING:
            raise sql_refused(f"It is nested deeper than {MAX_NESTING}.")
        if kind is TokenType.SEMICOLON:
            raise sql_refused("It is more than one statement: send them one by one.")
        if kind is TokenType.HEX_STRING or kind is TokenType.BIT_STRING:
            raise sql_refused("Write numbers in decimal, and pass bytes as a parameter.")


def _gaps(sql: str, tokens: Sequence[Token]) -> None:
    end = 0
    for token in tokens:
        if token.start != end:
            _gap(sql[end : token.start])
        end = token.end + 1
    _gap(sql[end:].replace(";", "", 1))


def _gap(between: str) -> None:
    rest = between.strip(_SPACE)
    if not rest:
        return
    if not rest.startswith(("--", "/*")):
        raise sql_refused("It holds a character that is no SQL.")
    if "/*" in rest[2:] or rest.startswith(("/*!", "/*+", "/*M!", "--+")):
        raise sql_refused("A comment holds more than a remark: remove it.")


def _word(token: Token, spelt: frozenset[str]) -> None:
    """A word beyond ASCII is a name exactly as the catalogue spells it: no look-alikes, one normal form."""
    word = token.text
    if word.isascii() or token.token_type is TokenType.STRING:
        return
    if word not in spelt or not unicodedata.is_normalized("NFC", word):
        raise Refused.own("GUARD-SQL-COLUMN", "A name beyond ASCII is not one that the catalogue spells.")


def _named(sql: str, tokens: Sequence[Token]) -> tuple[list[Token], Parameters]:
    """The tokens with every parameter under a name of ours, and which of the program's each is.

    Done on the tokens, in the order of the text: in the tree the order may be another, and a name of the
    program's can then never be one of the guard's own.
    """
    made: list[Token] = []
    names: dict[str, int] = {}
    count, mark = 0, None
    for token in tokens:
        kind = token.token_type
        if mark is not None:
            if token.start != mark.end + 1 or not sql[token.start : token.end + 1].isidentifier():
                raise sql_refused("A parameter is ? or :name.")
            _parameter(made, names.setdefault(sql[token.start : token.end + 1], len(names)), mark)
            mark = None
        elif kind in _MARKS:
            mark = token
        elif kind is TokenType.PLACEHOLDER:
            _parameter(made, count, token)
            count += 1
        elif sql[token.start] == "$":
            name = sql[token.start + 1 : token.end + 1]
            if not name.isidentifier():
                raise sql_refused("A parameter is ? or :name.")
            _parameter(made, names.setdefault(name, len(names)), token)
        else:
            made.append(token)
    if mark is not None or (count and names):
        raise sql_refused("Parameters are all ? or all :name.")
    return made, Parameters(count=count, names=tuple(names))


def _parameter(made: list[Token], place: int, at: Token) -> None:
    made.append(Token(TokenType.COLON, ":", at.line, at.col, at.start, at.end))
    made.append(Token(TokenType.VAR, parameter_name(place), at.line, at.col, at.start, at.end))


def _without_values(sql: str, tokens: Sequence[Token], world: World) -> str:
    """The statement with a question mark for every value, without comments, spaced as it was.

    A name that the catalogue does not have is the program's own, and may be a value in disguise: an alias is
    c1, c2 and so on, the same name the same one.
    """
    parts: list[str] = []
    aliases: dict[str, str] = {}
    end, skip = 0, False
    for place, token in enumerate(tokens):
        gap = " " if token.start > end and parts else ""
        start, end = token.start, token.end + 1
        if skip:
            skip = False
            continue
        if token.token_type in _MARKS:
            skip = True
        is_value = token.token_type in _VALUES or skip or sql[start] == "$"
        if is_value:
            parts.append(gap + "?")
        elif _alias(tokens, place, world):
            parts.append(gap + aliases.setdefault(fold(token.text), f"c{len(aliases) + 1}"))
        else:
            parts.append(gap + sql[start:end])
    return "".join(parts)


def _alias(tokens: Sequence[Token], place: int, world: World) -> bool:
    """Whether a token of a statement that passes is an alias: a name, and neither a word of SQL nor a function's."""
    token = tokens[place]
    if token.token_type not in (TokenType.VAR, TokenType.IDENTIFIER) or fold(token.text) in world.names:
        return False
    if token.token_type is TokenType.IDENTIFIER:
        return True
    called = place + 1 < len(tokens) and tokens[place + 1].token_type is TokenType.L_PAREN
    return not called and token.text.lower() not in _WORDS


def _labels(sql: str, tokens: Sequence[Token]) -> tuple[str, ...]:
    """The text of each part of the select list, which names an output column that has no other name."""
    labels: list[str] = []
    first = _first_select(tokens)
    if first is None:
        return ()
    depth, start = 0, tokens[first].end + 1
    if first + 1 < len(tokens) and tokens[first + 1].token_type in (TokenType.DISTINCT, TokenType.ALL):
        first += 1
        start = tokens[first].end + 1
    for token in tokens[first + 1 :]:
        kind = token.token_type
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
        elif depth == 0 and kind is TokenType.COMMA:
            labels.append(sql[start : token.start].strip(_SPACE))
            start = token.end + 1
        elif depth == 0 and kind in _AFTER_LIST:
            labels.append(sql[start : token.start].strip(_SPACE))
            return tuple(labels)
    return (*labels, sql[start : tokens[-1].end + 1].strip(_SPACE))


def _first_select(tokens: Sequence[Token]) -> int | None:
    """The place of the outermost SELECT: the first one that stands in no parentheses."""
    depth = 0
    for place, token in enumerate(tokens):
        if token.token_type in _OPENING:
            depth += 1
        elif token.token_type in _CLOSING:
            depth -= 1
        elif depth == 0 and token.token_type is TokenType.SELECT:
            return place
    return None
