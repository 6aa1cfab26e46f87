"""Pretrained weights of other programs, by tables: which tensor of a file is which weight of a library model.

    harness.from_pretrained("hf:./all-MiniLM-L6-v2", head="embedding")     -> spec, weights
    recipe: {weights: "hf:./bert-base-uncased", new: [predictions]}
    model: {"hf:./bert-base-uncased": {head: classification, num_classes: 26}}

One file per architecture holds its table (bert.py, distilbert.py, gpt2.py, vit.py, resnet.py); mapping.py says what a
table is, layouts.py how a tensor becomes a weight, files.py where tensors come from, loading.py that every tensor and
every weight is accounted for, models.py what a config.json says of the model.
"""
