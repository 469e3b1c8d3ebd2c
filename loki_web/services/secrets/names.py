"""Names whose values are secrets, in texts and as keys of objects."""

import re
from enum import Enum
from functools import lru_cache


class Kind(Enum):
    """How a value is read after a name of this kind."""

    PHRASE = "a password: several words where blanks separate it from its name"
    WORD = "a token or key: one word"
    PATH = "pwd: a password unless it is a path, as in PWD=/home/me"
    BARE = "pass, pw: a password unless it counts tests, as in pass=12"
    QUALIFIED = "token_github, passwordHash: one word with letters and digits"
    DIGITS = "PIN, OTP: four digits or more; fewer are the number of a connector's pin"
    WEAK = "a key or signature: redacted only where it looks random"
    CREDENTIALS = "a map of them, or a word that looks random"
    AUTHORIZATION = "a scheme and its credentials or parameters"
    COOKIE = "several pairs"


_PASSWORD_ABROAD = (
    *("senha", "contrasena", "kennwort", "wachtwoord", "contraseña", "lösenord", "şifre", "hasło"),
    *("salasana", "adgangskode", "kodeord", "heslo", "lozinka", "haslo", "jelszo", "sifre"),
    *("jelszó", "mật khẩu", "kata sandi", "पासवर्ड", "รหัสผ่าน", "رمز عبور", "كلمة المرور"),
    *("пароль", "密码", "密碼", "口令", "パスワード", "비밀번호", "סיסמה"),
)
_MAYBE_PASSWORD = ("clave", "parola")  # other words too: "palabra clave" is a keyword
HINTS = (
    *("pass", "pw", "secret", "token", "key", "auth", "cookie", "cred", "sig"),
    *("sess", "connect.sid", "sid=", "pin", "puk", "otp", *_PASSWORD_ABROAD),
    *_MAYBE_PASSWORD,
)
_PASSWORD_NAMES = "|".join((*_PASSWORD_ABROAD, *_MAYBE_PASSWORD))
_NAME = re.compile(
    r"(pass(?:(?:word|wort|ord)s?|wd|phrase|code|e)?|pwd?|secret|token|key|auth(?:orization)?"
    rf"|cookies?|cred(?:ential)?s?|sig(?:nature)?|sess(?:id|ion(?:_?id)?)|connect\.sid|sid(?==)"
    rf"|pin(?:[ _-]code)?|puk|otp|{_PASSWORD_NAMES})(?:[_-]?(?:base|value|text|plain|\d{{1,3}}))?+"
)
_SESSION_COOKIES = (
    *("phpsessid", "jsessionid", "aspsessionid", "asp.net_sessionid", "laravel_session"),
    *("ci_session", "__host-session", "__secure-session"),
)
_SIGNED_BY = ("x-amz-", "x-goog-")  # in a presigned URL
_PASSE = ("mot de ", "mot_de_", "motde", "mot-de-", "palavra-", "palavra ", "palavra_")
# Marks of a language model's vocabulary.
_VOCABULARY = tuple(f"{mark}_" for mark in ("pad", "eos", "bos", "unk", "cls", "sep", "mask"))
# What follows the decisive word of a name: TOKEN_GITHUB, passwordConfirm.
_QUALIFIER = re.compile(r"(?:[_-][A-Za-z0-9]{1,30}|(?<=[a-z])[A-Z][a-z0-9]{1,30}){1,4}+")
_ATTRIBUTES = (
    *("id", "ids", "name", "names", "file", "path", "dir", "url", "uri", "host", "type", "kind"),
    *("field", "label", "error", "version", "model", "at", "by", "ref", "alias", "limit", "count"),
)
_KEYS = (
    *("api", "access", "auth", "secret", "private", "account", "encryption", "encrypt", "signing"),
    *("master", "shared", "storage", "license", "subscription", "session", "consumer"),
)
_SURE = {"secret": Kind.PHRASE, "token": Kind.WORD, "cookie": Kind.COOKIE, "connect.sid": Kind.WORD}
_SURE |= {"cookies": Kind.CREDENTIALS}
_SURE |= dict.fromkeys(_PASSWORD_ABROAD, Kind.PHRASE)
_QUALIFIABLE = (Kind.PHRASE, Kind.WORD)
_PLURALS = (
    "secrets",
    "credentials",
    "cookies",
    "apikeys",
    "api_keys",
    "accesstokens",
    "access_tokens",
)


