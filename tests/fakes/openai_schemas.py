"""What OpenAI documents of its interface for chats, embeddings and moderations, as far as anybody here uses it."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

_TEXT = {"type": "string"}
_PARTS = {
    "type": "array", "minItems": 1,
    "items": {"type": "object", "required": ["type", "text"], "additionalProperties": False,
              "properties": {"type": {"const": "text"}, "text": _TEXT}},
}  # fmt: skip
_CONTENT = {"anyOf": [_TEXT, _PARTS]}
_NAME = {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


_CALL = _object(
    ["id", "type", "function"],
    id=_TEXT, type={"const": "function"}, function=_object(["name", "arguments"], name=_NAME, arguments=_TEXT),
)  # fmt: skip
_MESSAGE = {
    "oneOf": [
        _object(["role", "content"], role={"enum": ["system", "developer", "user"]}, content=_CONTENT, name=_TEXT),
        {
            **_object(["role"], role={"const": "assistant"}, content={"anyOf": [_CONTENT, {"type": "null"}]},
                      tool_calls={"type": "array", "minItems": 1, "items": _CALL}, refusal={}, name=_TEXT),
            "anyOf": [{"required": ["tool_calls"]}, {"properties": {"content": _CONTENT}, "required": ["content"]}],
        },
        _object(["role", "content", "tool_call_id"], role={"const": "tool"}, content=_CONTENT, tool_call_id=_TEXT),
    ]
}  # fmt: skip
_TOOL = _object(
    ["type", "function"],
    type={"const": "function"},
    function=_object(
        ["name"], name=_NAME, description=_TEXT, parameters={"type": "object"}, strict={"type": "boolean"}
    ),
)
_FORMAT = {
    "oneOf": [
        _object(["type"], type={"enum": ["text", "json_object"]}),
        _object(
            ["type", "json_schema"],
            type={"const": "json_schema"},
            json_schema=_object(
                ["name"], name=_NAME, description=_TEXT, schema={"type": "object"}, strict={"type": "boolean"}
            ),
        ),
    ]
}  # fmt: skip
_CHOICE = {
    "oneOf": [
        {"enum": ["none", "auto", "required"]},
        _object(["type", "function"], type={"const": "function"}, function=_object(["name"], name=_NAME)),
    ]
}
_COUNT = {"type": "integer", "minimum": 0}

CHAT = {
    **_object(
        ["model", "messages"],
        model=_TEXT, messages={"type": "array", "minItems": 1, "items": _MESSAGE},
        tools={"type": "array", "minItems": 1, "items": _TOOL}, tool_choice=_CHOICE, response_format=_FORMAT,
        temperature={"type": "number", "minimum": 0, "maximum": 2},
        top_p={"type": "number", "minimum": 0, "maximum": 1},
        max_tokens=_COUNT, max_completion_tokens=_COUNT, seed={"type": "integer"},
        stop={"anyOf": [_TEXT, {"type": "array", "minItems": 1, "maxItems": 4, "items": _TEXT}]},
        stream={"type": "boolean"}, stream_options=_object([], include_usage={"type": "boolean"}),
    ),
    "dependentSchemas": {
        "stream_options": {"properties": {"stream": {"const": True}}, "required": ["stream"]},
        "tool_choice": {"required": ["tools"]},
        "max_tokens": {"not": {"required": ["max_completion_tokens"]}},
    },
}  # fmt: skip
EMBEDDINGS = _object(
    ["model", "input"],
    model=_TEXT, input={"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string", "minLength": 1}},
    encoding_format={"enum": ["float", "base64"]}, dimensions=_COUNT,
)  # fmt: skip
MODERATIONS = _object(["input"], model=_TEXT, input={"type": "array", "minItems": 1, "items": _TEXT})

_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "additionalProperties": False,
    "properties": {
        "prompt_tokens": _COUNT, "completion_tokens": _COUNT, "total_tokens": _COUNT,
        "prompt_tokens_details": _object([], cached_tokens=_COUNT, audio_tokens=_COUNT),
        "completion_tokens_details": _object([], reasoning_tokens=_COUNT, audio_tokens=_COUNT),
    },
}  # fmt: skip
_FINISH = {"enum": ["stop", "length", "tool_calls", "content_filter", "function_call"]}

ANSWER = _object(
    ["id", "object", "created", "model", "choices"],
    id=_TEXT, object={"const": "chat.completion"}, created=_COUNT, model=_TEXT, usage=_USAGE,
    choices={"type": "array", "minItems": 1, "items": _object(
        ["index", "message", "finish_reason"], index=_COUNT, finish_reason=_FINISH, logprobs={"type": "null"},
        message=_object(["role", "content"], role={"const": "assistant"}, content={"type": ["string", "null"]},
                        refusal={"type": ["string", "null"]},
                        tool_calls={"type": "array", "minItems": 1, "items": _CALL}),
    )},
)  # fmt: skip
_DELTA_CALL = _object(
    ["index"],
    index=_COUNT, id=_TEXT, type={"const": "function"}, function=_object([], name=_TEXT, arguments=_TEXT),
)  # fmt: skip
PIECE = _object(
    ["id", "object", "created", "model", "choices"],
    id=_TEXT, object={"const": "chat.completion.chunk"}, created=_COUNT, model=_TEXT,
    usage={"anyOf": [_USAGE, {"type": "null"}]},
    choices={"type": "array", "items": _object(
        ["index", "delta", "finish_reason"], index=_COUNT, finish_reason={"anyOf": [_FINISH, {"type": "null"}]},
        delta=_object([], role={"const": "assistant"}, content={"type": ["string", "null"]},
                      refusal={"type": ["string", "null"]}, tool_calls={"type": "array", "items": _DELTA_CALL}),
    )},
)  # fmt: skip
MODELS = _object(
    ["object", "data"],
    object={"const": "list"},
    data={"type": "array", "items": _object(
        ["id", "object", "created", "owned_by"], id=_TEXT, object={"const": "model"}, created=_COUNT, owned_by=_TEXT
    )},
)  # fmt: skip


def check(schema: Any, value: Any) -> list[str]:
    """All that is wrong with a value, with its place."""
    found: Any = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]
