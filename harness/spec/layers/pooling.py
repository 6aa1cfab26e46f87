"""Pooling layers (keras/src/layers/pooling)."""

from typing import Any, ClassVar

from pydantic import field_validator

from harness.spec.layers.base import Layer, MaskRule, Shape, known, require_rank
from harness.spec.layers.spatial import (
    SPACE,
    DataFormat,
    Padding,
    Size1,
    Size2,
    Size3,
    Sizes,
    either_layout,
    sizes_validator,
    window_shape,
)


class _Pooling(Layer):
    """What the windowed poolings share; strides=None means pool_size, as in Keras."""

    @field_validator("strides", mode="before", check_fields=False)
    @classmethod
    def _unify_strides(cls, value: Any, info: Any) -> Any:
        # Strides that say what None says become None: equal layers have equal digests.
        pool_size = info.data.get("pool_size")
        if value is None or pool_size is None:
            return value
        strides = sizes_validator(len(pool_size))(value)
        return None if strides == pool_size else strides

    @property
    def effective_strides(self) -> Sizes:
        """The strides, given or not."""
        a: Any = self
        strides: Sizes = a.strides or a.pool_size
        return strides

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        return window_shape(self, shapes[0], shapes[0][-1], a.pool_size, self.effective_strides, a.padding)


class MaxPooling1D(_Pooling):
    """The maximum of each window of steps."""

    pool_size: Size1 = (2,)
    strides: Size1 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class MaxPooling2D(_Pooling):
    """The maximum of each window of pixels."""

    pool_size: Size2 = (2, 2)
    strides: Size2 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class MaxPooling3D(_Pooling):
    """The maximum of each window of voxels."""

    pool_size: Size3 = (2, 2, 2)
    strides: Size3 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class AveragePooling1D(_Pooling):
    """The mean of each window of steps; padding does not count."""

    pool_size: Size1 = (2,)
    strides: Size1 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class AveragePooling2D(_Pooling):
    """The mean of each window of pixels; padding does not count."""

    pool_size: Size2 = (2, 2)
    strides: Size2 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class AveragePooling3D(_Pooling):
    """The mean of each window of voxels; padding does not count."""

    pool_size: Size3 = (2, 2, 2)
    strides: Size3 | None = None
    padding: Padding = "valid"
    data_format: DataFormat = "channels_last"


class _GlobalPooling(Layer):
    """One value per channel. keepdims: the pooled dimensions stay, with size 1."""

    rank: ClassVar[int] = 3

    data_format: DataFormat = "channels_last"
    keepdims: bool = False

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        require_rank(self, shape, self.rank, f"(batch, {', '.join(SPACE[self.rank - 2])}, channels)")
        return (shape[0], *(1,) * (self.rank - 2), shape[-1]) if self.keepdims else (shape[0], shape[-1])


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the steps; masked steps do not count."""

    mask_rule: ClassVar[MaskRule] = "own"

    @property
    def ends_masks(self) -> bool:
        return True


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean over height and width."""

    rank: ClassVar[int] = 4


class GlobalMaxPooling1D(_GlobalPooling):
    """The maximum over the steps; a mask is ignored, as in Keras."""


class GlobalMaxPooling2D(_GlobalPooling):
    """The maximum over height and width."""

    rank: ClassVar[int] = 4


class GlobalAveragePooling3D(_GlobalPooling):
    """The mean over depth, height and width."""

    rank: ClassVar[int] = 5


class GlobalMaxPooling3D(_GlobalPooling):
    """The maximum over depth, height and width."""

    rank: ClassVar[int] = 5


class _AdaptivePooling(Layer):
    """As many windows as output_size says: window i of n over a dimension of s places covers those from
    floor(i * s / n) to ceil((i + 1) * s / n)."""

    @either_layout
    def compute_output_shape(self, *shapes: Shape) -> Shape:
        a: Any = self
        (shape,) = shapes
        names = SPACE[len(a.output_size)]
        require_rank(self, shape, len(names) + 2, f"(batch, {', '.join(names)}, channels)")
        for name, size in zip(names, shape[1:-1], strict=True):
            known(size, self, f"the {name}")
        return (shape[0], *a.output_size, shape[-1])


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """The mean of each of output_size windows of steps."""

    output_size: Size1
    data_format: DataFormat = "channels_last"


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """The mean of each of output_size windows of pixels."""

    output_size: Size2
    data_format: DataFormat = "channels_last"


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """The mean of each of output_size windows of voxels."""

    output_size: Size3
    data_format: DataFormat = "channels_last"


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """The maximum of each of output_size windows of steps."""

    output_size: Size1
    data_format: DataFormat = "channels_last"


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """The maximum of each of output_size windows of pixels."""

    output_size: Size2
    data_format: DataFormat = "channels_last"


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """The maximum of each of output_size windows of voxels."""

    output_size: Size3
    data_format: DataFormat = "channels_last"


LAYERS = (
    MaxPooling1D, MaxPooling2D, MaxPooling3D, AveragePooling1D, AveragePooling2D, AveragePooling3D,
    GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D,
    GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D,
    AdaptiveAveragePooling1D, AdaptiveAveragePooling2D, AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D, AdaptiveMaxPooling2D, AdaptiveMaxPooling3D,
)