def find_name(text: str, lowered: str, at: int) -> tuple[Kind, int] | None:
    """Return the kind of the name whose decisive word begins at `at`, and where the name ends."""
    match = _NAME.match(lowered, at)
    if match is None:
        return None
    end = match.end()
    qualifier = _QUALIFIER.match(text, end)
    if not qualifier and lowered[end : end + 1].isalpha():
        return None
    kind = _classify(text, lowered, at, match[1])
    if not qualifier:
        return (kind, end) if kind else None
    if kind not in _QUALIFIABLE or qualifier[0].lower().endswith(_ATTRIBUTES):
        return None
    return Kind.QUALIFIED, qualifier.end()


def lower_text(text: str) -> str:
    """Return the text in lower case, with the same length.

    `str.lower` turns only the dotted capital I into two characters.
    """
    return text.replace("\u0130", "i").lower()


@lru_cache(4096)
def classify_key(key: str) -> Kind | None:
    """Return the kind of an object's key, None if its value is no secret."""
    lowered = lower_text(key)
    if lowered.endswith(_PLURALS):
        return Kind.WORD
    for hint in HINTS:
        at = lowered.rfind(hint)
        name = find_name(key, lowered, at) if at >= 0 else None
        if name and name[1] == len(key):
            return name[0]
    return None


def _classify(text: str, lowered: str, at: int, word: str) -> Kind | None:
    if word in _SURE:
        return None if word == "token" and lowered.endswith(_VOCABULARY, 0, at) else _SURE[word]
    if word == "key":
        before = lowered[max(0, at - 16) : at].rstrip(" _-")
        return Kind.WORD if before.endswith(_KEYS) else Kind.WEAK
    if word in _MAYBE_PASSWORD:
        return None if text[max(0, at - 1) : at].isalpha() else Kind.QUALIFIED
    if word.startswith(("sess", "sid")):
        return _classify_session(text, lowered, at, word)
    if word.startswith(("pin", "puk", "otp")):
        is_part = text[max(0, at - 1) : at].isalpha() and not _is_camel_case(text, at)
        is_numbered = text[at + len(word) : at + len(word) + 1].isdigit()
        return None if is_part or is_numbered else Kind.DIGITS
    if word == "auth" and text[max(0, at - 1) : at + 4] == "_AUTH":
        return Kind.BARE
    if word == "signature" and lowered.endswith(_SIGNED_BY, 0, at):
        return Kind.WORD
    if word == "authorization":
        return Kind.AUTHORIZATION
    if not word.startswith(("pass", "pw")):
        return Kind.CREDENTIALS if word.startswith("cred") else Kind.WEAK
    return _classify_password(text, lowered, at, word)


def _classify_session(text: str, lowered: str, at: int, word: str) -> Kind | None:
    """Return the kind of a session cookie; None for `session_id`, `sessionId`: ids of Loki Mode."""
    end = at + len(word)
    is_part = text[max(0, at - 1) : at].isalnum()
    if lowered.endswith(_SESSION_COOKIES, 0, end) or (text[at:end] == "sessionid" and not is_part):
        return Kind.WORD
    is_cookie = word in ("session", "sid") and text.startswith("=", end) and not is_part
    return Kind.WEAK if is_cookie else None


def _is_camel_case(text: str, at: int) -> bool:
    """Return whether a word of a name begins at `at` with a capital, as in `userPin`."""
    return text[max(0, at - 1) : at].islower() and text[at].isupper()


def _classify_password(text: str, lowered: str, at: int, word: str) -> Kind | None:
    if word == "passe":
        return Kind.PHRASE if lowered.endswith(_PASSE, 0, at) else None
    if len(word) > len("pass"):
        return Kind.PHRASE
    before = text[max(0, at - 1) : at]
    if before in ("_", "-", ".") or _is_camel_case(text, at):
        return Kind.PHRASE
    if before.isalnum():
        is_name = text[at].isupper() or lowered.endswith(("store", "key", "user"), 0, at)
        return Kind.PHRASE if word == "pwd" else Kind.BARE if is_name else None
    return Kind.PATH if word == "pwd" else Kind.BARE
