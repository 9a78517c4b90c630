"""Every released schema goes forward with the data that it holds."""

import json
from pathlib import Path

from alembic import command
from sqlalchemy import text

from search.job import Keep
from storage import Database, Results, Store, schema
from tests.contracts.samples import SPEC, finished

JOB = {
    "id": "0123456789abcdef",
    "submitted": "sha256:0",
    "workload": SPEC.workload,
    "target": SPEC.target,
    "spec": json.dumps(SPEC.to_dict()),
    "state": "succeeded",
    "attempt": 1,
    "progress": json.dumps(
        {"trials": {"done": 1, "total": 3}, "hypervolume": 0.1, "elapsed_s": 1.0, "expected_s": None}
    ),
    "reference": "{}",
    "created_at": "2026-01-01 00:00:00.000000+00:00",
    "fence": 1,
    "fruitless": 0,
    "last_event": 1,
}


def insert(connection, table, row):
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def test_a_database_of_the_first_schema_keeps_its_jobs_and_finds_their_fronts(database_url):
    database = Database(database_url)
    if database_url.startswith("sqlite"):
        schema.create_file(Path(database_url.removeprefix("sqlite:///")), timeout_s=5)
    trial = finished(0)
    metrics = {
        name: {"value": 1.0, "unit": unit, "method": "measured"}
        for name, unit in (("accuracy", "fraction"), ("latency_ms", "ms"), ("size_bytes", "byte"))
    }
    with database._transaction(writing=True) as connection:
        settings = schema.config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        insert(connection, "jobs", JOB)
        insert(
            connection,
            "trials",
            {
                "job_id": JOB["id"],
                "number": 0,
                "state": "completed",
                "origin": "tpe",
                "fidelity": 1.0,
                "seconds": 2.0,
                "policy_digest": trial.policy.digest,
                "policy": json.dumps(trial.policy.to_dict()),
                "point": "{}",
                "sampler_state": "{}",
                "metrics": json.dumps(metrics),
                "executed_as": "{}",
                "violates": "{}",
            },
        )
    database.upgrade()
    database.check()
    job = Store(database).job(JOB["id"])
    assert (job.state, job.keep, job.priority, job.last_error) == ("succeeded", Keep.ALL, 0, None)
    results = Results(database)
    assert [member.number for member in results.standing(job.id).trials] == [0]
    assert [step["trial"] for step in results.steps(job.id)] == [0]
    assert results.page(job.id).items[0]["policy_digest"] == trial.policy.digest
    database.close()
