"""Draws the output of a terminal as SVG: `script -qc COMMAND /dev/null | python3 docs/capture.py TITLE > docs/demo.svg`.

Knows the escape sequences that Khiên writes (colours, bold) and leaves out all others.
"""

import re
import sys
from xml.sax.saxutils import escape

COLOURS = {"31": "#f47067", "32": "#8ddb8c", "33": "#daaa3f", "34": "#6cb6ff", "90": "#8b949e", "97": "#ffffff"}
BACKGROUNDS = {"41": "#b3261e"}
COLUMN, LINE, MARGIN, BAR = 8.4, 19, 16, 34
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def spans(line):
    """Pieces of a line with their style."""
    style = {"fill": "#d1d7e0", "weight": "normal", "back": None}
    for code, text in re.findall(r"\x1b\[([0-9;?]*)[A-Za-z]|([^\x1b]+)", line):
        if text:
            yield text, dict(style)
            continue
        for number in code.split(";"):
            if number in ("", "0"):
                style = {"fill": "#d1d7e0", "weight": "normal", "back": None}
            elif number == "1":
                style["weight"] = "bold"
            elif number in COLOURS:
                style["fill"] = COLOURS[number]
            elif number in BACKGROUNDS:
                style["back"] = BACKGROUNDS[number]


def draw(lines, title):
    width = max([len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) for line in lines] + [80]) * COLUMN + 2 * MARGIN
    height = len(lines) * LINE + BAR + MARGIN
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img">'
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="100%" height="100%" rx="8" fill="#212830"/>'
    for i, colour in enumerate(["#f47067", "#daaa3f", "#8ddb8c"]):
        yield f'<circle cx="{MARGIN + 4 + i * 18}" cy="17" r="5.5" fill="{colour}"/>'
    yield f'<g font-family="{FONT}" font-size="14" xml:space="preserve">'
    yield f'<text x="{width / 2:.0f}" y="22" fill="#8b949e" text-anchor="middle">{escape(title)}</text>'
    for number, line in enumerate(lines):
        y, column = BAR + (number + 1) * LINE - 5, 0
        for text, style in spans(line):
            x = MARGIN + column * COLUMN
            length = len(text) * COLUMN
            if style["back"]:
                yield f'<rect x="{x:.1f}" y="{y - 14}" width="{length:.1f}" height="{LINE}" fill="{style["back"]}"/>'
            if text.strip():
                yield (
                    f'<text x="{x:.1f}" y="{y}" fill="{style["fill"]}" font-weight="{style["weight"]}" '
                    f'textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
                )
            column += len(text)
    yield "</g></svg>"


def main():
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    print("\n".join(draw(lines, sys.argv[1])))


main()
