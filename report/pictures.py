"""Charts as pictures that stand alone, for places without the page's style and script.

Belongs here: giving a chart fixed colours and a fixed width, and drawing it. Does not belong here:
what a chart shows (`charts.py`).

A picture is stored for ever with the event that carries it, so it is kept under 30 kB. The ground
is white, since a picture cannot know whether the page around it is dark.
"""

import base64
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert

from report import charts

WIDTH = 460
# A PNG grows with its surface.
DOTTED = {"width": 300, "height": 230}
# What only a screen reader in a page would use, which is half of a drawing; `words` say it here.
_SPOKEN = re.compile(r' (?:aria-[a-z]+|role)="[^"]*"')
_DECLARED = re.compile(r"--([a-z-]+): (#[0-9a-f]{6})")


def picture(spec: dict[str, Any], words: str) -> str:
    """Return a chart of few marks as an image in Markdown that needs no other file: an SVG."""
    drawing = vl_convert.vegalite_to_svg(_alone(spec) | {"width": WIDTH})
    return _image("svg+xml", _SPOKEN.sub("", drawing).encode(), words)


def dotted_picture(spec: dict[str, Any], words: str) -> str:
    """Return a chart of hundreds of marks as an image in Markdown: a PNG, whose size is bounded."""
    return _image("png", vl_convert.vegalite_to_png(_alone(spec) | DOTTED, scale=1), words)


def _image(kind: str, content: bytes, words: str) -> str:
    return f"![{words}](data:image/{kind};base64,{base64.b64encode(content).decode()})"


def _alone(spec: dict[str, Any]) -> dict[str, Any]:
    """Put the page's light colours in the place of its variables."""
    light = _light_colours()
    text = re.sub(r"var\(--([a-z-]+)\)", lambda found: light[found[1]], json.dumps(spec))
    text = text.replace(json.dumps(charts.FONT)[1:-1], "sans-serif")
    return json.loads(text) | {"background": light["surface"]}


@cache
def _light_colours() -> dict[str, str]:
    template = (Path(__file__).parent / "template.html.j2").read_text(encoding="utf-8")
    # The same names stand a second time for a dark page.
    return dict(reversed(_DECLARED.findall(template)))
