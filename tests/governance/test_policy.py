"""Policies: the strictest rule wins, nothing is allowed by silence, and what is wrong with a file is told at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.testing.scenario import given as scenario
from actors.tools.messages import CurrentPolicy, PublishPolicy
from actors.tools.policy import (
    DECISIONS,
    Facts,
    Grant,
    Policy,
    Published,
    Rule,
    When,
    decode_policy,
    encode_policy,
    explain,
    hash_of,
    judge,
)
from actors.tools.policy_default import DEFAULT
from actors.tools.policy_dry_run import dry_run
from actors.tools.policy_file import json_schema, read_policy
from actors.tools.policy_kind import policy as policy_kind
from actors.tools.risk import raised
from actors.tools.tool import RISKS
from actors.workflows.definition.problems import DefinitionInvalid
from events.tools import CallJudged, CallLabelled, CallPinned, CallRequested, ToolDefinition

MONDAY = int(datetime(2026, 11, 30, 12, 0, tzinfo=UTC).timestamp() * 1_000_000)


def facts(risk: str = "read-local", **more: Any) -> Facts:
    definition = ToolDefinition(
        more.pop("tool", "a.tool"), "", {}, risk, more.pop("effect", "irreversible"), more.pop("via", "function"),
        more.pop("decides", {}), annotations=more.pop("annotations", {}), sandbox=more.pop("sandbox", ""),
    )  # fmt: skip
    known = {
        "arguments": {}, "labels": {}, "requesters": ["user:ada", "agent/helper"], "tenant": "default", "at": MONDAY,
        "agent": "agent/helper", "roles": [],
    }  # fmt: skip
    return Facts(definition, **(known | more))


def decided(text: str, given: Facts) -> str:
    policy = read_policy(text)
    return judge(Published(policy, 1, hash_of(policy)), given).decision


ALL = "grants: ['*']\n"


def test_silence_is_no() -> None:
    assert decided("rules: [{id: a, decision: allow}]", facts()) == "deny"
    assert decided(f"{ALL}rules: []", facts()) == "deny"
    assert decided(f"{ALL}rules: [{{id: a, decision: allow}}]", facts()) == "allow"


@given(st.lists(st.sampled_from(DECISIONS), min_size=1, max_size=6), st.randoms())
def test_the_strictest_rule_wins_in_whatever_order_they_stand(decisions: list[str], random: Any) -> None:
    rules = [Rule(f"r{n}", decision) for n, decision in enumerate(decisions)]
    random.shuffle(rules)
    policy = Policy("default", rules, [Grant(["*"])])
    judged = judge(Published(policy, 1, ""), facts())
    assert judged.decision == max(decisions, key=DECISIONS.index)
    assert decode_policy(encode_policy(policy)) == policy


def test_of_those_that_ask_the_one_that_wants_most_wins() -> None:
    rules = [
        Rule("one", "ask", quorum=1), Rule("named", "ask", quorum=2, approvers=["a", "b", "c"]),
        Rule("few", "ask", quorum=2, approvers=["a", "b"]), Rule("two", "ask", quorum=2),
    ]  # fmt: skip
    assert judge(Published(Policy("default", rules, [Grant(["*"])]), 1, ""), facts()).rule == "few"


CONDITIONS: list[tuple[str, Facts, Facts]] = [
    ("tools: 'files.*'", facts(tool="files.read"), facts(tool="file.read")),
    ("risk: [read-local, read-network]", facts("read-network"), facts("privileged")),
    ("effects: pure", facts(effect="pure"), facts()),
    ("via: mcp", facts(via="mcp"), facts()),
    ("agents: 'help*'", facts(), facts(agent="agent/other")),
    ("agents: '-'", facts(agent=""), facts()),
    ("roles: staff", facts(), facts(agent="agent/other", roles=["staff"])),
    ("tenants: 'd*'", facts(), facts(tenant="other")),
    ("requesters: ada", facts(), facts(requesters=["user:bob"])),
    ("requesters: 'agent/*'", facts(), facts(requesters=["user:ada"])),
    (
        "trusted: destination",
        facts(decides={"to": "destination"}, arguments={"to": "x"}, labels={"to": "trusted/private"}),
        facts(decides={"to": "destination"}, arguments={"to": "x"}),
    ),
    (
        "untrusted: [destination, command]",
        facts(decides={"to": "command"}, arguments={"to": "x"}, labels={"to": "untrusted/public"}),
        facts(decides={"to": "body"}, arguments={"to": "x"}, labels={"to": "untrusted/public"}),
    ),
    ("carries: secret", facts(arguments={"a": 1}), facts(arguments={"a": 1}, labels={"a": "untrusted/private"})),
    ("arguments: {path: 'docs/.*'}", facts(arguments={"path": "docs/a"}), facts(arguments={"path": "docs"})),
    ("arguments: {path: 'docs/.*'}", facts(arguments={"path": ["docs/a", "docs/b"]}), facts()),
    (
        "during: {begin: '08:00', end: '18:00', days: [mon, tue]}", facts(),
        facts(at=MONDAY + 86_400_000_000 * 2),
    ),
    (
        "during: {begin: '22:00', end: '06:00', days: mon, zone: Europe/Berlin}",
        facts(at=MONDAY + 14 * 3_600_000_000), facts(at=MONDAY + 18 * 3_600_000_000),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("when", "holds", "fails"), CONDITIONS, ids=[c[0] for c in CONDITIONS])
def test_a_condition_holds_where_it_says(when: str, holds: Facts, fails: Facts) -> None:
    text = f"{ALL}roles: {{staff: [helper]}}\nrules: [{{id: a, decision: allow, when: {{{when}}}}}]"
    assert decided(text, holds) == "allow"
    assert decided(text, fails) == "deny"
    rules = explain(read_policy(text), fails)
    assert [rule.applies for rule in rules] == [False]
    assert all(rules[0].unmet)


def test_a_list_is_allowed_as_a_whole_and_denied_by_a_part() -> None:
    mixed = facts(arguments={"path": ["docs/a", "/etc/passwd"]})
    documents = "{id: a, decision: allow, when: {arguments: {path: 'docs/.*'}}}"
    assert decided(f"{ALL}rules: [{documents}]", mixed) == "deny"
    system = "{id: b, decision: deny, when: {arguments: {path: '/etc.*'}}}"
    assert decided(f"{ALL}rules: [{{id: all, decision: allow}}, {system}]", mixed) == "deny"


@pytest.mark.parametrize("risk", RISKS)
def test_what_others_say_of_their_tools_can_only_raise_the_risk(risk: str) -> None:
    hints: tuple[dict[str, Any], ...] = (
        {}, {"readOnlyHint": True}, {"readOnlyHint": False}, {"destructiveHint": True}, {"openWorldHint": True},
        {"destructiveHint": False}, {"readOnlyHint": "no"}, {"openWorldHint": True, "readOnlyHint": True},
    )  # fmt: skip
    for hint in hints:
        assert RISKS.index(raised(risk, hint)) >= RISKS.index(risk)
    assert raised("read-local", {"destructiveHint": True}) == "write-external"
    text = f"{ALL}rules: [{{id: a, decision: allow, when: {{risk: read-local}}}}]"
    assert decided(text, facts(annotations={"destructiveHint": True})) == "deny"


def test_grants_are_for_whom_they_name() -> None:
    rules = "rules: [{id: a, decision: allow}]"
    staff = "roles: {staff: ['help*', x]}\n"
    text = f"{staff}grants: [{{tools: 'files.*', agents: [helper, y], roles: staff, tenants: default}}]\n{rules}"
    good = {"tool": "files.read"}
    assert decided(text, facts(**good)) == "allow"
    for other in ({"tool": "mail.send"}, {"agent": "agent/x"}, {"agent": "agent/y"}, {"tenant": "t"}, {"agent": ""}):
        assert decided(text, facts(**(good | other))) == "deny"


@pytest.mark.parametrize("by", ["grants: [{tools: '*', roles: admin}]\nrules: [{id: a, decision: allow}]",
                                "grants: ['*']\nrules: [{id: a, decision: allow, when: {roles: admin}}]",
                                "grants: ['*']\nrules: [{id: a, decision: ask, when: {roles: 'adm*'}}]"])  # fmt: skip
def test_an_agent_that_calls_itself_admin_in_its_own_file_is_none(by: str) -> None:
    text = f"roles: {{admin: [root]}}\n{by}"
    assert decided(text, facts(agent="agent/root")) == ("ask" if "ask" in by else "allow")
    assert decided(text, facts(agent="agent/mallory", roles=["admin"])) == "deny"
    with pytest.raises(DefinitionInvalid) as wrong:
        read_policy(by)  # nobody has the role: what is written could never let anything happen
    assert [p.message.startswith("no agent has the role 'adm") for p in wrong.value.problems] == [True]
    assert "roles: {adm" in wrong.value.problems[0].hint


def test_what_an_agent_says_of_itself_can_only_be_held_against_it() -> None:
    text = f"{ALL}rules: [{{id: a, decision: allow}}, {{id: guests, decision: deny, when: {{roles: guest}}}}]"
    assert decided(text, facts()) == "allow"
    assert decided(text, facts(roles=["guest"])) == "deny"


def by_default(given: Facts) -> str:
    return decided(DEFAULT, given)


def one(risk: str, role: str, label: str, **more: Any) -> Facts:
    """A call with one argument."""
    return facts(risk, arguments={"x": "y"}, decides={"x": role}, labels={"x": label}, **more)


MAIL = facts(
    "write-external", arguments={"to": "x", "text": "y"}, decides={"to": "destination"},
    labels={"to": "trusted/private", "text": "untrusted/private"},
)  # fmt: skip


@pytest.mark.parametrize(("expected", "given"), [
    ("allow", one("read-local", "data", "untrusted/secret")),
    ("ask", one("write-reversible", "destination", "untrusted/secret")),
    ("allow", one("read-network", "destination", "trusted/public")),
    ("deny", one("read-network", "destination", "untrusted/public")),
    ("deny", one("read-network", "data", "untrusted/secret")),
    ("ask", MAIL),
    ("deny", one("write-external", "destination", "untrusted/public")),
    ("deny", one("write-external", "body", "trusted/secret")),
    ("ask", one("privileged", "command", "trusted/private", sandbox="landlock")),
    ("deny", one("privileged", "command", "trusted/private")),
    ("deny", one("privileged", "command", "untrusted/public", sandbox="bubblewrap")),
    ("deny", facts("write-external", via="mcp", arguments={"any": "x"}, labels={"any": "untrusted/public"})),
    ("deny", facts("read-local", via="mcp", arguments={"any": "x"}, labels={"any": "untrusted/secret"})),
])  # fmt: skip
def test_the_policy_that_comes_along(expected: str, given: Facts) -> None:
    assert by_default(given) == expected


BROKEN = """\
name: Default
grants: [{agents: helper}]
rules:
  - {id: a, decision: maybe}
  - {id: b, decision: ask, when: {risk: [read-lokal], arguments: {x: "("}, during: {begin: "25:00", zone: Mars}}}
