"""What is known of the grammar, and of what a shell evaluates although it does not look like it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tree_sitter import Node

from infra.tools.shell.parsed import Word
from infra.tools.shell.words import text

LONGEST: Final = 16_384
DEEPEST: Final = 8
"""Scripts within scripts."""

THROUGH: Final = frozenset({
    "program", "list", "pipeline", "subshell", "do_group", "if_statement", "elif_clause", "else_clause",
    "negated_command", "while_statement", "case_statement", "case_item", "string", "concatenation", "array",
    "command_name", "variable_assignments", "heredoc_body", "parenthesized_expression",
    "unary_expression", "binary_expression", "ternary_expression", "postfix_expression",
})  # fmt: skip
LEAVES: Final = frozenset({
    "word", "number", "string_content", "raw_string", "variable_name", "special_variable_name", "test_operator",
    "regex", "heredoc_start", "heredoc_end", "heredoc_content", "file_descriptor", "comment", "ansi_c_string",
    "extglob_pattern",
})  # fmt: skip
ARITHMETIC_TESTS: Final = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge"})
QUOTED: Final = frozenset({"raw_string", "comment", "ansi_c_string", "heredoc_start", "heredoc_end"})
SPLIT: Final = frozenset({"simple_expansion", "expansion", "command_substitution"})
DANGEROUS: Final = re.compile(
    r"(PATH|IFS|ENV|BASH_\w+|BASHOPTS|SHELLOPTS|PS[0-4]|PROMPT_COMMAND|LD_\w+|GCONV_PATH|GLOBIGNORE|EXECIGNORE|CDPATH"
    r"|HOME|FPATH|TMPDIR|POSIXLY_CORRECT|PYTHON\w+|PERL\w+|RUBY\w+|NODE_\w+|GIT_\w+|\w*PAGER|\w*EDITOR|LESS\w+"
    r"|COMPRESS_PROGRAM|TAR_OPTIONS|GREP_OPTIONS|FUNCNEST|INPUTRC|LOCPATH|NLSPATH)\Z"
)
"""Variables by which a command becomes another one."""
SETTERS: Final = frozenset({"read", "mapfile", "readarray", "printf", "getopts", "let", "unset", "wait"})
"""Built in, and able to set variables that are named by their words."""
EVALUATES: Final = re.compile(r"\[[^\]]*(?:\$\(|`|\$\{)")
"""An index which the shell would evaluate, from within quotes too."""
MISSED: Final = re.compile(r"(?<!\\)(?:\\\\)*(?:`|\$\(|\$\{|\$\[)")
UNLIKE_BASH: Final = re.compile(r'\$"|\S\\\n')
"""What the grammar reads differently: translated strings, and words that go on in the next line."""
OPERATORS: Final = re.compile(r"(?<!\\)(?:\\\\)*[;|&<>()\s]")
EXPANSION: Final = re.compile(
    r"\$\{#?(?:\w+|[@*#?$!-])(?:\[[@*0-9]+\])?(?:$|\}$|:?[-=+?]|##?|%%?|//?|\^\^?|,,?|:\d+(?::\d+)?\}$)"
)
ASSIGNS: Final = re.compile(r"\$\{(\w+):?=")
"""An expansion that sets a variable which is not set."""
SHELLS_OWN: Final = frozenset({
    "_", "REPLY", "MAPFILE", "OPTARG", "OPTIND", "PWD", "OLDPWD", "DIRSTACK", "COPROC", "FUNCNAME", "PIPESTATUS",
    "HOSTNAME", "COMP_LINE", "COMP_WORDS", "READLINE_LINE",
})  # fmt: skip
"""Variables that the shell sets by itself, to what it reads among other things."""
KINDS: Final = {"<": "read", ">": "write", ">>": "write", ">|": "write", "&>": "write", "&>>": "write", "<>": "both",
                 ">&": "duplicate", "<&": "duplicate", ">&-": "duplicate", "<&-": "duplicate"}  # fmt: skip
DESCRIPTOR: Final = re.compile(r"\d+-?|-\Z")


def splits(given: Word) -> bool:
    """Whether several words may come of it."""
    return given.value is None and not given.source.startswith('"')


def all_of(node: Node) -> list[Node]:
    """A node and everything below it."""
    found = [node]
    for child in node.children:
        found += all_of(child)
    return found


def numbers_of(root: Node) -> set[str]:
    """Variables that this line sets to numbers, and to nothing else."""
    good, bad = set[str](), set[str]()
    for node in all_of(root):
        if node.type == "variable_assignment":
            name = node.child_by_field_name("name")
            (good if is_number(node) else bad).add(text(name) if name else "")
        elif node.type == "for_statement":
            name = node.child_by_field_name("variable")
            bad.add(text(name) if name else "")
        elif node.type == "word" and re.fullmatch(r"\w+", text(node)):
            bad |= {text(node)} if _names_a_variable(node) else set()
    return good - bad - SHELLS_OWN


def is_number(assignment: Node) -> bool:
    """Whether what is assigned is a number, whatever happens."""
    value = assignment.child_by_field_name("value")
    return value is not None and (value.type == "arithmetic_expansion" or bool(re.fullmatch(r"\d+", text(value))))


def _names_a_variable(node: Node) -> bool:
    command = node.parent
    name = command.child_by_field_name("name") if command is not None and command.type == "command" else None
    return name is not None and text(name) in SETTERS


def odd_character(line: str) -> str:
    """The first that a person would not see, or ""."""
    for each in line:
        if each not in "\n\t " and unicodedata.category(each) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"):
            return f"U+{ord(each):04X}"
    return ""
