"""`thespis completion`."""

from __future__ import annotations

import click

from gateway.cli.tree import command as thespis_command


@thespis_command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    For bash, put into ~/.bashrc:   eval "$(thespis completion bash)"
    For zsh, put into ~/.zshrc:     eval "$(thespis completion zsh)"
    For fish:                       thespis completion fish > ~/.config/fish/completions/thespis.fish
    """
    from click.shell_completion import get_completion_class

    from gateway.cli.app import root

    # bash's own class asks the bash that is installed for its version; the script needs none of that.
    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(root(), {}, "thespis", "_THESPIS_COMPLETE")
    click.echo(complete.source_template % complete.source_vars())
