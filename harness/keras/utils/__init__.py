"""keras.utils, under Keras's own name: the random seed, one-hot labels, padded sequences."""

from __future__ import annotations

from harness.keras import config
from harness.keras.backend import clear_session
from harness.keras.encoding import normalize, pad_sequences, to_categorical
from harness.keras.refusals import namespace
from harness.keras.state import set_random_seed

_GIVEN = {
    "clear_session": clear_session, "disable_interactive_logging": config.disable_interactive_logging,
    "enable_interactive_logging": config.enable_interactive_logging,
    "is_interactive_logging_enabled": config.is_interactive_logging_enabled,
    "normalize": normalize, "pad_sequences": pad_sequences,
    "set_random_seed": set_random_seed, "to_categorical": to_categorical,
}
_DATASETS = "Read the files into arrays, or describe them in an experiment (harness run)."
_KNOWN = (
    "CustomObjectScope", "FeatureSpace", "Progbar", "PyDataset", "Sequence", "array_to_img", "custom_object_scope",
    "get_custom_objects", "get_file", "img_to_array", "load_img", "model_to_dot", "plot_model",
    "register_keras_serializable", "save_img", "split_dataset", "text_dataset_from_directory",
    "Config", "bounding_boxes", "deserialize_keras_object", "get_registered_name", "get_registered_object",
    "get_source_inputs", "is_keras_tensor", "legacy", "pack_x_y_sample_weight", "serialize_keras_object",
    "standardize_dtype", "unpack_x_y_sample_weight",
    "image_dataset_from_directory", "timeseries_dataset_from_array", "audio_dataset_from_directory",
)

__getattr__, __dir__ = namespace(
    "keras.utils", _GIVEN, _KNOWN, hint=_DATASETS,
    hints={"plot_model": "model.summary() shows the layers.", "model_to_dot": "model.summary() shows the layers."},
)
