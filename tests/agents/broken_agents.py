"""Broken definitions of agents, with everything that is told about them."""

from __future__ import annotations

Row = tuple[int, int, str, str, str]
"""Line, column, pointer, and the beginnings of message and hint."""


def agent(front: str, body: str = "Be kind.\n") -> str:
    """A file of an agent with a name, a model and this."""
    return f"---\nname: ada\nmodel: scripted:files\n{front}\n---\n{body}"


BROKEN: list[tuple[str, list[Row]]] = [
    ("name: ada\n", [(1, 1, "", "the front matter is missing", "begin with a line ---")]),
    ("", [(1, 1, "", "the front matter is missing", "begin with a line ---")]),
    ("---\nname: ada\n", [(1, 1, "", "the front matter does not end", "end it with a line ---")]),
    ("---\n# only this\n\n---\nBe kind.\n", [(1, 1, "", "the front matter is empty", "an agent has a name")]),
    ("---\n- a\n---\nBe kind.\n", [(2, 1, "", "front matter is a map", "")]),
    ("---\nname: [\n---\nBe kind.\n", [(3, 1, "", "did not find expected node content", "is a bracket")]),
    ("---\nmodel: scripted:x\n---\nBe kind.\n", [(2, 1, "", "'name' is missing", "")]),
    ("---\nname: ada\n---\nBe kind.\n", [(2, 1, "", "'model' is missing", "as model: ")]),
    ("---\nname: Ada Lovelace\nmodel: scripted:x\n---\nx\n", [(2, 7, "/name", "'Ada Lovelace' cannot be", "lower")]),
    ("---\nname: ada\nmodel: gpt\n---\nx\n", [(3, 8, "/model", "'gpt' is no model; write provider:model", "")]),
    (
        "---\nname: ada\nmodel: [scripted:a, mistrall:b, scripted:a]\n---\nx\n",
        [
            (3, 21, "/model/1", "no provider of models is called 'mistrall'", "did you mean mistral?"),
            (3, 33, "/model/2", "scripted:a is there twice", ""),
        ],
    ),
    ("---\nname: ada\nmodel: mistral:b\n---\nx\n", [(3, 8, "/model", "none of these models is", "providers")]),
    (agent("tolos: x"), [(4, 1, "/tolos", "unknown key 'tolos'", "did you mean tools?")]),
    (agent("handoff: [ben]"), [(4, 1, "/handoff", "handoff is not supported yet", "it comes later, with handing")]),
    (agent("memory: {}"), [(4, 1, "/memory", "memory is not supported yet", "it comes later, with long-term memory")]),
    (agent("channels: x"), [(4, 1, "/channels", "channels is not supported yet", "it comes later, with chat")]),
    (agent("secrets: {}"), [(4, 1, "/secrets", "secrets is not supported yet", "it comes later, with the vault")]),
    (agent("temperature: 3"), [(4, 14, "/temperature", "at most 2.0 is expected here, not 3", "")]),
    (agent("temperature: hot"), [(4, 14, "/temperature", "a number is expected here, not 'hot'", "")]),
    (agent("stream: yes"), [(4, 9, "/stream", "true or false is expected here", "yes is a text in YAML 1.2")]),
    (
        agent("tools: [files.read, fils.write, web.*, 'a b']"),
        [(4, 40, "/tools/3", "'a b' is no tool; write a name, or a pattern", "")],
    ),
    (
        agent("tools: [files.read, fils.write, web.*]"),
        [
            (4, 21, "/tools/1", "there is no tool 'fils.write'", "did you mean files.write?"),
            (4, 33, "/tools/2", "no tool fits 'web.*'", "known: files.read"),
        ],
    ),
    (agent("agents: ada"), [(4, 9, "/agents", "an agent does not call itself", "")]),
    (
        agent("guardrails: {inbound: encodng, tool-call: [{rule: secrets, mode: blok}]}"),
        [
            (4, 23, "/guardrails/inbound", "there is no guard 'encodng'", "did you mean encoding?"),
            (4, 66, "/guardrails/tool-call/0/mode", "'blok' is none of block, hold", "did you mean block?"),
        ],
    ),
    (agent("guardrails: {outbnd: x}"), [(4, 14, "/guardrails/outbnd", "unknown key 'outbnd'", "did you mean outb")]),
    (
        agent("limits: {steps: 0, timeout: soon, context: 10}"),
        [
            (4, 17, "/limits/steps", "at least 1 is expected here, not 0", ""),
            (4, 29, "/limits/timeout", "'soon' is no duration", ""),
            (4, 44, "/limits/context", "at least 500 is expected here", ""),
        ],
    ),
    (
        agent("budgets: {agent: {usd: 1, perid: day}, cause: -1, world: 3}"),
        [
            (4, 27, "/budgets/agent/perid", "unknown key 'perid'", "did you mean period?"),
            (4, 47, "/budgets/cause", "'-1' is no amount in dollars", ""),
            (4, 51, "/budgets/world", "unknown key 'world'", "known: "),
        ],
    ),
    (agent("double_texting: ignore"), [(4, 17, "/double_texting", "'ignore' is none of enqueue, merge", "")]),
    (agent("summary: modl"), [(4, 10, "/summary", "'modl' is none of extract, model", "did you mean model?")]),
    (agent("output: {type: objct}"), [(4, 16, "/output/type", "not a valid JSON Schema", "")]),
    (agent("output: objct"), [(4, 9, "/output", "'objct' is no type", "did you mean object?")]),
    (agent("files: ../etc"), [(4, 8, "/files", "'../etc' is no folder within the workspace", "")]),
    (
        agent("variables: {tone: strng, a b: string, tenant: string, tenant.n: {type: integer, default: x}}"),
        [
            (4, 19, "/variables/tone", "'strng' is no type", "did you mean string?"),
            (4, 26, "/variables/a b", "'a b' cannot be a name", "letters"),
            (4, 47, "/variables/tenant", "tenant is a scope, and no name of a variable", ""),
            (4, 90, "/variables/tenant.n/default", "the default does not fit its own type", ""),
        ],
    ),
    (
        agent("variables: {key: {secret: true, default: abc}}"),
        [(4, 42, "/variables/key/default", "a secret has no default", "set it by reference")],
    ),
    (agent("description: x", "\n \n"), [(6, 1, "/instructions", "instructions are missing", "write below")]),
    (agent("x-note: 1", "Be {{ tone }}\nor {{ tnoe | uper }}\n"), [
        (6, 7, "/instructions", "there is no variable 'tone'", "declare it"),
        (7, 7, "/instructions", "there is no variable 'tnoe'", "declare it"),
        (7, 14, "/instructions", "there is no filter 'uper'", "did you mean upper?"),
    ]),
    (
        agent("variables: {tone: string, key: {secret: true}}", "{{ tone }} {{ key }} {{ tenant.plan }}\n"),
        [
            (6, 4, "/instructions", "tone may have no value when a turn is taken", "give it a default"),
            (6, 15, "/instructions", "key is a secret, which no model is shown", "take it out"),
            (6, 25, "/instructions", "there is no variable 'tenant.plan'", "known: tone"),
        ],
    ),
    (agent("x-a: 1", "\n\n{{ 1 +\n"), [(8, 1, "/instructions", "unexpected 'end of template'", "write {% raw %}")]),
    (agent("x-a: 1", "{% include 'x' %}\n"), [(6, 1, "/instructions", "macros, blocks and other files", "")]),
    (agent("x-a: 1", "ok\n{{ 'a' * 9 }}{{ range(3) }}\n"), [
        (7, 1, "/instructions", "* cannot be used in instructions", ""),
        (7, 1, "/instructions", "nothing can be called in instructions", "use filters"),
        (7, 17, "/instructions", "there is no variable 'range'", "declare it"),
    ]),
]  # fmt: skip
