"""A figure's SVG in a quarter of its size: the same picture to a tenth of a point, without what repeats.

matplotlib writes six decimals, a group around every mark, and the whole style, fonts and all, at each of them.
"""

from __future__ import annotations

import re
import zlib
from xml.etree import ElementTree

NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
# Attributes that hold coordinates alone.
COORDINATES = ("d", "x", "y", "width", "height", "transform", "points")
# Nothing is measured in the browser: what the reader's machine has takes the place of the long list.
FONTS = re.compile(r"font-family: [^;]*;?\s*")
UNTURNED = re.compile(r"\s*rotate\(-?0 [^)]*\)")


def slim(svg: str) -> str:
    """svg: one <svg> without namespaces. Equal figures give equal bytes; text is left as it stands."""
    root = ElementTree.fromstring(svg)
    names: dict[str, str] = {}
    _slim(root, names)
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    style = root.find("defs/style")
    if style is None:
        style = ElementTree.Element("style")
        root.insert(0, style)
    style.text = f"{style.text or ''}{rules}"
    return ElementTree.tostring(root, encoding="unicode")


def _slim(element: ElementTree.Element, names: dict[str, str]) -> None:
    element.text = _words(element.text)
    children: list[ElementTree.Element] = []
    for child in list(element):
        child.tail = _words(child.tail)
        if _is_invisible(child):
            continue
        _slim(child, names)
        # A group that says nothing of its own stands for its members.
        children += [child] if child.attrib or child.tag != "g" else list(child)
    element[:] = children
    for name in COORDINATES:
        if name in element.attrib:
            element.set(name, _coordinates(element.attrib[name]))
    if not element.attrib.get("transform", "_"):
        del element.attrib["transform"]
    if "style" in element.attrib:
        element.set("class", _class(element.attrib.pop("style"), names))


def _words(text: str | None) -> str | None:
    """Text, but no indentation."""
    return text if text and text.strip() else None


def _is_invisible(element: ElementTree.Element) -> bool:
    return element.tag == "path" and element.attrib.get("style") == "fill: none; opacity: 0"


def _coordinates(text: str) -> str:
    text = NUMBER.sub(_rounded, UNTURNED.sub("", text))
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", " ".join(text.split())) if re.match(r"\s*M", text) else text.strip()


def _rounded(found: re.Match[str]) -> str:
    """To a tenth of a point; small numbers, of which markers are made, to a hundredth."""
    value = float(found[0])
    text = f"{value:.{1 if abs(value) >= 10 else 2}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _class(style: str, names: dict[str, str]) -> str:
    """Named after what it says: a page has many figures, and their rules hold for all of them."""
    style = FONTS.sub("font-family: sans-serif; ", style).strip().rstrip(";")
    style = re.sub(r"\s*([:;])\s*", r"\1", style)
    return names.setdefault(style, f"v{zlib.crc32(style.encode()):x}")
