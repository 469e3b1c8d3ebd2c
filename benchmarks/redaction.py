"""What redaction costs: typical texts, a large plain one, and texts made to be expensive.

    python -m benchmarks.redaction --size 250000

Prints tables in Markdown: microseconds of CPU a text, and megabytes a second.
"""

import argparse
import timeit
from time import process_time

from loki_web.services.redaction import redact

PLAIN = "Implement the login page, run npm test and fix what fails in src/components/App.tsx. "
TYPICAL = {
    "60 characters": PLAIN[:60],
    "200 characters": (PLAIN * 3)[:200],
    "200 characters, a hash": (PLAIN * 2)[:155] + " 4b825dc642cb6eb9a060e54bf8d69288fbee4904 now",
    "200 characters, words like token": (PLAIN * 2)[:165]
    + " the token budget, key: value, 12 passed",
    "60 characters, a password": PLAIN[:44] + "password=hunter2",
    "200 characters, two secrets": (PLAIN * 2)[:150]
    + " password: hunter2 ghp_abcdefghijklmnop123456",
}
HOSTILE = (
    *("-", "=", ":", '"', "\\", "-----BEGIN ", "eyJ", "a=", "://", "password", "password: a "),
    *("password:[\n", "key=", "key='", "token ", "cookie: a;", "x://a:@", "curl -u a:b ", "ghp_"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=250_000, help="characters of a large text")
    size = parser.parse_args().size
    print("| text | µs |\n|---|---|")  # noqa: T201
    for name, text in TYPICAL.items():
        print(f"| {name} | {_seconds(text, 5_000) * 1e6:.1f} |")  # noqa: T201
    print("\n| large text of | MB/s | against plain |\n|---|---|---|")  # noqa: T201
    plain = _seconds((PLAIN * size)[:size], 1)
    for piece in (PLAIN, *HOSTILE):
        seconds = _seconds((piece * size)[:size], 1)
        print(f"| `{piece[:20]!r}` | {size / seconds / 1e6:.1f} | {seconds / plain:.1f} |")  # noqa: T201


def _seconds(text: str, times: int) -> float:
    runs = timeit.repeat(lambda: redact(text), number=times, repeat=3, timer=process_time)
    return min(runs) / times


if __name__ == "__main__":
    main()
