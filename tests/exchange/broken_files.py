"""Broken and hostile files of Keras models, each made from a good one: name -> function (folder) -> path.

Every one must end in a SpecError, without code run, in bounded time and memory. `CANARY` in the folder is the file that
code in one of them would make.
"""

import copy
import io
import json
import pickle
import stat
import struct
import warnings
import zipfile

import h5py
import numpy as np

CANARY = "canary"
WEIGHTS = "model.weights.h5"
WORDS = {}


def broken(words):
    """words: what the message must say."""
    def register(function):
        WORDS[function.__name__] = (function, words)
        return function
    return register


def serialized(class_name, config, module="keras.layers", **more):
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None, **more}


def tensor(layer, shape):
    return {"class_name": "__keras_tensor__",
            "config": {"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]}}


def dense(name, units, reads, width):
    return serialized("Dense", {"name": name, "trainable": True, "units": units}, name=name,
                      inbound_nodes=[{"args": [tensor(reads, [None, width])], "kwargs": {}}])


def good_config():
    """Two Dense layers, 3 -> 4 -> 2."""
    start = serialized("InputLayer", {"batch_shape": [None, 3], "dtype": "float32", "name": "x"}, name="x",
                       inbound_nodes=[])
    return serialized("Functional", {
        "name": "good", "trainable": True, "layers": [start, dense("a", 4, "x", 3), dense("b", 2, "a", 4)],
        "input_layers": [["x", 0, 0]], "output_layers": [["b", 0, 0]],
    }, module="keras.src.models.functional")


def good_arrays():
    rng = np.random.default_rng(0)
    return {"layers/dense/vars/0": rng.normal(size=(3, 4)), "layers/dense/vars/1": rng.normal(size=4),
            "layers/dense_1/vars/0": rng.normal(size=(4, 2)), "layers/dense_1/vars/1": rng.normal(size=2)}


def hdf5(arrays):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for path, array in arrays.items():
            file[path] = array
    return buffer.getvalue()


def changed(change):
    """The good config after `change(its inner config)`."""
    config = good_config()
    change(config["config"])
    return config


def archive(folder, config=None, weights=None, members=(), name="model.keras"):
    """A .keras file; config and weights: the good ones where None, left out where False."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as file:
        if config is not False:
            config = good_config() if config is None else config
            file.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        file.writestr("metadata.json", "{}")
        if weights is not False:
            file.writestr(WEIGHTS, hdf5(good_arrays()) if weights is None else weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about two members of one name
            for member, data in members:
                file.writestr(member, data)
    return path


class Bomb:
    """Unpickled, it makes the canary."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


# What is no archive, or a broken one.

@broken("may be truncated")
def truncated(folder):
    path = archive(folder)
    path.write_bytes(path.read_bytes()[:-200])
    return path


@broken("empty")
def empty(folder):
    path = folder / "model.keras"
    path.touch()
    return path


@broken("folder")
def a_folder(folder):
    path = folder / "model.keras"
    path.mkdir()
    return path


@broken("pickle")
def a_pickle(folder):
    path = folder / "model.keras"
    path.write_bytes(pickle.dumps(Bomb(folder / CANARY)))
    return path


@broken("neither")
def noise(folder):
    path = folder / "model.keras"
    path.write_bytes(np.random.default_rng(0).bytes(4000))
    return path


@broken("checksum")
def flipped_bits(folder):
    path = archive(folder)
    data = bytearray(path.read_bytes())
    place = data.find(np.float64(good_arrays()["layers/dense/vars/0"][0, 0]).tobytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    return path


@broken("leaves the folder")
def zip_slip(folder):
    return archive(folder, members=[(f"../{CANARY}", "x")])


@broken("leaves the folder")
def absolute_name(folder):
    return archive(folder, members=[(str(folder / CANARY), "x")])


@broken("name that is none")
def windows_name(folder):
    return archive(folder, members=[("assets\\..\\..\\" + CANARY, "x")])


@broken("is a link")
def symbolic_link(folder):
    link = zipfile.ZipInfo("assets")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return archive(folder, members=[(link, str(folder))])


@broken("2 times")
def doubled_member(folder):
    return archive(folder, members=[("config.json", json.dumps(good_config()))])


@broken("bomb")
def decompression_bomb(folder):
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(good_config()))
        file.writestr(WEIGHTS, bytes(100 * 2**20))
    return path


@broken("no readable .keras archive")
def lying_size(folder):
    """A member that says that it is small, and is not."""
    path = folder / "model.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b" " * (20 * 2**20))
    data = path.read_bytes()
    for place in (data.find(struct.pack("<I", 20 * 2**20)), data.rfind(struct.pack("<I", 20 * 2**20))):
        data = data[:place] + struct.pack("<I", 2**20) + data[place + 4:]
    path.write_bytes(data)
    return path


@broken("no config.json")
def no_config(folder):
    return archive(folder, config=False)


@broken("no model.weights.h5")
def no_weights(folder):
    return archive(folder, weights=False)


# The config.

@broken("no valid JSON")
def invalid_json(folder):
    return archive(folder, config='{"class_name": "Functional", ')


@broken("no valid JSON")
def no_text(folder):
    return archive(folder, config=b"\xff\xfe\x00")


@broken("deep")
def deep_nesting(folder):
    return archive(folder, config="[" * 500_000 + "]" * 500_000)


@broken("deep")
def deep_config(folder):
    config = good_config()
    inner = {}
    for _ in range(400):
        inner = {"class_name": "L2", "config": inner}
    config["config"]["layers"][1]["config"]["kernel_regularizer"] = inner
    return archive(folder, config=config)


@broken("NaN")
def not_a_number(folder):
    return archive(folder, config=json.dumps(good_config()).replace('"units": 4', '"units": NaN'))


@broken("units")
def negative_units(folder):
    return archive(folder, config=changed(lambda c: c["layers"][1]["config"].update(units=-4)))


@broken("shape")
def negative_size(folder):
    return archive(folder, config=changed(lambda c: c["layers"][0]["config"].update(batch_shape=[None, -3])))


@broken("no Keras model")
def another_json(folder):
    return archive(folder, config={"layers": []})


@broken("model class of its own")
def subclassed_model(folder):
    return archive(folder, config={**good_config(), "class_name": "MyModel", "module": "__main__"})


@broken("class of its own")
def unknown_class(folder):
    return archive(folder, config=changed(lambda c: c["layers"][1].update(class_name="Evil", module="os")))


@broken("class of its own")
def borrowed_name(folder):
    """A class of the user's that is called as one of Keras's."""
    return archive(folder, config=changed(lambda c: c["layers"][1].update(module="mine", registered_name="Mine>Dense")))


@broken("Python code")
def code_in_a_lambda(folder):
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAAAAAAAAIAAAADAAAA", "defaults": None}}
    layer = {"class_name": "Lambda", "config": {"name": "a", "function": code}}
    return archive(folder, config=changed(lambda c: c["layers"][1].update(layer)))


@broken("Python code")
def code_in_an_activation(folder):
    code = {"module": "builtins", "class_name": "__lambda__", "config": {"value": "4wEAAAA="}, "registered_name": None}
    return archive(folder, config=changed(lambda c: c["layers"][1]["config"].update(activation=code)))


@broken("function of its own")
def function_of_a_module(folder):
    code = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    return archive(folder, config=changed(lambda c: c["layers"][1]["config"].update(activation=code)))


@broken("cycle")
def layers_in_a_circle(folder):
    reads = [{"args": [tensor("b", [None, 4])], "kwargs": {}}]
    return archive(folder, config=changed(lambda c: c["layers"][1].update(inbound_nodes=reads)))


@broken("no layer 'nowhere'")
def reads_from_nowhere(folder):
    reads = [{"args": [tensor("nowhere", [None, 3])], "kwargs": {}}]
    return archive(folder, config=changed(lambda c: c["layers"][1].update(inbound_nodes=reads)))


@broken("call 7")
def reads_a_call_that_is_none(folder):
    return archive(folder, config=changed(lambda c: c.update(output_layers=[["b", 7, 0]])))


@broken("two layers are named")
def doubled_name(folder):
    return archive(folder, config=changed(lambda c: c["layers"].append(copy.deepcopy(c["layers"][1]))))


@broken("calls of layers")
def calls_without_end(folder):
    """20 models, each of which calls the next twice: a million calls."""
    inner = good_config()
    inner["config"]["layers"][2]["config"]["units"] = 3
    for depth in range(20):
        start = copy.deepcopy(inner["config"]["layers"][0])
        reads = [{"args": [tensor("x", [None, 3])], "kwargs": {}},
                 {"args": [tensor("inner", [None, 3])], "kwargs": {}}]
        inner = serialized("Functional", {
            "name": f"level_{depth}", "trainable": True,
            "layers": [start, {**inner, "name": "inner", "inbound_nodes": reads}],
            "input_layers": [["x", 0, 0]], "output_layers": [["inner", 2, 0]],
        }, module="keras.src.models.functional")
    return archive(folder, config=inner)


@broken("the models inside each other")
def models_without_end(folder):
    """20 models, each of which holds the next twice, the second time by a mark alone, and calls it once."""
    inner = good_config()
    inner["config"]["layers"][2]["config"]["units"] = 3
    for depth in range(20):
        start = copy.deepcopy(inner["config"]["layers"][0])
        first = {**inner, "name": "first", "shared_object_id": depth,
                 "inbound_nodes": [{"args": [tensor("x", [None, 3])], "kwargs": {}}]}
        second = serialized("Functional", {"name": "second"}, name="second", inbound_nodes=[], shared_object_id=depth)
        inner = serialized("Functional", {
            "name": f"level_{depth}", "trainable": True, "layers": [start, first, second],
            "input_layers": [["x", 0, 0]], "output_layers": [["first", 1, 0]],
        }, module="keras.src.models.functional")
    return archive(folder, config=inner)


@broken("the file has")
def huge_shapes(folder):
    def change(config):
        config["layers"][1]["config"]["units"] = config["layers"][2]["config"]["units"] = 10**9
    return archive(folder, config=changed(change))


# The weights.

@broken("missing: a/kernel")
def missing_weights(folder):
    arrays = {path: array for path, array in good_arrays().items() if not path.startswith("layers/dense/")}
    return archive(folder, weights=hdf5(arrays))


@broken("not in the model: layers/dense_2/vars/0")
def extra_weights(folder):
    return archive(folder, weights=hdf5({**good_arrays(), "layers/dense_2/vars/0": np.zeros(3)}))


@broken("misfitting: a/kernel")
def wrong_shape(folder):
    return archive(folder, weights=hdf5({**good_arrays(), "layers/dense/vars/0": np.zeros((4, 3))}))


@broken("expected numbers")
def text_for_numbers(folder):
    return archive(folder, weights=hdf5({**good_arrays(), "layers/dense/vars/1": np.array([b"a"] * 4)}))


@broken("not in the model")
def pickle_for_numbers(folder):
    data = np.void(pickle.dumps(Bomb(folder / CANARY)))
    return archive(folder, weights=hdf5({**good_arrays(), "layers/dense/vars/2": data}))


@broken("no readable HDF5")
def weights_are_noise(folder):
    return archive(folder, weights=b"no HDF5 at all" * 100)


@broken("no readable HDF5")
def truncated_weights(folder):
    return archive(folder, weights=hdf5(good_arrays())[:1500])


def _edited(change):
    buffer = io.BytesIO(hdf5(good_arrays()))
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


@broken("link")
def external_link(folder):
    (folder / "secret.h5").write_bytes(hdf5({"a": np.zeros((3, 4))}))

    def change(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(folder / "secret.h5"), "/a")
    return archive(folder, weights=_edited(change))


@broken("link")
def soft_link(folder):
    def change(file):
        del file["layers/dense_1/vars/0"]
        file["layers/dense_1/vars/0"] = h5py.SoftLink("/layers/dense/vars/0")
    return archive(folder, weights=_edited(change))


@broken("another file")
def external_storage(folder):
    (folder / "secret.bin").write_bytes(bytes(96))

    def change(file):
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (3, 4), "f8", external=[(str(folder / "secret.bin"), 0, 96)])
    return archive(folder, weights=_edited(change))


@broken("another file")
def virtual_dataset(folder):
    def change(file):
        del file["layers/dense/vars/0"]
        layout = h5py.VirtualLayout((3, 4), "f8")
        layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", (3, 4))
        file["layers/dense/vars"].create_virtual_dataset("0", layout)
    return archive(folder, weights=_edited(change))


@broken("the file holds")
def nothing_behind_a_shape(folder):
    """The config and the dataset agree on 8 GB; the file has none of them."""
    config = changed(lambda c: c["layers"][1]["config"].update(units=1000))
    config["config"]["layers"][2]["inbound_nodes"][0]["args"] = [tensor("a", [None, 1000])]
    arrays = good_arrays()
    arrays["layers/dense_1/vars/0"], arrays["layers/dense/vars/1"] = np.zeros((1000, 2)), np.zeros(1000)

    def change(file):
        for path, array in arrays.items():
            if path in file:
                del file[path]
            if path != "layers/dense/vars/0":
                file[path] = array
        file["layers/dense/vars"].create_dataset("0", (3, 1000), "f8")  # never written
    return archive(folder, config=config, weights=_edited(change))


@broken("more than once")
def groups_in_a_circle(folder):
    def change(file):
        file["layers/dense/again"] = file["layers"]
    return archive(folder, weights=_edited(change))


# Vocabularies of adapted layers.

VOCABULARY = "assets/layers/text_vectorization/vocabulary.txt"


def with_lookup(folder, vocabulary, class_name="TextVectorization", name=VOCABULARY, **more):
    """Text or numbers, looked up and read by a Dense layer; vocabulary: the asset's bytes, none where None."""
    start = serialized("InputLayer", {"batch_shape": [None, 1], "dtype": "string", "name": "x"}, name="x",
                       inbound_nodes=[])
    lookup = serialized(class_name, {"name": "lookup", "output_mode": "multi_hot", "vocabulary": None, **more},
                        name="lookup", inbound_nodes=[{"args": [tensor("x", [None, 1])], "kwargs": {}}])
    config = serialized("Functional", {
        "name": "text", "trainable": True, "layers": [start, lookup, dense("a", 2, "lookup", 4)],
        "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]],
    }, module="keras.src.models.functional")
    arrays = {"layers/dense/vars/0": np.ones((4, 2)), "layers/dense/vars/1": np.ones(2)}
    members = [] if vocabulary is None else [(name, vocabulary)]
    return archive(folder, config=config, weights=hdf5(arrays), members=members)


@broken("its vocabulary is missing")
def no_vocabulary(folder):
    return with_lookup(folder, None)


@broken("its vocabulary is missing")
def vocabulary_of_another_layer(folder):
    return with_lookup(folder, b"a\nb\nc", name="assets/layers/text_vectorization_1/vocabulary.txt")


@broken("its vocabulary is empty")
def vocabulary_of_a_layer_that_was_never_adapted(folder):
    return with_lookup(folder, b"[UNK]")


@broken("no UTF-8")
def vocabulary_that_is_no_text(folder):
    return with_lookup(folder, b"a\n\xff\xfe\nb")


@broken("too many tokens")
def vocabulary_without_end(folder):
    return with_lookup(folder, b"a\n" * 1_100_000)


@broken("more than 33,554,432")
def huge_vocabulary(folder):
    return with_lookup(folder, bytes(33 * 2**20))


@broken("more than once")
def repeated_tokens(folder):
    return with_lookup(folder, "\n".join([*map(str, range(200_000)), "199999"]))


@broken("expected whole numbers")
def words_for_whole_numbers(folder):
    return with_lookup(folder, b"1\n2_0\n3", "IntegerLookup", "assets/layers/integer_lookup/vocabulary.txt")


@broken("misfitting: a/kernel")
def vocabulary_of_another_size(folder):
    return with_lookup(folder, b"[UNK]\na\nb\nc\nd")


@broken("missing: lookup/idf_weights")
def no_document_frequencies(folder):
    return with_lookup(folder, b"[UNK]\na\nb\nc", output_mode="tf_idf")


@broken("no readable .keras archive")
def damaged_vocabulary(folder):
    path = with_lookup(folder, b"[UNK]\nalpha\nbeta\ngamma")
    path.write_bytes(path.read_bytes().replace(b"alpha", b"alphb"))
    return path


# Legacy files and configs.

@broken("without the model")
def weights_alone(folder):
    path = folder / "model.weights.h5"
    path.write_bytes(hdf5(good_arrays()))
    return path


@broken("no weights in the file")
def legacy_without_weights(folder):
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(good_config())
    return path


@broken("Python code")
def legacy_lambda(folder):
    """Keras 2 marshals the code of a Lambda into the config."""
    code = {"class_name": "Lambda", "config": {"name": "a", "trainable": True, "dtype": "float32",
            "function": {"class_name": "__tuple__", "items": ["4wEAAAA=\n", None, None]}, "function_type": "lambda"}}
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(changed(lambda c: c["layers"][1].update(code)))
    return path


@broken("the layer 'a' has 2 weights in the model and 1")
def legacy_with_too_few(folder):
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(good_config())
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"x", b"a", b"b"]
        for name, weights in (("x", []), ("a", ["kernel"]), ("b", ["kernel", "bias"])):
            group.create_group(name).attrs["weight_names"] = [f"{name}/{weight}".encode() for weight in weights]
    return path


@broken("no valid JSON")
def broken_config_file(folder):
    path = folder / "model.json"
    path.write_text("{]")
    return path
