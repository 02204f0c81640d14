#!/usr/bin/env python3
"""picture.py TITLE [COLUMNS ROWS]: converts the output of `tmux capture-pane -e -p` from standard input to an SVG, dark or light as
the reader's system is. It is as large as that screen, or as what is on it."""
import re
import sys
from html import escape

FONT = 14
ADVANCE = 8.43  # The width of a character of a monospaced font of that size.
LEADING = 19
MARGIN = 16
BAR = 34
# By the names of their classes: background, foreground, title, and the colours of a terminal. Each with a dark and a light
# value.
COLOURS = {
    "b": ("#1b1f27", "#f6f8fa"), "f": ("#d5dae3", "#24292f"), "t": ("#8b93a3", "#6e7781"), "c0": ("#4b5263", "#57606a"),
    "c1": ("#ef7d87", "#b3202c"), "c2": ("#9bd07c", "#1a7f37"), "c3": ("#e8c37a", "#8a5a00"), "c4": ("#6fb7f5", "#0a58a8"),
    "c5": ("#cf8ee5", "#7d33a8"), "c6": ("#5fc5d1", "#14727d"), "c7": ("#d5dae3", "#24292f"),
}


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
                style["class"] = f"c{code - 30}"
            elif 90 <= code <= 97:
                style["class"] = f"c{code - 90}"
            elif code == 39:
                style.pop("class", None)
    return result


def main():
    title = sys.argv[1]
    lines = [line.rstrip() for line in sys.stdin.read().rstrip("\n").split("\n")]
    style = {}
    rows = [pieces(line, style) for line in lines]
    screen = [int(word) for word in sys.argv[2:]]
    columns = max([60] + screen[:1] + [sum(len(text) for text, _ in row) for row in rows])
    width = round(2 * MARGIN + columns * ADVANCE)
    height = BAR + MARGIN + LEADING * max([len(rows)] + screen[1:])
    colours = ["".join(f".{name}{{fill:{each[look]}}}" for name, each in COLOURS.items()) for look in (0, 1)]
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<style>{colours[0]}@media(prefers-color-scheme:light){{{colours[1]}}}</style>",
        f'<rect class="b" width="{width}" height="{height}" rx="8"/>',
    ]
    for place, colour in enumerate(["#ef7d87", "#e8c37a", "#9bd07c"]):
        out.append(f'<circle cx="{MARGIN + 4 + 18 * place}" cy="17" r="5" fill="{colour}"/>')
    out.append(
        f'<text x="{width / 2:g}" y="21" class="t" text-anchor="middle" font-family="sans-serif" '
        f'font-size="12">{escape(title)}</text>'
    )
    out.append(
        f'<g class="f" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
        f'font-size="{FONT}">'
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
