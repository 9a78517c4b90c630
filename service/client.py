"""A typed client of the HTTP interface; the command line uses it too."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from spaces import RemoteError, digest_bytes

DEFAULT_URL: Final = "http://127.0.0.1:8321"
IN_FLIGHT_S: Final = 0.2
Document = dict[str, Any]


class Client:
    """Calls a Tauten service.

    Args:
        url: of the service, with its path prefix if it has one.
        api_key: where the service needs one; else that of the variable ``TAUTEN_API_KEY``.
        timeout_s: of one call.

    Raises:
        RemoteError: from every call, when the service answers with a problem or not at all; the text is the
            problem's, and `status` its HTTP status.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = 30.0
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=timeout_s, headers=headers_for(api_key))
        self._timeout_s = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes connections."""
        self._http.close()

    def is_ready(self) -> bool:
        """The service answers and can serve."""
        try:
            return self._http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Document:
        """Submits a job; the same key with the same spec answers with the same job.

        While the service answers another request with the key, this one waits for it.
        """
        return self._create("/api/v1/jobs", spec, idempotency_key)

    def retarget(
        self, job: str, target: str, *, idempotency_key: str | None = None, **choice: Any
    ) -> Document:
        """Submits a job that scores the trials of one that has ended on another target, training nothing.

        Args:
            job: that has ended.
            target: to score them on.
            idempotency_key: as for `submit`.
            choice: ``trials`` ("all", "front" or numbers), ``objectives``, ``constraints``, ``priority`` and
                ``keep``.

        Returns:
            The new job, whose trials have the numbers that they had.
        """
        body = {"target": target, **given(choice)}
        return self._create(f"/api/v1/jobs/{job}/retarget", body, idempotency_key)

    def _create(self, path: str, body: Mapping[str, Any], idempotency_key: str | None) -> Document:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                return self._json("POST", path, json=dict(body), headers=headers)
            except RemoteError as error:
                if not (
                    idempotency_key and error.status == HTTPStatus.CONFLICT and time.monotonic() < deadline
                ):
                    raise
                time.sleep(IN_FLIGHT_S)

    def validate(self, spec: Mapping[str, Any]) -> Document:
        """Checks a job without submitting it."""
        return self._json("POST", "/api/v1/jobs/validate", json=dict(spec))

    def job(self, job: str) -> Document:
        """A job."""
        return self._json("GET", f"/api/v1/jobs/{job}")

    def jobs(self, **filters: str | int) -> Iterator[Document]:
        """Jobs, newest first, page by page."""
        yield from self._pages("/api/v1/jobs", filters)

    def cancel(self, job: str) -> Document:
        """Ends a job; what finished stays."""
        return self._json("POST", f"/api/v1/jobs/{job}/cancel")

    def pause(self, job: str) -> Document:
        """Rests a job."""
        return self._json("POST", f"/api/v1/jobs/{job}/pause")

    def resume(self, job: str) -> Document:
        """Takes a paused job up again."""
        return self._json("POST", f"/api/v1/jobs/{job}/resume")

    def raise_budget(self, job: str, trials: int) -> Document:
        """Raises a job's budget."""
        return self._json("PATCH", f"/api/v1/jobs/{job}", json={"budget": {"trials": trials}})

    def delete(self, job: str) -> None:
        """Deletes a job that has ended, with its trials, events and unused artifacts."""
        self._send("DELETE", f"/api/v1/jobs/{job}")

    def trials(self, job: str, **filters: str | int) -> Iterator[Document]:
        """A job's trials by number, page by page."""
        yield from self._pages(f"/api/v1/jobs/{job}/trials", filters)

    def front(self, job: str, **choice: str | float | None) -> Document:
        """A job's front."""
        return self._json("GET", f"/api/v1/jobs/{job}/front", params=given(choice))

    def hypervolume(self, job: str) -> list[Document]:
        """The front's hypervolume over trials."""
        return list(self._pages(f"/api/v1/jobs/{job}/hypervolume", {}))

    def profile(self, job: str) -> Document:
        """The sensitivities and costs that a job's sampler uses."""
        return self._json("GET", f"/api/v1/jobs/{job}/profile")

    def compare(self, job: str, trials: Sequence[int]) -> Document:
        """What distinguishes two to eight trials."""
        return self._json("GET", f"/api/v1/jobs/{job}/compare", params={"trials": ",".join(map(str, trials))})

    def events(self, job: str, after: int = 0) -> list[Document]:
        """What happened to a job after an event's sequence number."""
        items: list[Document] = self._json("GET", f"/api/v1/jobs/{job}/events", params={"after": after})[
            "items"
        ]
        return items

    def recipe(self, job: str, **choice: str | float | None) -> str:
        """A recipe's text."""
        return self._send("GET", f"/api/v1/jobs/{job}/recipe", params=given(choice)).text

    def artifact(self, job: str, trial: int, path: Path) -> None:
        """Downloads a trial's artifact; the file appears whole, and only if its digest is right."""
        response = self._send("GET", f"/api/v1/jobs/{job}/trials/{trial}/artifact")
        announced = response.headers.get("etag", "").strip('"')
        if digest_bytes(response.content) != announced:
            raise RemoteError(f"the artifact of trial {trial} was damaged on its way; try again")
        aside = path.with_name(f".{path.name}.part")
        aside.write_bytes(response.content)
        aside.replace(path)

    def workloads(self) -> list[Document]:
        """Registered workloads."""
        return list(self._pages("/api/v1/workloads", {}))

    def targets(self) -> list[Document]:
        """Hardware targets."""
        return list(self._pages("/api/v1/targets", {}))

    def workers(self) -> list[Document]:
        """Workers, and what each does."""
        return list(self._pages("/api/v1/workers", {}))

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[Document]:
        cursor: str | None = None
        while True:
            page = self._json("GET", path, params=given({**filters, "cursor": cursor}))
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _json(self, method: str, path: str, **request: Any) -> Document:
        document: Document = self._send(method, path, **request).json()
        return document

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise RemoteError(
                f"no service answers at {self.url} ({error}); start one with: tauten serve"
            ) from error
        if response.is_error:
            raise RemoteError(detail_of(response), response.status_code)
        return response


def headers_for(api_key: str | None) -> dict[str, str]:
    """What a key is shown with; without one, that of the variable ``TAUTEN_API_KEY``, if any."""
    key = api_key or os.environ.get("TAUTEN_API_KEY")
    return {"Authorization": f"Bearer {key}"} if key else {}


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that have a value."""
    return {name: value for name, value in parameters.items() if value is not None}


def detail_of(response: httpx.Response) -> str:
    """A problem's text, in one line."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
