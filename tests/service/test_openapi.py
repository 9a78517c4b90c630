"""The OpenAPI document against the application: whatever fits it is answered as it says, and nothing is a 5xx."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service.app import create_app
from service.settings import Settings
from storage import Database, KeyRing, Scope, Store
from tests.contracts.databases import KINDS, empty_database
from tests.service.conftest import finished_search

EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=KINDS)
def served(request, tmp_path_factory):
    """The application, headers for it, a job that is only read, and one that calls may change.

    On PostgreSQL it is a service that others can reach, so that every call must show a key.
    """
    directory = tmp_path_factory.mktemp("openapi")
    with empty_database(request, directory) as url:
        is_open = request.param != "sqlite"
        settings = Settings(directory, url, workers=0, allowed_hosts=("testserver",), require_key=is_open)
        database = Database(settings.database_url)
        database.upgrade()
        jobs = [finished_search(Store(database), directory) for _ in range(2)]
        app = create_app(settings)
        headers = {}
        if is_open:
            headers["Authorization"] = f"Bearer {KeyRing(database).create('tests', Scope.ADMIN)[1]}"
        yield app, headers, *jobs
        app.state.context.database.close()
        database.close()


@pytest.fixture(scope="module")
def document(served):
    return schemathesis.openapi.from_asgi("/openapi.json", served[0])


def calls():
    unused = Settings(Path("unused"), "sqlite:///unused.db", workers=0)
    for path, methods in create_app(unused).openapi()["paths"].items():
        for method, call in methods.items():
            yield pytest.param(path, method, id=call["operationId"])


# Which names, cursors and numbers of trials there are, the document cannot say: 422 is right for those that fit it.
@pytest.mark.parametrize(("path", "method"), list(calls()))
def test_every_call_answers_as_it_is_documented(document, served, path, method):
    _, headers, read, changed = served
    operation = document[path][method]

    @EXAMPLES
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), st.booleans())
    def answers_what_fits(case, is_about_what_exists):
        if is_about_what_exists and "job_id" in (case.path_parameters or {}):
            case.path_parameters["job_id"] = read if method == "get" else changed
        if is_about_what_exists and isinstance(case.body, dict) and "workload" in case.body:
            case.body |= {"workload": "digits-cnn", "target": "local-cpu"}
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    @EXAMPLES
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def refuses_what_does_not(case):
        case.call_and_validate(headers=headers)

    answers_what_fits()
    if operation.body or operation.query or operation.headers:
        refuses_what_does_not()
