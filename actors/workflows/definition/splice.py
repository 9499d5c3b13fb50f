"""Edits of a document that change only the bytes they must: comments, order and quoting elsewhere stay.

Every edit gives a new document, and is checked: when the text, read again, does not say exactly what was meant (an
anchor was cut off from its aliases, say), the edit is refused and nothing is changed.
"""

from __future__ import annotations

from typing import Any, cast

from actors.workflows.definition.document import Document, Mark, index_in, names_of, read, token, walk
from actors.workflows.definition.problems import DefinitionInvalid
from actors.workflows.definition.writing import block, entry, flow, scalar
from events.errors import InvalidData


class CannotEdit(InvalidData):
    """The document cannot be changed as asked without touching what should stay."""

    code = "edit"


def put(document: Document, pointer: str, value: Any, *, after: str | None = None) -> Document:
    """Set a value. A key that is not there, or the index one past the end (or `-`), is added: last, or `after` a key.

    Raises CannotEdit.
    """
    parent, _, _ = pointer.rpartition("/")
    held = _at(document, parent) if pointer else None
    expected = _copy(document.value)
    if pointer and isinstance(held, dict) and pointer not in document.marks:
        name = names_of(pointer)[-1]
        if name in held:
            raise CannotEdit(f"{pointer} comes from an alias", hint="change what the alias stands for")
        _insert(walk(expected, parent), name, value, after)
        text = _add_key(document, parent, name, value, after)
    elif isinstance(held, list) and pointer not in document.marks:
        items = cast("list[Any]", held)
        if names_of(pointer)[-1] not in ("-", str(len(items))):
            raise CannotEdit(f"{pointer}: the list has {len(items)} items", hint=f"{parent}/- adds one")
        walk(expected, parent).append(value)
        text = _add_item(document, parent, value)
    elif pointer in document.marks:
        expected = _replaced(expected, pointer, value)
        mark = document.marks[pointer]
        text = _with(document.text, mark.start, mark.end, _in_place(document, pointer, mark, value))
    else:
        raise CannotEdit(f"there is no {parent} to put {pointer} in")
    return _checked(document, text, expected)


def remove(document: Document, pointer: str) -> Document:
    """Take a key or an item out, with the comment on its last line. Raises CannotEdit."""
    if not pointer or pointer not in document.marks:
        raise CannotEdit(f"there is no {pointer or 'document'} to remove")
    parent, _, _ = pointer.rpartition("/")
    expected = _copy(document.value)
    held = walk(expected, parent)
    del held[index_in(held, names_of(pointer)[-1])]
    around = document.marks[parent]
    if not held:
        text = _with(document.text, around.start, around.end, _in_place(document, parent, around, held))
    elif around.flow:
        text = _out_of_flow(document, parent, pointer)
    else:
        text = _out_of_block(document, parent, pointer)
    return _checked(document, text, expected)


def rename_key(document: Document, pointer: str, name: str) -> Document:
    """Give a key another name where it stands. Raises CannotEdit."""
    mark = document.keys.get(pointer)
    if mark is None:
        raise CannotEdit(f"there is no key {pointer}")
    parent = pointer.rpartition("/")[0]
    expected = _copy(document.value)
    held = walk(expected, parent)
    old = names_of(pointer)[-1]
    if name in held:
        raise CannotEdit(f"there is a {name!r} already in {parent or 'the document'}")
    entries = [(name if k == old else k, v) for k, v in held.items()]
    held.clear()
    held.update(entries)
    return _checked(document, _with(document.text, mark.start, mark.end, scalar(name)), expected)


# -- places


def _children(document: Document, pointer: str) -> list[str]:
    """The pointers of what stands in a value, in order."""
    held = _at(document, pointer)
    if isinstance(held, dict):
        return [f"{pointer}/{token(name)}" for name in cast("dict[str, Any]", held)]
    return [f"{pointer}/{n}" for n in range(len(held))]


def _start(document: Document, pointer: str) -> Mark:
    """Where a child begins: its key, or its value in a list."""
    return document.keys.get(pointer) or document.marks[pointer]


def _line_end(text: str, at: int) -> int:
    """The end of a line when only space and a comment are left on it; else the place itself."""
    if at and text[at - 1] == "\n":
        return at - 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    rest = text[at:end].strip()
    if rest and not (rest.startswith("#") and text[at : at + 1] in " \t"):
        return at
    return end - 1 if text[end - 1 : end] == "\r" and end > at else end


def _skip(text: str, at: int) -> int:
    """The next character that is neither space nor in a comment."""
    while at < len(text):
        if text[at] == "#" and (at == 0 or text[at - 1] in " \t\r\n"):
            at = text.find("\n", at)
            if at < 0:
                return len(text)
        elif not text[at].isspace():
            return at
        at += 1
    return at


def _newline(document: Document) -> str:
    return "\r\n" if "\r\n" in document.text else "\n"


# -- texts


def _with(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]


def _in_place(document: Document, pointer: str, mark: Mark, value: Any) -> str:
    text = document.text
    if not mark.flow and text[mark.start] not in "|>":
        return _in_lines(document, mark, walk(document.value, pointer), value)
    new = flow(value)
    if mark.start == mark.end:  # nothing was written
        before = text[mark.start - 1 : mark.start]
        return new if not before or before.isspace() else f" {new}"
    if text[mark.end - 1] == "\n":
        return new + _newline(document)
    return new


