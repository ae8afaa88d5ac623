"""Column types and SQL expressions that several models share."""

from typing import TYPE_CHECKING, Any

from django.db import models

from pgsupervise.partitions.buckets import bucket_of, random_bucket
from pgsupervise.partitions.states import TaskState

if TYPE_CHECKING:  # generic for the type checker only
    _SmallInteger = models.SmallIntegerField[int, int]
    _Char = models.CharField[str, str]
else:
    _SmallInteger, _Char = models.SmallIntegerField, models.CharField


class TransactionNow(models.Func):
    """PostgreSQL's `now()`: the transaction's own time, the only clock that the tables know."""

    template = "now()"
    arity = 0
    output_field = models.DateTimeField()


class ChangedAtField(models.DateTimeField):  # type: ignore[type-arg]  # generic for the type checker only
    """When the row was written last, by the database's clock."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "editable": False, "db_default": TransactionNow()})

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Write the transaction's time, whatever the instance holds."""
        return TransactionNow()


class NumbersField(models.Field):  # type: ignore[type-arg]  # generic for the type checker only
    """Whole numbers, as PostgreSQL's integer[]; Django's own array asks for one app more in INSTALLED_APPS."""

    def db_type(self, connection: object) -> str:
        """Return the column's type."""
        return "integer[]"


class KeyBucket(models.Func):
    """`bucket_of()` as an SQL expression, for the CHECK constraints."""

    template = "get_byte(sha256(convert_to(%(expressions)s, 'UTF8')), 0)"
    arity = 1
    output_field = models.IntegerField()


class BucketField(_SmallInteger):
    """The bucket, filled from another field when a row is created and never changed afterwards.

    `key_field` names the field that decides; an empty value there gives a random bucket.
    """

    def __init__(self, *, key_field: str, **kwargs: Any) -> None:
        self.key_field = key_field
        kwargs["editable"] = False
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        """Tell migrations how to build this field again."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        return name, path, args, {**kwargs, "key_field": self.key_field}

    def pre_save(self, model_instance: models.Model, add: bool) -> int:
        """Compute the bucket of a new row, so that `create` and `bulk_create` agree with the COPY helpers."""
        bucket: int | None = getattr(model_instance, self.attname)
        if add:
            key: str = getattr(model_instance, self.key_field)
            if key:
                bucket = bucket_of(key)
            elif bucket is None:
                bucket = random_bucket()
            setattr(model_instance, self.attname, bucket)
        return bucket  # type: ignore[return-value]  # NOT NULL: only a row that was never added has none


class TaskStateField(_Char):
    """A task's state; a new row with a time of its own is SCHEDULED, as `.enqueue()` makes it.

    Whether that time has come is for the database's clock to say, so the workers promote the row.
    """

    def deconstruct(self) -> Any:
        """Stand in migrations as the plain column it is."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Make a new READY row SCHEDULED where `run_at` was given."""
        if add and getattr(model_instance, self.attname) == TaskState.READY:
            run_at = getattr(model_instance, "run_at", None)
            if not hasattr(run_at, "resolve_expression"):
                setattr(model_instance, self.attname, TaskState.SCHEDULED.value)
        return super().pre_save(model_instance, add)
