"""Reading a line of shell in full. What is not understood is a problem, never ignored.

The grammar is bash's, by tree-sitter. Every kind of node is either known here or refused, and the text of every word is
looked at again for what the grammar may have missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from infra.tools.shell.grammar import (
    ARITHMETIC_TESTS,
    ASSIGNS,
    DANGEROUS,
    DEEPEST,
    DESCRIPTOR,
    EVALUATES,
    EXPANSION,
    KINDS,
    LEAVES,
    LONGEST,
    MISSED,
    OPERATORS,
    QUOTED,
    SETTERS,
    SPLIT,
    THROUGH,
    UNLIKE_BASH,
    all_of,
    is_number,
    numbers_of,
    odd_character,
    splits,
)
from infra.tools.shell.parsed import ParsedCommand, Redirection, Simple, Unclear, Word
from infra.tools.shell.unwrapping import Script, unwrap
from infra.tools.shell.words import text, word

_parser: Final = Parser(Language(tree_sitter_bash.language()))


def parse(line: str) -> ParsedCommand:
    """Everything a line of shell would run. Never raises: what cannot be told is among the problems."""
    reader = _Reader()
    reader.read(line, ())
    if reader.doubtful:  # what is set somewhere, also in a script within the line, is nowhere known to be a number
        reader = _Reader(reader.doubtful)
        reader.read(line, ())
    return ParsedCommand(
        reader.commands, reader.redirections, reader.substitutions, sorted(set(reader.functions)),
        sorted(set(reader.assignments)), list(dict.fromkeys(reader.problems)),
    )  # fmt: skip


class _Reader:
    def __init__(self, doubtful: Iterable[str] = ()) -> None:
        self.doubtful = set(doubtful)
        """Variables that are set to what is not a number, or not said."""
        self.commands: list[Simple] = []
        self.redirections: list[Redirection] = []
        self.substitutions: list[str] = []
        self.functions: list[str] = []
        self.assignments: list[str] = []
        self.problems: list[str] = []
        self._numbers: set[str] = set()

    def read(self, line: str, inside: tuple[str, ...]) -> None:
        if len(inside) > DEEPEST or len(line) > LONGEST:
            self.problems.append("too long or too deep")
            return
        if odd := odd_character(line):
            self.problems.append(f"a character that is not seen: {odd}")
            return
        if hidden := UNLIKE_BASH.search(line):
            self.problems.append(f"not understood: {hidden[0]!r}")
            return
        tree = _parser.parse(line.encode())
        if tree.root_node.has_error:
            self.problems.append("it cannot be parsed")
            return
        before = self._numbers
        try:
            self._numbers = numbers_of(tree.root_node) - self.doubtful
            self._visit(tree.root_node, inside)
        except RecursionError:
            self.problems.append("too deep")
        finally:
            self._numbers = before

    def _visit(self, node: Node, inside: tuple[str, ...]) -> None:
        if node.type in LEAVES:
            self._leaf(node)
        elif node.type in THROUGH:
            self._below(node, inside)
        elif visit := getattr(self, f"_{node.type}", None):
            visit(node, inside)
        elif node.is_named:
            self.problems.append(f"not understood: {node.type}")

    def _below(self, node: Node, inside: tuple[str, ...]) -> None:
        for child in node.children:
            if child.is_named:
                self._visit(child, inside)

    def _leaf(self, node: Node) -> None:
        source = text(node)
        if node.type in ("word", "number", "variable_name") and OPERATORS.search(source):
            self.problems.append(f"not understood: {source!r}")
        if node.type not in QUOTED and MISSED.search(source):
            self.problems.append(f"not understood: {source!r}")
        if node.type in ("raw_string", "ansi_c_string", "string_content", "word") and EVALUATES.search(source):
            self.problems.append(f"an index that would be evaluated: {source}")

    # Commands.

    def _redirected_statement(self, node: Node, inside: tuple[str, ...]) -> None:
        """What follows a redirection belongs to the command before it, though the grammar hangs it elsewhere."""
        body = node.child_by_field_name("body")
        more = list[Word]()
        for child in node.children_by_field_name("redirect"):
            more += [word(each) for each in child.children_by_field_name("destination")[1:]]
            more += [word(each) for each in child.children_by_field_name("argument")]
            self._visit(child, inside)
        if body is not None and body.type == "command":
            self._command(body, inside, more)
        elif more:
            self.problems.append(f"not understood: {text(node)}")
        elif body is not None:
            self._visit(body, inside)

    def _command(self, node: Node, inside: tuple[str, ...], more: Sequence[Word] = ()) -> None:
        name = node.child_by_field_name("name")
        words = [word(name)] if name else []
        words += [word(argument) for argument in node.children_by_field_name("argument")]
        words += more
        self._redirect_alone(node)
        self._below(node, inside)
        if words:
            self._simple(words, inside)

    def _simple(self, words: list[Word], inside: tuple[str, ...]) -> None:
        name = words[0].value
        self.commands.append(Simple(name or "", words, inside))
        if not name:
            self.problems.append(f"which program is run is not said: {words[0].source}")
            return
        self._set_by(name, words[1:])
        try:
            inner = unwrap([*words])
        except Unclear as why:
            self.problems.append(str(why))
            return
        for each in inner:
            below = (*inside, each.by)
            if len(below) > DEEPEST:
                self.problems.append("too deep")
            elif isinstance(each, Script):
                self.read(each.line, below)
            else:
                self.redirections += [Redirection("write", each.by, target, inside) for target in each.written]
                for assigned in each.assigned:
                    self._set(assigned)
                if each.words:
                    self._simple(each.words, below)

    def _redirect_alone(self, node: Node) -> None:
        """Redirections here have one target each, or what comes after belongs to something else."""
        if any(len(each.children_by_field_name("destination")) > 1 for each in node.children):
            self.problems.append(f"not understood: {text(node)}")

    def _set_by(self, name: str, words: list[Word]) -> None:
        """Builtins that set the variables named by their words, and evaluate the names."""
        if name == "printf":
            first = words[0] if words else Word("")
            if not first.prefix.startswith("-v"):
                named = words[:1] if words and not first.prefix and first.value is None else []
            else:
                named = words[1:2] if first.value == "-v" else [Word(first.source[2:], first.prefix[2:])]
        else:
            named = words if name in SETTERS else []
        for each in named:
            if each.value is None:
                self.problems.append(f"what {name} sets is not said: {each.source}")
            else:
                self._set(re.split(r"\W", each.value)[0])
        if name == "test" and any(each.value in ("-v", "-R") or splits(each) for each in words):
            self.problems.append("a test that may evaluate: quote what is tested")

    def _set(self, name: str, *, number: bool = False) -> None:
        if not number:
            self.doubtful.add(name)
        if DANGEROUS.match(name):
            self.problems.append(f"{name} decides what is run and may not be set")

    def _function_definition(self, node: Node, inside: tuple[str, ...]) -> None:
        name = node.child_by_field_name("name")
        self.functions.append(text(name) if name else "")
        self._redirect_alone(node)
        for child in node.children:
            if child.is_named and child != name:
                self._visit(child, (*inside, f"{self.functions[-1]}()"))

    # Assignments.

    def _variable_assignment(self, node: Node, inside: tuple[str, ...]) -> None:
        name = node.child_by_field_name("name")
        if name is not None:
            plain = re.split(r"[\[+]", text(name))[0]
            self.assignments.append(plain)
            self._set(plain, number=is_number(node))
        self._below(node, inside)

    def _declaration_command(self, node: Node, inside: tuple[str, ...]) -> None:
        for child in node.children:
            given = word(child) if child.is_named and child.type != "variable_assignment" else None
            if given is not None and given.value is None:
                self.problems.append(f"what is declared is not said: {given.source}")
            elif given is not None and given.value and given.value.startswith("-") and set(given.value) & set("inA"):
                self.problems.append(f"a declaration that evaluates: {given.source}")
            elif given is not None and given.value:
                self._set(given.value.split("=")[0])
        self._below(node, inside)

    def _unset_command(self, node: Node, inside: tuple[str, ...]) -> None:
        self._declaration_command(node, inside)

    def _for_statement(self, node: Node, inside: tuple[str, ...]) -> None:
        if (name := node.child_by_field_name("variable")) is not None:
            self.assignments.append(text(name))
            self._set(text(name))
        self._below(node, inside)

    # Expansions and substitutions.

    def _simple_expansion(self, node: Node, inside: tuple[str, ...]) -> None:
        del node, inside  # a variable: what is in it is not run

    def _expansion(self, node: Node, inside: tuple[str, ...]) -> None:
        if not EXPANSION.match(text(node)):
            self.problems.append(f"an expansion that evaluates: {text(node)}")
        if assigned := ASSIGNS.match(text(node)):
            self._set(assigned[1])
        for child in node.children:
            if child.is_named and child.type not in ("subscript", "variable_name", "special_variable_name"):
                self._visit(child, inside)

    def _command_substitution(self, node: Node, inside: tuple[str, ...]) -> None:
        self.substitutions.append(text(node))
        self._below(node, (*inside, "$()"))

    def _process_substitution(self, node: Node, inside: tuple[str, ...]) -> None:
        self.substitutions.append(text(node))
        self._below(node, (*inside, text(node)[0] + "()"))

    def _arithmetic_expansion(self, node: Node, inside: tuple[str, ...]) -> None:
        self._arithmetic(node)
        self._below(node, inside)

    def _c_style_for_statement(self, node: Node, inside: tuple[str, ...]) -> None:
        for child in node.children:
            if child.is_named and child.type not in ("do_group", "compound_statement"):
                self._arithmetic(child)
        self._below(node, inside)

    def _compound_statement(self, node: Node, inside: tuple[str, ...]) -> None:
        if node.children and node.children[0].type == "((":
            self._arithmetic(node)
        self._below(node, inside)

    def _subscript(self, node: Node, inside: tuple[str, ...]) -> None:
        if (index := node.child_by_field_name("index")) is not None:
            self._arithmetic(index)
        self._below(node, inside)

    def _test_command(self, node: Node, inside: tuple[str, ...]) -> None:
        for each in all_of(node):
            if each.type == "test_operator" and text(each) in ARITHMETIC_TESTS and each.parent is not None:
                if text(node).startswith("[["):
                    self._arithmetic(each.parent)
            elif each.type == "test_operator" and text(each) in ("-v", "-R"):
                self.problems.append("a test that evaluates: -v")
            elif text(node).startswith("[ ") and self._may_split(each):
                self.problems.append("a test that may evaluate: quote what is tested")
        self._below(node, inside)

    def _may_split(self, node: Node) -> bool:
        quoted = node.parent is not None and node.parent.type == "string"
        return node.type in SPLIT and not quoted and text(node).lstrip("$") not in self._numbers

    def _arithmetic(self, node: Node) -> None:
        """The shell evaluates a variable's text, and what that names, and so on: only numbers of this line may be."""
        for each in all_of(node):
            if each.type in ("variable_name", "word", "raw_string", "string_content", "ansi_c_string"):
                if text(each) not in self._numbers and not re.fullmatch(r"\d+", text(each)):
                    self.problems.append(f"arithmetic with what is not a number of this line: {text(each)}")
            elif each.type == "command_substitution":
                self.problems.append(f"arithmetic with the output of a command: {text(each)}")

    # Redirections.

    def _file_redirect(self, node: Node, inside: tuple[str, ...]) -> None:
        operator = next((text(child) for child in node.children if not child.is_named), "")
        kind = KINDS.get(operator)
        destination = node.child_by_field_name("destination")
        if kind is None or (destination is None and not operator.endswith("-")):
            self.problems.append(f"not understood: {text(node)}")
            return
        target = word(destination) if destination is not None else Word("-", "-", "-")
        if kind == "duplicate" and not DESCRIPTOR.fullmatch(target.value or ""):
            kind = "write" if operator == ">&" else "both"
        if any(text(child).startswith("{") for child in node.children if child.type == "file_descriptor"):
            self.problems.append(f"not understood: {text(node)}")
        self.redirections.append(Redirection(kind, operator, target, inside))
        self._below(node, inside)

    def _herestring_redirect(self, node: Node, inside: tuple[str, ...]) -> None:
        given = next((child for child in node.children if child.is_named and child.type != "file_descriptor"), node)
        self.redirections.append(Redirection("herestring", "<<<", word(given), inside))
        self._below(node, inside)

    def _heredoc_redirect(self, node: Node, inside: tuple[str, ...]) -> None:
        start = next((text(child) for child in node.children if child.type == "heredoc_start"), "")
        self.redirections.append(Redirection("heredoc", "<<", Word(start, start, start), inside))
        quoted = any(each in start for each in "'\"\\")
        for child in node.children:
            if child.type == "heredoc_body" and not child.named_children:
                if not quoted and MISSED.search(text(child)):
                    self.problems.append("not understood: a substitution in a here-document")
            elif child.is_named:
                self._visit(child, inside)