def _in_lines(document: Document, mark: Mark, old: Any, value: Any) -> str:
    """What takes the place of a block. A list may stand as far left as its key; nothing else may."""
    indent = mark.column - 1
    if isinstance(old, list) and not (isinstance(value, list) and value):
        return "  " + block(value, indent + 2, _newline(document))
    return block(value, indent, _newline(document))


def _add_key(document: Document, parent: str, name: str, value: Any, after: str | None) -> str:
    text, around = document.text, document.marks[parent]
    children = _children(document, parent)
    if after is not None and f"{parent}/{token(after)}" not in children:
        raise CannotEdit(f"there is no {after!r} in {parent or 'the document'}")
    if not children:
        return _with(text, around.start, around.end, flow({name: value}))
    last = children[-1] if after is None else f"{parent}/{token(after)}"
    end = document.marks[last].end
    if around.flow:
        return _with(text, end, end, f", {scalar(name)}: {flow(value)}")
    newline = _newline(document)
    end = _line_end(text, end)
    indent = _start(document, children[0]).column - 1
    return _with(text, end, end, f"{newline}{' ' * indent}{entry(name, value, indent, newline)}")


def _add_item(document: Document, parent: str, value: Any) -> str:
    text, around = document.text, document.marks[parent]
    children = _children(document, parent)
    if not children:
        return _with(text, around.start, around.end, flow([value]))
    end = document.marks[children[-1]].end
    if around.flow:
        return _with(text, end, end, f", {flow(value)}")
    newline, end, indent = _newline(document), _line_end(text, end), around.column - 1
    return _with(text, end, end, f"{newline}{' ' * indent}- {block(value, indent + 2, newline)}")


def _out_of_flow(document: Document, parent: str, pointer: str) -> str:
    children = _children(document, parent)
    n = children.index(pointer)
    if n + 1 < len(children):
        return _with(document.text, _start(document, pointer).start, _start(document, children[n + 1]).start, "")
    return _with(document.text, document.marks[children[n - 1]].end, document.marks[pointer].end, "")


def _out_of_block(document: Document, parent: str, pointer: str) -> str:
    """The lines of an entry; the first one, when it stands behind something else, up to the next entry."""
    text = document.text
    children = _children(document, parent)
    n = children.index(pointer)
    if pointer in document.keys:
        start = document.keys[pointer].start
    else:  # an item begins with its dash
        start = document.marks[parent].start if n == 0 else _skip(text, document.marks[children[n - 1]].end)
    line = text.rfind("\n", 0, start) + 1
    if text[line:start].strip():
        following = document.keys.get(children[n + 1]) if n + 1 < len(children) else None
        if following is None:
            following_start = _skip(text, document.marks[pointer].end)
            return _with(text, start, following_start, "")
        return _with(text, start, following.start, "")
    end = _line_end(text, document.marks[pointer].end)
    end = text.find("\n", end) + 1 or len(text)
    return _with(text, line, end, "")


# -- values


def _at(document: Document, pointer: str) -> Any:
    try:
        return walk(document.value, pointer)
    except (KeyError, IndexError, TypeError, ValueError):
        raise CannotEdit(f"there is no {pointer} in the document") from None


def _copy(value: Any) -> Any:
    """A copy in which nothing is shared, as it is where aliases are."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in cast("dict[str, Any]", value).items()}
    return [_copy(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _replaced(value: Any, pointer: str, new: Any) -> Any:
    if not pointer:
        return new
    held = walk(value, pointer.rpartition("/")[0])
    name = names_of(pointer)[-1]
    held[index_in(held, name)] = new
    return value


def _insert(held: dict[str, Any], name: str, value: Any, after: str | None) -> None:
    entries = list(held.items())
    place = len(entries) if after is None else next((n + 1 for n, (k, _) in enumerate(entries) if k == after), 0)
    entries.insert(place, (name, value))
    held.clear()
    held.update(entries)


def _checked(document: Document, text: str, expected: Any) -> Document:
    try:
        changed = read(text, document.file)
    except DefinitionInvalid as error:
        raise CannotEdit(f"this edit cannot be made in place: {error.message}", hint="edit the text by hand") from None
    if not _same(changed.value, expected):
        raise CannotEdit("this edit would change more than it should", hint="is there an anchor in what is changed?")
    return changed


def _same(a: Any, b: Any) -> bool:
    """Equal, with the types of numbers and the order of keys."""
    if isinstance(a, dict) and isinstance(b, dict):
        left, right = cast("dict[str, Any]", a), cast("dict[str, Any]", b)
        return list(left) == list(right) and all(_same(left[k], right[k]) for k in left)
    if isinstance(a, list) and isinstance(b, list):
        one, two = cast("list[Any]", a), cast("list[Any]", b)
        return len(one) == len(two) and all(_same(x, y) for x, y in zip(one, two, strict=True))
    return a == b and isinstance(a, float) == isinstance(b, float) and isinstance(a, bool) == isinstance(b, bool)
