"""Any server with OpenAI's interface for chats: OpenAI, vLLM, Ollama, llama.cpp and many others. On aiohttp.

What they do differently is borne: no `[DONE]`, usage in a piece of its own or not at all, tool uses that all have index
0, arguments that are no text, ids that are missing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import aiohttp
import msgspec

from actors.models import tokens
from actors.models.port import Chunk, Embeddings, ModelError, ModelInfo, Moderation
from actors.models.usage import normalised, says_something
from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec, Usage
from infra.models import faults, openai_body
from infra.models.assembly import Assembly
from infra.models.faults import Secret, nonsense

URL: Final = "https://api.openai.com/v1"
MOST: Final = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed."""


class OpenAI:
    """A provider. `url` is up to and with `/v1`; without a `key` no `Authorization` is sent.

    `priced_as` is whose prices hold: by default those of whoever has that URL.
    """

    def __init__(self, url: str = URL, *, key: str = "", name: str = "openai", priced_as: str = "") -> None:
        self.name = name
        self.url = url.rstrip("/")
        self.priced_as = priced_as or self.url
        self._key = Secret(key)
        self._session: aiohttp.ClientSession | None = None
        self._usage_in_streams = True

    def __repr__(self) -> str:
        return f"OpenAI({self.url!r}, name={self.name!r})"

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """The whole answer at once. Raises ModelError."""
        assembly = Assembly(self.name, model, request)
        body = openai_body.chat(model, request, assembly.names, own=self.url == URL)
        openai_body.take_whole(assembly, await self._post("/chat/completions", body))
        return assembly.answer()

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The answer piece by piece; the last chunk has it whole. Raises ModelError."""
        assembly = Assembly(self.name, model, request)
        body = openai_body.chat(model, request, assembly.names, own=self.url == URL) | {"stream": True}
        asking = self._usage_in_streams
        if asking:
            body |= {"stream_options": {"include_usage": True}}
        try:
            async for chunk in self._pieces(assembly, body):
                yield chunk
        except ModelError as error:
            if not asking or error.kind != "invalid" or "stream_options" not in str(error):
                raise
            self._usage_in_streams = False  # it was refused for that option alone, before anything was done
            del body["stream_options"]
            async for chunk in self._pieces(assembly, body):
                yield chunk
        yield Chunk(answer=assembly.answer())

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Vectors of texts. Raises ModelError."""
        raw = await self._post("/embeddings", {"model": model, "input": list(texts), "encoding_format": "float"})
        try:
            rows = sorted(raw["data"], key=lambda row: row["index"])
            vectors = [msgspec.convert(row["embedding"], list[float], strict=False) for row in rows]
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise nonsense(f"the answer has no vectors: {error!r}") from None
        if len(vectors) != len(texts):
            raise nonsense(f"{len(texts)} texts, {len(vectors)} vectors")
        usage: Any = raw.get("usage")
        estimate = Usage(input=sum(tokens.of_text(text) for text in texts), reported=False)
        return Embeddings(
            vectors, str(raw.get("model") or model), normalised(usage) if says_something(usage) else estimate
        )

    def count_tokens(self, model: str, messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> int:
        """Tokens of a prompt, estimated (`actors/models/tokens.py`)."""
        return tokens.of_messages(messages) + tokens.of_tools(cast("Sequence[ToolSpec]", tools))

    async def list_models(self) -> list[ModelInfo]:
        """What the server has. Raises ModelError."""
        async with self._request("GET", "/models") as response:
            raw = await _json(response)
        try:
            return [
                ModelInfo(str(row["id"]), self.name, int(row.get("max_model_len") or row.get("context_length") or 0))
                for row in raw["data"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise nonsense(f"the list of models is none: {error!r}") from None

    async def moderate(self, model: str, texts: Sequence[str]) -> list[Moderation]:
        """Look at texts for what is harmful. Raises ModelError."""
        raw = await self._post("/moderations", {"model": model, "input": list(texts)})
        try:
            found = [
                Moderation(
                    {name: float(score) for name, score in row["category_scores"].items()},
                    sorted(name for name, flagged in row["categories"].items() if flagged),
                )
                for row in raw["results"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise nonsense(f"the moderation is none: {error!r}") from None
        if len(found) != len(texts):
            raise nonsense(f"{len(texts)} texts, {len(found)} moderations")
        return found

    async def close(self) -> None:
        """Let go of connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _pieces(self, assembly: Assembly, body: dict[str, Any]) -> AsyncIterator[Chunk]:
        async with self._request("POST", "/chat/completions", body) as response:
            if response.content_type != "text/event-stream":
                raise nonsense(f"a stream was asked for, and {response.content_type} came")
            async for chunk in openai_body.take_stream(assembly, response.content.iter_any(), self._key):
                yield chunk
        if not assembly.finish:
            raise ModelError("network", "the stream ended before the answer did")

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._request("POST", path, body) as response:
            return await _json(response)

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        if self._session is None:
            # No limits of time here: whoever asks has one for the whole.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=30.0)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        data = msgspec.json.encode(body) if body is not None else None
        try:
            async with self._session.request(
                method, self.url + path, data=data, headers=headers, allow_redirects=False
            ) as response:
                if response.status != 200:
                    text = (await response.content.read(64 * 1024)).decode(errors="replace")
                    raise faults.of_status(response.status, text, response.headers, self._key)
                yield response
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise faults.of_wire(error, self._key) from None


async def _json(response: aiohttp.ClientResponse) -> dict[str, Any]:
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_chunked(64 * 1024):
        pieces.append(piece)
        size += len(piece)
        if size > MOST:
            raise nonsense(f"the answer is larger than {MOST} bytes")
    try:
        return msgspec.json.decode(b"".join(pieces), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise nonsense(f"the answer is no JSON object: {error}") from None
