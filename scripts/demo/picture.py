#!/usr/bin/env python3
"""picture.py TITLE: converts the output of `tmux capture-pane -e -p` from standard input to an SVG."""
import re
import sys
from html import escape

FONT = 14
ADVANCE = 8.43  # The width of a character of a monospaced font of that size.
LEADING = 19
MARGIN = 16
BAR = 34
BACKGROUND, FOREGROUND = "#1b1f27", "#d5dae3"
COLOURS = ["#4b5263", "#ef7d87", "#9bd07c", "#e8c37a", "#6fb7f5", "#cf8ee5", "#5fc5d1", "#d5dae3"]


def pieces(line, style):
    """Splits a line into texts with their styles. Changes `style`, which continues in the next line."""
    result = []
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b"):
            if part:
                result.append((part, dict(style)))
            continue
        codes = [int(code or 0) for code in part[2:-1].split(";")]
        for code in codes:
            if code == 0:
                style.clear()
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = "0.6"
            elif code == 22:
                style.pop("font-weight", None)
                style.pop("opacity", None)
            elif 30 <= code <= 37:
                style["fill"] = COLOURS[code - 30]
            elif 90 <= code <= 97:
                style["fill"] = COLOURS[code - 90]
            elif code == 39:
                style.pop("fill", None)
    return result


def main():
    title = sys.argv[1]
    lines = [line.rstrip() for line in sys.stdin.read().rstrip("\n").split("\n")]
    style = {}
    rows = [pieces(line, style) for line in lines]
    columns = max([60] + [sum(len(text) for text, _ in row) for row in rows])
    width = round(2 * MARGIN + columns * ADVANCE)
    height = BAR + MARGIN + LEADING * len(rows)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>',
    ]
    for place, colour in enumerate(["#ef7d87", "#e8c37a", "#9bd07c"]):
        out.append(f'<circle cx="{MARGIN + 4 + 18 * place}" cy="17" r="5" fill="{colour}"/>')
    out.append(
        f'<text x="{width / 2:g}" y="21" fill="#8b93a3" text-anchor="middle" font-family="sans-serif" '
        f'font-size="12">{escape(title)}</text>'
    )
    out.append(
        f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
        f'font-size="{FONT}" fill="{FOREGROUND}">'
    )
    for number, row in enumerate(rows):
        column = 0
        for text, look in row:
            # Sets place and length of each word group, so that any font fits.
            attributes = "".join(f' {name}="{value}"' for name, value in look.items())
            for words in re.finditer(r"\S+( \S+)*", text):
                out.append(
                    f'<text x="{MARGIN + (column + words.start()) * ADVANCE:.1f}" '
                    f'y="{BAR + LEADING * number + FONT}" '
                    f'textLength="{len(words[0]) * ADVANCE:.1f}"{attributes}>{escape(words[0])}</text>'
                )
            column += len(text)
    out += ["</g>", "</svg>"]
    print("\n".join(out))


main()
