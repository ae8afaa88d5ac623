"""What an error of the database calls for: another connection, another try, or neither."""

import psycopg
import pytest
from psycopg import errors

from pgsupervise.partitions.connection import is_lost, is_passing

LOST: list[type[psycopg.Error]] = [
    psycopg.InterfaceError,
    psycopg.OperationalError,  # from libpq: no SQLSTATE
    errors.ConnectionTimeout,
    errors.ConnectionException,
    errors.ConnectionFailure,
    errors.SqlclientUnableToEstablishSqlconnection,
    errors.ProtocolViolation,  # PgBouncer says so when its server is gone
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
    errors.TransactionTimeout,
    errors.ReadOnlySqlTransaction,
    errors.TooManyConnections,
]
PASSING: list[type[psycopg.Error]] = [
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.TransactionRollback,
    errors.LockNotAvailable,
    errors.QueryCanceled,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.InsufficientResources,
    errors.ConfigurationLimitExceeded,
]
NEITHER: list[type[psycopg.Error]] = [
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
    errors.ObjectInUse,
    errors.ObjectNotInPrerequisiteState,
    errors.DatabaseDropped,
    errors.IoError,
    errors.UndefinedTable,
    errors.UniqueViolation,
    errors.CheckViolation,
    errors.UntranslatableCharacter,
    errors.InternalError_,
    psycopg.DataError,
    psycopg.ProgrammingError,
]


@pytest.mark.parametrize(
    ("error", "lost", "passing"),
    [
        *[(kind, True, False) for kind in LOST],
        *[(kind, False, True) for kind in PASSING],
        *[(kind, False, False) for kind in NEITHER],
    ],
)
def test_an_error_calls_for_another_connection_or_another_try_or_neither(
    error: type[psycopg.Error], lost: bool, passing: bool
) -> None:
    assert (is_lost(error("x")), is_passing(error("x"))) == (lost, passing)


@pytest.mark.parametrize("error", [ConnectionResetError(), ValueError(), KeyboardInterrupt()])
def test_what_is_not_the_databases_is_neither(error: BaseException) -> None:
    assert not is_lost(error)
    assert not is_passing(error)
