"""Damage files at random."""

import re

# What stands in for a number or a word.
NASTY = (
    "",
    "null",
    "NaN",
    "-1",
    "0",
    "1e308",
    "-Infinity",
    "9" * 400,
    "../../etc/passwd",
    "/etc/passwd",
    "a" * 400,
    "\0",
    "\ufeff",
    "é\u0301",
    "<b>",
    "true",
    "[]",
    "{}",
    "'",
    '"',
    "\r\n",
)
# Of large files only so many bytes are searched for words.
WINDOW = 2**16


def changed(contents, chance):
    """Change some bytes, one to three times.

    Args:
        contents: bytes of a file.
        chance: `random.Random`.

    Returns:
        bytes.
    """
    for _ in range(chance.randint(1, 3)):
        place, length = chance.randrange(len(contents) + 1), chance.choice((1, 4, 40))
        nasty = chance.choice(NASTY).encode("utf-8", "surrogatepass")
        how = chance.randrange(7)
        if how == 0:
            contents = contents[:place]
        elif how == 1:
            contents = contents[:place] + contents[place + length :]
        elif how == 2:
            contents = contents[:place] + contents[place : place + length] * 2 + contents[place + length :]
        elif how == 3:
            contents = contents[:place] + nasty + contents[place:]
        elif how == 4:
            contents = contents[:place] + bytes([chance.randrange(256)]) + contents[place + 1 :]
        else:
            # Replace a number or a word as a whole: the change keeps the syntax.
            words = [*re.finditer(rb"[-+.\w]+", contents)]
            if words:
                word = chance.choice(words)
                contents = contents[: word.start()] + nasty + contents[word.end() :]
    return contents


def changed_somewhere(contents, chance):
    """Change some bytes of a file of any size as `changed` does: near its beginning, its end, or anywhere."""
    starts = 0, max(len(contents) - WINDOW, 0), chance.randrange(len(contents) + 1)
    start = chance.choice(starts)
    end = start + WINDOW
    return contents[:start] + changed(contents[start:end], chance) + contents[end:]
