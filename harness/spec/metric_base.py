"""What all of Keras's metrics have in common, as data (keras/src/metrics/metric.py)."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.spec.configured import Configured, snake_case

Count = Annotated[int, Field(ge=1)]
Threshold = Annotated[float, Field(ge=0, le=1)]


class Metric(Configured):
    """Base of all metrics."""

    keyword_only: ClassVar[frozenset[str]] = frozenset({"name", "dtype"})
    # Whether more is better, as early stopping with mode "auto" wants to know.
    direction: ClassVar[Literal["up", "down"]] = "up"

    name: str | None = None
    dtype: None = Field(default=None, exclude=True)

    @property
    def reported_name(self) -> str:
        return self.name or self.default_name()

    @classmethod
    def default_name(cls) -> str:
        return snake_case(cls.__name__)

    def to_data(self) -> Any:
        # The word for a metric without arguments is the one that names it in the record as well.
        return super().to_data() if self.config() else self.default_name()
