r"""Search for the passwords in command lines, as data: options, arguments in their place, input.

To add a command, add a row. In the patterns a blank stands for what separates two words: blanks,
the end of a continued line, or `SEPARATOR` between the items of a list.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate

from loki_web.services.secrets import names, values
from loki_web.services.secrets.names import Kind
from loki_web.services.secrets.values import Span

SEPARATOR = "\x1f"  # which `\s` matches
_BLANK = rf"(?:[ {SEPARATOR}]{{1,8}}(?:\\\n[ \t]{{1,40}}+)?)"
_QUOTE = r"(?:(\\{0,7})([\"']))?"
_USER = rf"(?: |=)?+{_QUOTE}[^\s:\"'\\]{{1,100}}+:"
_LOGIN = (
    *("docker login", "podman login", "buildah login", "skopeo login", "nerdctl login"),
    *("oras login", "helm registry login", "crane auth login", "az login", "oc login", "cf login"),
    *("ibmcloud login", "sshpass", "twine ", "mongosh ", "mongodump ", "mongorestore "),
    *("mongoexport ", "mongoimport ", "cqlsh ", "psexec", "altool ", "useradd ", "usermod "),
    *("unlock-keychain", "create-keychain", "rdesktop "),
)
_ROWS = (
    (("curl",), rf"(?:[a-tv-zA-TV-Z#]{{0,8}}[uU]|-user|-proxy-user){_USER}"),
    (("http ", "https ", "xh "), rf"(?:a|-auth){_USER}"),
    (("skopeo", "podman", "buildah", "oras"), rf"-(?:src-|dest-)?creds{_USER}"),
    (("lftp",), r"(?:u|-user) [^\s,]{1,100}+,"),
    (("curl",), r"-oauth2-bearer(?: |=)"),
    (("curl",), rf"(?:[a-ac-zA-Z#]{{0,8}}b|-cookie)(?: |=)?+{_QUOTE}[^\s=\"'\\]{{1,100}}+="),
    (("ldap",), r"w ?"),
    (("smbclient", "rpcclient"), r"(?:U|-user)(?: |=)?[^\s%]{1,100}+%"),
    (("htpasswd",), r"(?![a-zA-Z]{0,6}n)[a-zA-Z]{0,6}b[a-zA-Z]{0,6} \S{1,200}+ \S{1,100}+ "),
    (("htpasswd",), r"(?=[a-zA-Z]{0,6}n)[a-zA-Z]{0,6}b[a-zA-Z]{0,6} \S{1,100}+ "),
    (("sshpass", "mysql", "mariadb", "docker login", "podman login"), r"p(?=[^\s-])"),
    (_LOGIN, r"p(?: |=)"),
    (("redis-cli",), r"(?:a|-pass) "),
    (("openssl",), rf"(?:[kK] |hmac |pass(?:in|out|word)?(?: |=){_QUOTE}pass:)"),
    (("apksigner",), r"-(?:ks|key)-pass (?:pass:)?"),
    (("zip ", "sqlcmd", "mosquitto_", "ipmitool"), r"[a-zA-OQ-Z0-9]{0,8}P ?(?=[^\s-])"),
    (("security import",), r"P "),
    (("7z ", "7za ", "7zr ", "7zz ", "rar "), r"h?p(?=[^\s-])"),
    (("snmp",), r"[AX] "),
    (("plink", "pscp", "psftp"), r"pw "),
    (("nuget push",), r"(?:k|-api-key|ApiKey) "),
    (("generic-password", "internet-password"), r"w "),
    (("gh secret set",), r"(?:b|-body)(?: |=)"),
    (("secret set", "securestring"), r"-value(?: |=)"),
    (("secretsmanager",), r"-secret-string(?: |=)"),
    (("create secret",), r"-from-literal(?: |=)[^\s=]{1,100}+="),
)
_OPTIONS = tuple(
    (commands, re.compile(rf"(?<=\s)-{option}".replace(" ", _BLANK))) for commands, option in _ROWS
)
_COMMANDS = tuple(dict.fromkeys(command for commands, _ in _ROWS for command in commands))
_ANY_OPTION = re.compile(r"\s-{1,2}[A-Za-z0-9#]")
_REACH = 500
_ARGUMENT = re.compile(r"[^\s\"'\\|;&]++")
_SEPARATORS = re.compile(f"{SEPARATOR}+")
_ITEM = re.compile(rf"[^{SEPARATOR}\n]++")
_LIST_MARK = re.compile(
    r"\\{0,7}[\"'],\s{0,4}\\{0,7}[\"']|(?<=[\[(])\s?\\{0,7}[\"']|\\{0,7}[\"']\s?(?=[\])])"
)

# Arguments without an option, by a part of the command that begins the pattern.
_PLACES = (
    ("net us", r"net use (?:(?:[a-z]:|\*) )?[\"']?\\{2,8}\S{1,200}+ (?:/\S{1,80}+ )*+(?=[^/\s])"),
    ("net us", r"net user [^\s/]{1,60}+ (?=[^/\s*])"),
    ("vault ", r"vault login (?![\w-]{1,40}+=|-)"),
    ("vault ", r"vault (?:kv put|kv patch|write) (?:-\S{1,40}+ )*+\S{1,200}+ [^\s=@]{1,60}+=(?!@)"),
)
# ConvertTo-SecureString "x" -AsPlainText
_SECURE_STRING = re.compile(
    r"securestring {1,4}(?:-(?:string|asplaintext|force) {1,4})*+(?=[\"'])", re.IGNORECASE
)
_PLACED = tuple(
    (hint, re.compile(pattern.replace(" ", "[ ]{1,8}+"), re.IGNORECASE))
    for hint, pattern in _PLACES
)

# Commands that read a password from their input.
_READERS = (
    r"(?:sudo (?:-\S{1,20} (?:[a-z]\S{0,20} )?){0,4}?(?:-[A-Za-z]{0,8}S[A-Za-z]{0,8}|--stdin)\b"
    r"|(?:sudo (?:-\S{1,20}+ )*+)?(?:chpasswd|smbpasswd|passwd|kinit|cryptsetup"
    r"|vncpasswd|htpasswd|mkpasswd|su|ssh-add|vault login|docker secret|gh secret"
    r"|wrangler secret|npx wrangler secret|flyctl secrets|fly secrets|gcloud secrets)\b"
    r"|[^|;&\n]{0,120}?(?:password-stdin|-with-token|passphrase-fd|pass(?:in)? stdin)\b)"
)
_VALUE = r"(?P<value>\"[^\"\n]{1,200}+\"|'[^'\n]{1,200}+'|[^\"'|;&<>\n]{1,200}+)"
_PIPED = re.compile(
    r"(?:echo|printf)(?: -[neE]{1,3}\b| --)*+ ++(?:[\"']?%s(?:\\{1,2}n)?[\"']? ++)?"
    rf"{_VALUE} *+\| *+{_READERS}"
)
_PIPED_QUOTE = re.compile(r"(?P<value>\"[^\"\n]{1,200}+\"|'[^'\n]{1,200}+') *+\Z")
_HERE = re.compile(rf"<<< ?{_VALUE}")
_READS = re.compile(_READERS)
_STDIN = "password-stdin"

_LIST_HINTS = ('"-', "'-")
_PRODUCERS = ("echo ", "printf ")
HINTS = (" -", *_LIST_HINTS, "|", "<<<", *dict.fromkeys(hint for hint, _ in _PLACES))


def find(text: str, lowered: str, hint: str) -> Iterator[Span]:
    """Find the passwords in command lines that follow one of HINTS, which is in the text."""
    if hint == " -":
        yield from _find_options(text, lowered)
        yield from _find_piped_quotes(text, lowered)
        yield from _find_secure_strings(text, lowered)
    elif hint in _LIST_HINTS:
        flat = _LIST_MARK.sub(lambda mark: SEPARATOR * len(mark[0]), text)
        yield from _find_options(flat, names.lower_text(flat))
    elif hint == "<<<":
        yield from _find_here(text)
    else:
        hints, find_next = (_PRODUCERS, _find_piped) if hint == "|" else ((hint,), _find_placed)
        for each in hints:
            at = lowered.find(each)
            while at >= 0:
                span = find_next(text, at)
                if span:
                    yield span
                at = lowered.find(each, at + 1)


def find_items(items: list[str]) -> Iterator[tuple[int, int]]:
    """Find the passwords in the words of a command: the index of the word, where they begin."""
    words = [item.replace(SEPARATOR, " ") for item in items]
    text = SEPARATOR.join(("", *words, ""))
    starts = list(accumulate((len(word) + 1 for word in words), initial=1))
    for at, _ in _find_options(text, names.lower_text(text)):
        index = bisect(starts, at) - 1
        yield index, at - starts[index]


def _find_options(text: str, lowered: str) -> Iterator[Span]:
    if not _ANY_OPTION.search(text):
        return
    plain = _SEPARATORS.sub(" ", lowered) if SEPARATOR in lowered else lowered
    present = {command for command in _COMMANDS if command in plain}
    for commands, option in _OPTIONS if present else ():
        if present.isdisjoint(commands):
            continue
        for match in option.finditer(text):
            before = lowered[max(0, match.start() - _REACH) : match.start()]
            before = before.replace("\\\n", "  ")
            before = _SEPARATORS.sub(" ", before[max(map(before.rfind, "\n;|&")) + 1 :])
            # `a.zip -P` is an option of another command.
            if any(command in before.replace(f".{command}", "") for command in commands):
                span = _find_argument(text, match)
                if span:
                    yield span


def _find_argument(text: str, option: re.Match[str]) -> Span | None:
    if option.re.groups and option[2]:
        return values.find_quoted_rest(text, option.end(), option[2], len(option[1]))
    is_item = text[option.start() - 1] == SEPARATOR
    value = (_ITEM if is_item else _ARGUMENT).match(text, option.end())
    return value.span() if value else values.find_quoted(text, option.end())


def _find_placed(text: str, at: int) -> Span | None:
    for _, pattern in _PLACED:
        if match := pattern.match(text, at):
            value = _ARGUMENT.match(text, match.end())
            span = value.span() if value else values.find_quoted(text, match.end())
            return span if span and values.is_secret(text[slice(*span)], Kind.WORD) else None
    return None


def _find_piped(text: str, at: int) -> Span | None:
    """Find x in `echo x | sudo -S`."""
    match = _PIPED.match(text, at) if text.find("|", at, at + 300) >= 0 else None
    return _trim(text, match, 0) if match else None


def _find_piped_quotes(text: str, lowered: str) -> Iterator[Span]:
    """Find x in PowerShell's `"x" | docker login --password-stdin`."""
    at = lowered.find(_STDIN)
    while at >= 0:
        bar = text.rfind("|", max(0, at - 200), at)
        first = max(0, bar - 250)
        match = _PIPED_QUOTE.search(text[first : max(0, bar)])
        span = _trim(text, match, first) if match else None
        if span:
            yield span
        at = lowered.find(_STDIN, at + 1)


def _find_secure_strings(text: str, lowered: str) -> Iterator[Span]:
    if "securestring" in lowered:
        for match in _SECURE_STRING.finditer(text):
            span = values.find_quoted(text, match.end())
            if span:
                yield span


def _find_here(text: str) -> Iterator[Span]:
    """Find x in `sudo -S id <<< x`."""
    for match in _HERE.finditer(text):
        before = text[max(0, match.start() - 200) : match.start()]
        command = before[max(map(before.rfind, "\n;|&")) + 1 :].lstrip()
        span = _trim(text, match, 0) if _READS.match(command) else None
        if span:
            yield span


def _trim(text: str, match: re.Match[str], shift: int) -> Span | None:
    """Return the password in a value: without quotes, and without the user before a colon.

    :param shift: where the text that was matched begins in `text`.
    """
    start, end = (at + shift for at in match.span("value"))
    if text[start] in "\"'":
        start, end = start + 1, end - 1
    is_of_user = "chpasswd" in text[max(0, start - 100) : end + 100]
    start = max(start, text.find(":", start, end) + 1) if is_of_user else start
    value = text[start:end].rstrip()
    is_reference = value.startswith("$") or not values.is_secret(value, Kind.WORD)
    return None if is_reference else (start, start + len(value))
