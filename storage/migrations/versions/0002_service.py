"""Fronts that are kept, profiles, workers, API keys, priorities and retention."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds to what is there; a job from before has its front found again when it is first read."""
    moment = sa.DateTime(timezone=True)
    name = sa.String(255)
    op.add_column("jobs", sa.Column("owner", name, nullable=True))
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("keep", name, nullable=False, server_default="all"))
    op.add_column("jobs", sa.Column("last_error", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("front_rule", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("profile_key", name, nullable=True))
    op.create_index("ix_jobs_state_priority_number", "jobs", ["state", "priority", "number"])
    op.create_index("ix_jobs_owner_state", "jobs", ["owner", "state"])
    op.create_table(
        "front_members",
        sa.Column("job_id", name, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_front_members_job_id_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_front_members"),
    )
    op.create_table(
        "front_steps",
        sa.Column("job_id", name, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("elapsed_s", sa.Double(), nullable=False),
        sa.Column("hypervolume", sa.Double(), nullable=False),
        sa.Column("has_risen", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_front_steps_job_id_jobs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_front_steps"),
    )
    op.create_index(
        "ix_front_steps_job_id_has_risen_number", "front_steps", ["job_id", "has_risen", "number"]
    )
    op.create_table(
        "profiles",
        sa.Column("key", name, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_profiles"),
    )
    op.create_table(
        "workers",
        sa.Column("id", name, nullable=False),
        sa.Column("host", name, nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("offers", sa.JSON(), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("left_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", name, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", name, nullable=False),
        sa.Column("scope", name, nullable=False),
        sa.Column("max_queued", sa.Integer(), nullable=True),
        sa.Column("max_running", sa.Integer(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", name, nullable=False),
        sa.Column("key_id", name, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["api_keys.id"], name="fk_sessions_key_id_api_keys", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
    )