guards: [{name: secrets, mode: shout}]
sandbox: {privileged: tent}
colour: red
"""


def test_everything_that_is_wrong_is_told_at_once_with_its_place() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        read_policy(BROKEN, "p.yaml")
    told = [str(problem) for problem in caught.value.problems]
    places = [(problem.line, problem.pointer) for problem in caught.value.problems]
    assert places == [
        (1, "/name"), (2, "/grants/0"), (4, "/rules/0/decision"), (5, "/rules/1/when/risk/0"),
        (5, "/rules/1/when/arguments/x"), (5, "/rules/1/when/during/begin"), (5, "/rules/1/when/during/zone"),
        (6, "/guards/0/mode"), (7, "/sandbox/privileged"), (8, "/colour"),
    ], told  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [
    ("rules: [{id: a, decision: allow}, {id: a, decision: deny}]", "more than one rule"),
    ("rules: [{id: a, decision: allow, quorum: 2}]", "does not ask"),
    ("rules: [{id: a, decision: ask, quorum: 2, approvers: boss}]", "cannot be reached"),
    ("guards: [injektion]", "did you mean injection"),
    ("[]", "is a map"),
    ("rules: 5", "a list is expected"),
    ("rules: [", "closed"),
])  # fmt: skip
def test_what_is_wrong_beyond_the_form_is_told_too(text: str, said: str) -> None:
    with pytest.raises(DefinitionInvalid, match=said):
        read_policy(text)


def test_the_schema_of_files_takes_the_default_and_names_every_field() -> None:
    import yaml
    from jsonschema import Draft202012Validator

    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(yaml.safe_load(DEFAULT))
    for example in schema["examples"]:
        Draft202012Validator(schema).validate(example)


# -- the actor


def publish(policy: Policy) -> PublishPolicy:
    return PublishPolicy(msgspec.Raw(encode_policy(policy)), hash_of(policy), "text")


def test_versions_are_counted_and_the_same_rules_are_no_new_version() -> None:
    one, two = Policy("default", []), Policy("default", [Rule("a", "allow")])
    kit = scenario(policy_kind, address="policy/default")
    kit.when(CurrentPolicy()).refused("not-found")
    kit.when(publish(one)).replied({"name": "default", "version": 1, "hash": hash_of(one), "published": True})
    kit.when(publish(one)).replied({"name": "default", "version": 1, "hash": hash_of(one), "published": False})
    kit.when(publish(two)).replied({"name": "default", "version": 2, "hash": hash_of(two), "published": True})
    kit.when(CurrentPolicy(hash_of(two))).replied({"name": "default", "version": 2, "hash": hash_of(two)})
    kit.when(publish(one)).replied({"name": "default", "version": 3, "hash": hash_of(one), "published": True})


def test_a_host_says_whose_rules_it_publishes_and_a_person_only_their_own() -> None:
    rules = msgspec.structs.replace(publish(Policy("default", [])), by="user:boss")
    for mallory in ("user:mallory", "nats:host/1", "spool:default"):
        scenario(policy_kind, address="policy/default").when(rules, sender=mallory).refused("speaker")
    kit = scenario(policy_kind, address="policy/default").when(rules, sender="workspace")
    assert kit.state.versions["1"].by == "user:boss"
    kit = scenario(policy_kind, address="policy/default").when(rules, sender="user:boss")
    assert kit.state.versions["1"].by == "user:boss"


@pytest.mark.parametrize("policy", [
    Policy("other", []),
    Policy("default", [Rule("a", "perhaps")]),
    Policy("default", [Rule("a", "deny", When(arguments={"x": "("}))]),
    Policy("default", [Rule("a", "deny"), Rule("a", "allow")]),
    Policy("default", [], sandbox={"privileged": "tent"}),
    Policy("default", [], guards=[{"name": "nobody"}]),
    Policy("default", [Rule("a", "deny", When(carries="lots"))]),
])  # fmt: skip
def test_rules_that_could_not_be_judged_by_are_refused(policy: Policy) -> None:
    scenario(policy_kind, address="policy/default").when(publish(policy)).refused()


# -- dry run


def test_a_dry_run_lists_what_would_go_otherwise() -> None:
    definition = ToolDefinition("mail.send", "", {}, "write-external", "irreversible", roles={"to": "destination"})
    events: list[tuple[str, str, Any]] = []
    for n, label in enumerate(["trusted/private", "untrusted/private"]):
        stream = f"call/{n}"
        events += [
            ("default", stream, CallRequested("mail.send", "{}", ["user:ada"], "", MONDAY, agent="agent/helper")),
            ("default", stream, CallPinned("h", definition, {"to": "x"}, "d")),
            ("default", stream, CallLabelled({"to": label}, label)),
            ("default", stream, CallJudged("default", 1, "h", "ask", "all", "")),
        ]
    events.append(("default", "call/9", CallRequested("mail.send", "{}", ["user:ada"], "", MONDAY)))
    policy = read_policy(DEFAULT)
    done = dry_run(Published(policy, 0, ""), events)
    assert (done.judged, done.same) == (2, 1)
    assert [(d.call, d.before, d.after, d.rule) for d in done.differences] == [
        ("call/1", "ask 1", "deny", "untrusted-target")
    ]
    shuffled = dry_run(Published(policy, 0, ""), events[::-1])
    assert (shuffled.judged, shuffled.same) == (2, 1)
