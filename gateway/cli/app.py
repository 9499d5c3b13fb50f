"""The root command, and what becomes of whatever goes wrong below it: one line, a hint, a stable exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import click

from gateway.cli.tree import PATHS, Group

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells have it."""

BROKEN_PIPE: Final = 141
"""Exit status when the reader went away: 128 + SIGPIPE, silent, as for any tool in a pipe."""

_HELP = """Thespis: agents, workflows and sensors as actors on one append-only log.

Most commands talk to a running instance: the one in --data DIR (default ./.thespis), or the one at --url."""


class Root(Group):
    """`thespis` itself."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; keep an interrupt and a broken pipe from becoming messages."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise click.exceptions.Exit(BROKEN_PIPE) from None
        return 0


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("thespis")
        except PackageNotFoundError:
            number = "(not installed)"
        click.echo(f"thespis {number}")
        ctx.exit()


def root() -> Root:
    """The command tree, fresh."""
    tree = Root(
        "thespis", help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
    )
    tree.params.append(
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
        )
    )
    return tree


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status. Never raises; --debug shows the traceback before the error."""
    tree = root()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    context: dict[str, Any] = {}
    debug = os.environ.get("THESPIS_DEBUG", "").lower() not in ("", "0", "false", "no", "off")
    try:
        if os.environ.get("NO_COLOR"):
            context["color"] = False
        call = cast(Callable[..., int], tree.main)
        debug = debug or "--debug" in arguments
        return call(arguments, prog_name="thespis", standalone_mode=False, **context)
    except click.Abort:
        return INTERRUPTED
    except (BrokenPipeError, KeyboardInterrupt) as error:
        return BROKEN_PIPE if isinstance(error, BrokenPipeError) else INTERRUPTED
    except Exception as error:
        if debug and not isinstance(error, click.UsageError):
            import traceback

            traceback.print_exc()
        return _tell(error, arguments)


def main() -> None:
    """Entry point: run the command line of this process and exit."""
    status = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = BROKEN_PIPE
    if status == BROKEN_PIPE:
        # What is still buffered has nowhere to go, and the interpreter would complain about it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _tell(error: Exception, arguments: Sequence[str]) -> int:
    """Say what is wrong on standard error; return the exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return 2
    if isinstance(error, click.UsageError):
        code, message, hint, status = "usage", *_usage(error, arguments), 2
    elif isinstance(error, click.ClickException):
        code, message, hint, status = "failed", error.format_message(), "", 1
    else:
        code, message, hint, status = _explain(error)
    from gateway.cli.output import printable

    message, hint = printable(" ".join(message.split())), printable(" ".join(hint.split()))
    label = click.style(f"error[{code}]:", fg="red", bold=True)
    try:
        click.echo(f"{label} {message}", err=True, color=_color())
        if hint:
            click.echo(f"{click.style('hint:', bold=True)} {hint}", err=True, color=_color())
    except BrokenPipeError:
        pass
    return status


def _color() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None


def _usage(error: click.UsageError, arguments: Sequence[str]) -> tuple[str, str]:
    path = error.ctx.command_path if error.ctx else _called(arguments)
    close: list[str] = getattr(error, "possibilities", None) or []
    if isinstance(error, click.NoSuchCommand):
        close = [p.removeprefix("thespis ") for p in PATHS if p.split()[-1] == error.command_name] or close
        found = [f"`{path if ' ' not in c else 'thespis'} {c}`" for c in close]
    else:
        found = [f"`{c}`" for c in close]
    message = error.message if close else error.format_message()
    asked = f"`{path} --help` lists what there is"
    return message, f"did you mean {' or '.join(found)}? {asked}" if found else asked


def _called(arguments: Sequence[str]) -> str:
    """The command that was meant: click does not say it of an option that lacks its value."""
    words = [" ".join(arguments[:n]) for n in range(len(arguments), 0, -1)]
    return f"thespis {next((path for path in words if path in PATHS), '')}".rstrip()


def _explain(error: Exception) -> tuple[str, str, str, int]:
    from events.errors import ThespisError
    from gateway.problems import BUG, row
    from gateway.ways import in_terminal

    if isinstance(error, ThespisError):
        found = row(type(error))
        return error.code, error.message, in_terminal(error.hint or found.advice), found.exit
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "system", what, "check the path" if missing else "check who may read and write there", 1
    message = f"{type(error).__name__}: {error}"
    return "internal", message, "this is a bug; --debug shows the traceback, please report it", BUG
