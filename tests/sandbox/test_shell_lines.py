"""Lines of shell: everything in them is found, or they are refused. Real bash says what is really run."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.sandbox.running import Limits, run_confined
from infra.tools.shell.reading import parse
from infra.tools.shell.rules import ShellRules, objections
from tests.sandbox.levels import confinement

FOUND: dict[str, set[str]] = {
    "ls": {"ls"},
    "ls; wc & cat | rm && tr || cut": {"ls", "wc", "cat", "rm", "tr", "cut"},
    "ls |& wc": {"ls", "wc"},
    "! ls": {"ls"},
    "(ls; { rm x; })": {"ls", "rm"},
    "/bin/rm x": {"/bin/rm"},
    "'r'm x": {"rm"},
    '"rm" x': {"rm"},
    r"\rm x": {"rm"},
    r"r\m x": {"rm"},
    "echo $(rm x)": {"echo", "rm"},
    "echo `rm x`": {"echo", "rm"},
    'echo "a $(rm "b $(cat c)")"': {"echo", "rm", "cat"},
    'echo "`rm x`"': {"echo", "rm"},
    "cat <(rm x) >(tee y)": {"cat", "rm", "tee"},
    "x=$(rm y)": {"rm"},
    "x=$(rm y) ls": {"rm", "ls"},
    "export X=$(rm y)": {"rm"},
    "a=(1 $(rm y))": {"rm"},
    "echo ${x:-$(rm y)}": {"echo", "rm"},
    "cat <<EOF\n$(rm x)\nEOF": {"cat", "rm"},
    "cat <<'EOF'\n$(rm x)\nEOF": {"cat"},
    "cat <<EOF | rm\nx\nEOF": {"cat", "rm"},
    "cat <<EOF && rm x\na\nEOF": {"cat", "rm"},
    "cat <<< $(rm x)": {"cat", "rm"},
    "f() { rm x; }; f": {"rm", "f"},
    "function f { rm x; }; f": {"rm", "f"},
    "ls() { rm x; }; ls": {"rm", "ls"},
    "for i in $(rm x); do cat $i; done": {"rm", "cat"},
    "while rm x; do ls; done": {"rm", "ls"},
    "until rm x; do ls; done": {"rm", "ls"},
    "if rm x; then ls; elif cat y; then wc; else tr; fi": {"rm", "ls", "cat", "wc", "tr"},
    "case $(rm x) in a) ls;; *) wc;; esac": {"rm", "ls", "wc"},
    "case x in $(rm y)) ls;; esac": {"rm", "ls"},
    "[[ -f $(rm x) ]] && ls": {"rm", "ls"},
    '[ -n "$(rm x)" ]': {"rm"},
    "for ((i=0; i<2; i++)); do rm x; done": {"rm"},
    "env rm x": {"env", "rm"},
    "env -i -u A B=1 rm x": {"env", "rm"},
    "nice -n 5 nohup timeout -s KILL 5 rm x": {"nice", "nohup", "timeout", "rm"},
    "timeout --signal=9 -k 1 5 rm x": {"timeout", "rm"},
    "time rm x": {"time", "rm"},
    "command rm x": {"command", "rm"},
    "command -v rm": {"command"},
    "builtin echo x": {"builtin", "echo"},
    "exec rm x": {"exec", "rm"},
    "stdbuf -oL rm x": {"stdbuf", "rm"},
    "ls | xargs rm": {"ls", "xargs", "rm"},
    "ls | xargs -0 -n1 -P 2 rm -f": {"ls", "xargs", "rm"},
    "ls | xargs -I{} rm {}": {"ls", "xargs", "rm"},
    "xargs > out rm x": {"xargs", "rm"},
    "xargs 2>&1 rm": {"xargs", "rm"},
    "xargs <<EOF rm x\na\nEOF": {"xargs", "rm"},
    "> out xargs rm": {"xargs", "rm"},
    "< /dev/null rm x": {"rm"},
    "FOO=1 > out rm x": {"rm"},
    "sh -c 'rm x; cat y'": {"sh", "rm", "cat"},
    'bash -ec "rm x"': {"bash", "rm"},
    "sh -c \"sh -c 'rm x'\"": {"sh", "rm"},
    "eval rm x": {"eval", "rm"},
    "eval 'rm x; cat' y": {"eval", "rm", "cat"},
    "trap 'rm x' EXIT": {"trap", "rm"},
    r"find . -name '*.c' -exec rm {} \;": {"find", "rm"},
    "find . -type f -execdir cat {} + -ok wc {} ';'": {"find", "cat", "wc"},
    "find . -delete": {"find", "rm"},
    "ls \\\n -l": {"ls"},
    "ls # rm x": {"ls"},
    "echo '# $(rm x)'": {"echo"},
    "echo '$(rm x)' \"\\$(rm x)\" \\`rm": {"echo"},
    "x=1; y=2; echo $((x + y))": {"echo"},
    "echo hi >&2 2>/dev/null": {"echo"},
}
"""Every program of a line; nothing about it is doubtful."""

REFUSED = [
    "$x rm", "$(echo rm) x", "`echo rm` x", "${x} y", "r$y x", "\"$x\" y", "$'rm' x", "$'\\x72m' x", "r? x",
    "/bin/r* x", "~/x", "{rm,x}", "eval $x", "eval \"rm $x\"", "sh -c \"$x\"", "sh -c \"rm $x\"", "sh", "sh x.sh",
    "cat x | sh", "sh <<EOF\nrm x\nEOF", "bash -s < x", "bash --rcfile x -c ls", "sh -ic ls", ". ./x", "source x",
    "sudo ls", "su -c ls", "doas ls", "ssh host ls", "coproc rm x", "alias ls=rm", "enable -f x y",
    "hash -p /bin/rm ls", "shopt -s expand_aliases", "set -o allexport", "PATH=. ls", "export PATH=.",
    "env PATH=. ls", "LD_PRELOAD=./x ls", "BASH_ENV=x bash -c ls", "IFS=x", "read PATH", "printf -v PATH .",
    "for PATH in .; do ls; done", "declare PATH=.", "export $x", "read $x", "env -S 'rm x'",
    "env --split-string='rm x'", "env $x", "nice $x rm", "timeout $x rm", "xargs $x", "xargs -I$x rm",
    "ls | xargs -I{} sh -c 'rm {}'", "ls | xargs -I% % x", "ls | xargs env", "ls | xargs -a f sh", "xargs nice",
    r"find . -exec {} \;", r"find . -exec sh -c 'rm {}' \;", "find $x", "find *", "find . -exec rm", "busybox rm x",
    "parallel rm ::: x", "watch rm x", "script -c 'rm x'", "/lib64/ld-linux-x86-64.so.2 /bin/rm",
    "sort --compress-program=x", "trap $x EXIT", "nohup --unknown rm", "exec -z rm", "command -x rm",
    "let 'a[$(rm x)]=1'", "((x))", "echo $((x))", "x=$1; ((x+1))", "echo $((a[$(rm x)]))", "echo ${a[$x]}",
    "echo ${x@P}", "echo ${!x}", "echo ${x:$y}", "test -v 'a[$(rm x)]'", "[[ -v x ]]", "[[ $x -eq 1 ]]", "[ $x = y ]",
    "test $x", "read 'a[$(rm x)]'", "printf -v 'a[$(rm x)]' y", "declare -i x=y", "unset 'a[$(rm x)]'", "ls\u00a0x",
    "ls \u202ex", "ls\u200bx", "ls\rrm", "ls\0rm", "ls (", "echo \"", "if", "ls $\"hi\"", "ls &&& rm",
    "cat <<A <<B\na\nA\nb\nB", "ls <> f", "(ls) > f rm", "r\\\nm x", "echo ${x:=`rm y`}", "cat <<EOF\n`rm x`\nEOF",
    "mapfile -C rm -c 1 a < f", "readarray -tC 'rm x' -c1 a < f", "command mapfile -C rm a < f", "echo ${x^^$(rm y)}",
    "echo ${x,,$(rm y)}", "echo ${x#$(rm y)}", "echo ${x%%`rm y`}", ": ${PATH:=.}", ": ${IFS=x}",
    "x=1; command read x < f; echo $((x))", "x=1; time read x < f; echo $((x))", "x=1; eval 'read x < f'; echo $((x))",
    "x=1; eval 'x=$(cat f)'; echo $((x))", "x=1; trap 'read x < f' DEBUG; echo $((x))",
    "eval 'read x < f'; x=1; ((x))",
    "x=1; eval $'read \\x78 < f'; echo $((x))", "x=1; unset x; : ${x:=$(cat f)}; echo $((x))",
    "REPLY=1; read < f; echo $((REPLY))", "_=1; : \"$(cat f)\"; echo $((_))",
    "OPTARG=1; getopts a: y; echo $((OPTARG))",
    "f() { read x < f; }; x=1; f; echo $((x))", "x=1; mapfile x < f; echo $((x))",
    "x=1; eval 'for x in *; do :; done'; ((x))",
    "find . -exec env rm {} +", "f() { ls; } > x rm", "(" * 2000 + "ls" + ")" * 2000, "x" * 20_000,
]  # fmt: skip
"""What these would do is not to be told from the line."""

REFUSED_BY_RULE = {
    "python3 -c 'print(1)'": "python3 is not allowed",
    "curl http://x": "curl is not allowed",
    "ls; echo $(nice wget x)": "wget is not allowed (inside $() nice)",
    "./ls": "./ls is not allowed",
    "/tmp/ls": "/tmp/ls is not allowed",
    "../bin/ls": "../bin/ls is not allowed",
    "echo x > /etc/passwd": "> may not be /etc/passwd",
    "echo x > ../out": "> leads up",
    "echo x >> a/../../out": ">> leads up",
    "echo x > $HOME/x": "where > leads is not said",
    "echo x > ~/x": "where > leads is not said",
    "echo x > $(pwd)/x": "where > leads is not said",
    "echo x > *.txt": "where > leads is not said",
    "cat < /etc/shadow": "< may not be /etc/shadow",
    "exec 3<> /dev/tcp/1.2.3.4/80": "",
    "cat < /dev/tcp/1.2.3.4/80": "< is no file",
    "echo x >& /dev/udp/1.2.3.4/80": "is no file",
    "echo x &> /proc/self/mem": "is no file",
    "f() { echo x; } > /etc/x; f": "> may not be /etc/x",
    "find . -fprint /etc/x": "may not be /etc/x",
    "cd /etc && cat passwd": "cd may not be /etc",
    "cd .. && ls": "cd leads up",
    "sh -c 'cat < /etc/shadow'": "< may not be /etc/shadow",
    "rm x": "rm is denied",
    "sh -c 'env rm x'": "rm is denied (inside sh -c env)",
}


@pytest.mark.parametrize("line", FOUND)
def test_every_program_is_found(line: str) -> None:
    parsed = parse(line)
    assert {command.name for command in parsed.commands} == FOUND[line]
    assert parsed.problems == []


@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line[:40])
def test_what_cannot_be_told_is_refused(line: str) -> None:
    assert objections(parse(line), ShellRules(allow=("*",), read=("*", "/*"), write=("*", "/*")))


@pytest.mark.parametrize("line", REFUSED_BY_RULE)
def test_rules_are_asked_of_every_program_and_file(line: str) -> None:
    found = "; ".join(objections(parse(line), ShellRules(deny=("rm",))))
    assert found
    assert REFUSED_BY_RULE[line] in found


@pytest.mark.parametrize("line", [line for line in FOUND if "builtin" not in line])
def test_what_is_ordinary_is_allowed(line: str) -> None:
    assert objections(parse(line), ShellRules(allow=(*ShellRules().allow, "f", "tee"))) == []


def test_the_structure_says_where_everything_is() -> None:
    parsed = parse("A=1 f() { cat < in; }; ls -l \"a b\" $x > out; echo $(rm 'y')")
    assert parsed.problems or parsed.commands
    parsed = parse("B=1; f() { cat < in; }; ls -l \"a b\" $x > out; echo $(rm 'y')")
    cat, ls, rm, echo = parsed.commands
    assert [word.value for word in ls.words] == ["ls", "-l", "a b", None]
    assert (cat.inside, rm.inside, echo.inside) == (("f()",), ("$()",), ())
    assert [(each.kind, each.target.value) for each in parsed.redirections] == [("read", "in"), ("write", "out")]
    assert (parsed.functions, parsed.assignments, parsed.substitutions) == (["f"], ["B"], ["$(rm 'y')"])


STUB = '#!/bin/sh\necho "${0##*/}" >> "$LOG"\n'


async def test_bash_runs_nothing_that_was_not_found(tmp_path: Path) -> None:
    """Every line that was understood is run with programs that only say that they were."""
    stubs, folder = tmp_path / "bin", tmp_path / "work"
    stubs.mkdir()
    folder.mkdir()
    names = {"rm", "tee", "wc", "cut", "tr", "python3", "curl"}
    for name in names:
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    environment = {"PATH": f"{stubs}:/usr/bin:/bin", "LOG": str(tmp_path / "log")}
    ran = 0
    for line in [*FOUND, *REFUSED]:
        parsed = parse(line)
        if parsed.problems or "\0" in line:
            continue
        (tmp_path / "log").write_text("")
        await run_confined(
            ["bash", "--norc", "-c", f"{{ {line}\n}} <<< x"], confinement("namespaces"), folder=folder,
            writable=[tmp_path], environment=environment, limits=Limits(wall=2, output=1000),
        )  # fmt: skip
        really = set((tmp_path / "log").read_text().split())
        assert really <= {command.name for command in parsed.commands}, line
        ran += bool(really)
    assert ran > 35
