"""Mistral, on its own client library: its retries and its logging are off, its answers are read strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from mistralai.client import Mistral as Library
from mistralai.client import errors
from mistralai.client.types import UNSET

from actors.models import tokens
from actors.models.port import Chunk, Embeddings, ModelError, ModelInfo, Moderation
from actors.models.usage import normalised
from events.models import ChatMessage, ModelAnswer, ModelRequest, ToolSpec
from infra.models import faults, mistral_body, openai_body
from infra.models.assembly import Assembly
from infra.models.faults import Secret, nonsense

URL: Final = "https://api.mistral.ai"
PATIENCE: Final = 3_600_000
"""Milliseconds the library waits for bytes: whoever asks has a limit for the whole, far below."""


class _Silent:
    """Where the library may log to: it would log requests with their keys."""

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Nothing."""


class _Strict:
    """The library's HTTP client, but an answer that is not UTF-8 is an error and not text with holes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def build_request(self, *args: Any, **kwargs: Any) -> Any:
        """As the client does."""
        return self._client.build_request(*args, **kwargs)

    async def send(self, request: Any, *args: Any, stream: bool = False, **kwargs: Any) -> Any:
        """As the client does. Raises UnicodeDecodeError."""
        response = await self._client.send(request, *args, stream=stream, **kwargs)
        if response.status_code != 200:
            await response.aread()  # also of a stream, or its reason is lost
        elif not stream:
            response.content.decode("utf-8")
        return response

    async def aclose(self) -> None:
        """As the client does."""
        await self._client.aclose()


class Mistral:
    """The provider. `url` is without `/v1`."""

    name = "mistral"
    priced_as = "mistral"

    def __init__(self, key: str, url: str = "") -> None:
        self._key = Secret(key)
        self.url = (url or URL).rstrip("/")
        self._library: Any = None

    def __repr__(self) -> str:
        return f"Mistral({self.url!r})"

    async def complete(self, model: str, request: ModelRequest) -> ModelAnswer:
        """The whole answer at once. Raises ModelError."""
        assembly = Assembly(self.name, model, request)
        body = mistral_body.chat(model, request, assembly.names)
        with self._faults():
            try:
                mistral_body.take_whole(assembly, await self._client().chat.complete_async(**body))
            except errors.ResponseValidationError as error:
                # It is paid for: what can be read of it is an answer all the same, without its usage for example.
                mistral_body.take_odd(assembly, error.body)
        return assembly.answer()

    async def stream(self, model: str, request: ModelRequest) -> AsyncIterator[Chunk]:
        """The answer piece by piece; the last chunk has it whole. Raises ModelError."""
        assembly = Assembly(self.name, model, request)
        body = mistral_body.chat(model, request, assembly.names)
        with self._faults():
            async with await self._client().chat.stream_async(**body) as events:
                # Its bytes and not its events: the library makes classes anew for every piece, which costs 3 ms each.
                async for chunk in openai_body.take_stream(assembly, events.response.aiter_bytes(), self._key):
                    yield chunk
        if not assembly.finish:
            raise ModelError("network", "the stream ended before the answer did")
        yield Chunk(answer=assembly.answer())

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """Vectors of texts. Raises ModelError."""
        with self._faults():
            found: Any = await self._client().embeddings.create_async(model=model, inputs=list(texts))
        rows = sorted(found.data, key=lambda row: row.index or 0)
        vectors: list[list[float]] = [row.embedding or [] for row in rows]
        if len(vectors) != len(texts) or not all(vectors):
            raise nonsense(f"{len(texts)} texts, {len(vectors)} vectors")
        return Embeddings(vectors, found.model, normalised(found.usage.model_dump(mode="json")))

    def count_tokens(self, model: str, messages: Sequence[ChatMessage], tools: Sequence[Any] = ()) -> int:
        """Tokens of a prompt, estimated (`actors/models/tokens.py`)."""
        return tokens.of_messages(messages) + tokens.of_tools(cast("Sequence[ToolSpec]", tools))

    async def list_models(self) -> list[ModelInfo]:
        """What the account may use. Raises ModelError."""
        with self._faults():
            found: Any = await self._client().models.list_async()
        return [mistral_body.info(card, self.name) for card in found.data or () if hasattr(card, "capabilities")]

    async def moderate(self, model: str, texts: Sequence[str]) -> list[Moderation]:
        """Look at texts for what is harmful. Raises ModelError."""
        with self._faults():
            found: Any = await self._client().classifiers.moderate_async(model=model, inputs=list(texts))
        if len(found.results) != len(texts):
            raise nonsense(f"{len(texts)} texts, {len(found.results)} moderations")
        return [mistral_body.moderation(row) for row in found.results]

    async def close(self) -> None:
        """Let go of connections."""
        library, self._library = self._library, None
        if library is not None:
            await library.__aexit__(None, None, None)
            library.__exit__(None, None, None)

    def _client(self) -> Any:
        if self._library is None:
            self._library = Library(
                api_key=self._key.reveal(), server_url=self.url, retry_config=UNSET, timeout_ms=PATIENCE,
                debug_logger=_Silent(),
            )  # fmt: skip
            settings = self._library.sdk_configuration
            settings.async_client = _Strict(settings.async_client)
        return self._library

    @contextmanager
    def _faults(self) -> Generator[None]:
        """What the library raises, as a ModelError."""
        try:
            yield
        except (ModelError, GeneratorExit):
            raise
        except errors.ResponseValidationError as error:
            raise nonsense(self._key.hidden(f"the answer does not fit its schema: {error.cause}")) from None
        except errors.MistralError as error:
            if error.status_code == 200:
                raise nonsense(self._key.hidden(str(error))) from None
            raise faults.of_status(error.status_code, error.body, dict(error.headers), self._key) from None
        except (AttributeError, KeyError, TypeError, NameError) as error:
            raise nonsense(f"the answer cannot be read: {error!r}") from None
        except Exception as error:
            raise faults.of_wire(error, self._key) from None
