"""`thespis policy explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from gateway.cli.find import place_options
from gateway.cli.output import emit, output_option, rows
from gateway.cli.tree import command as thespis_command

if TYPE_CHECKING:
    from actors.tools.policy import Published
    from events.tools import ToolDefinition

RISKS = ("read-local", "read-network", "write-reversible", "write-external", "privileged")


@thespis_command()
@click.argument("tool")
@click.argument("arguments", metavar="[JSON]", default="{}")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False), help="Judge by the policy in this file, not the instance's."
)
@click.option("--agent", default="", help="Who calls; left out, it is a person's own call.")
@click.option("--label", "labels", multiple=True, help="Of an argument (* for all), as to=untrusted/private.")
@click.option("--role", "roles", multiple=True, help="A role that the agent's file names.")
@click.option("--requester", "requesters", multiple=True, help="Who asks, from the person to the agent.")
@click.option("--tenant", default="default", help="The tenant of the call.", show_default=True)
@click.option("--at", help="When, as 2026-11-29T14:00  [default: now]")
@click.option("--risk", type=click.Choice(RISKS), help="Describe the tool here instead of asking an instance.")
@click.option("--decides", multiple=True, help="With --risk: what an argument decides, as to=destination.")
@click.option("--effect-class", default="irreversible", help="With --risk: its effect class.", show_default=True)
@click.option("--via", default="function", help="With --risk: who performs it.", show_default=True)
@click.option("--sandbox", default="", help="With --risk: the level of the sandbox it has.")
@output_option
@place_options
def command(tool: str, arguments: str, output: str, url: str | None, data: str | None, **given: Any) -> None:
    """Say what the policy makes of a call of TOOL, and for every rule why it applies or does not. Nothing is called.

    With --file and --risk no instance is needed. JSON is text, @FILE, or - for standard input.

    Example: thespis policy explain mail.send '{"to": "a@b.c"}' --agent helper --label to=untrusted/private
    """
    import msgspec

    from actors.tools.policy import explain, judge
    from gateway.cli.arguments import json_argument
    from gateway.cli.judging import definition_of, facts, of_file, of_instance, pairs

    values = msgspec.json.decode(json_argument(arguments, "JSON"), type=dict[str, Any])
    policy, definition = _here(tool, given)
    if policy is None or definition is None:
        from gateway.cli.http import Api, call

        async def read(api: Api) -> tuple[Published, ToolDefinition]:
            by = of_file(given["file"]) if given["file"] else await of_instance(api)
            return by, definition or await definition_of(api, tool)

        policy, definition = call(url, data, read)
    asked = facts(
        definition, values, pairs(given["labels"], "label"), agent=given["agent"], roles=list(given["roles"]),
        requesters=list(given["requesters"]), tenant=given["tenant"], at=given["at"],
    )  # fmt: skip
    judged, rules = judge(policy, asked), explain(policy.policy, asked)
    if output != "table":
        emit({"judged": msgspec.to_builtins(judged), "rules": msgspec.to_builtins(rules)}, output)
        return
    click.echo(f"{judged.decision}: {judged.why}{f' ({judged.rule})' if judged.rule else ''}")
    if judged.sandbox:
        click.echo(f"sandbox: {judged.sandbox}")
    lines = [
        {"rule": rule.rule, "decision": rule.decision, "applies": rule.applies, "why not": "; ".join(rule.unmet)}
        for rule in rules
    ]
    rows(lines, ("rule", "decision", "applies", "why not"), output, empty="there are no rules")


def _here(tool: str, given: dict[str, Any]) -> tuple[Published | None, ToolDefinition | None]:
    """What needs no instance: the policy of --file, the tool described by --risk."""
    from events.errors import InvalidData
    from events.tools import ToolDefinition
    from gateway.cli.judging import of_file, pairs

    policy = of_file(given["file"]) if given["file"] else None
    if not given["risk"]:
        return policy, None
    from actors.tools.tool_kind import definition_problem

    definition = ToolDefinition(
        tool, "", {}, cast("str", given["risk"]), given["effect_class"], given["via"],
        pairs(given["decides"], "role of an argument"), sandbox=given["sandbox"],
    )  # fmt: skip
    if problem := definition_problem(definition):
        raise InvalidData(problem)
    return policy, definition
