"""Names whose values are secrets, in texts and as keys of objects."""

import re
from enum import StrEnum
from functools import lru_cache


class Kind(StrEnum):
    """How a value is read after a name of this kind."""

    PHRASE = "a password: several words where blanks separate it from its name"
    WORD = "a token or key: one word"
    PATH = "pwd: a password unless it is a path, as in PWD=/home/me"
    BARE = "pass, pw: a password unless it counts tests, as in pass=12"
    QUALIFIED = "token_github, passwordHash: one word with letters and digits"
    DIGITS = "PIN: four digits or more; fewer are the number of a connector's pin"
    CODE = "a one-time code: digits, or groups of letters and digits; several of them"
    CARD = "CVV, security code: as CODE, with three digits too"
    RANDOM = "an OAuth code in a URL: redacted where it looks random; a hash or UUID does"
    SESSION = "a session cookie: as RANDOM, but for UUIDs, which are ids of sessions"
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
    *("code", "cv", "mnemonic"),
    *_MAYBE_PASSWORD,
)
_PASSWORD_NAMES = "|".join((*_PASSWORD_ABROAD, *_MAYBE_PASSWORD))
_NAME = re.compile(
    r"(pass(?:(?:-?word|wort|ord)s?|wd|[ _-]?phrase|code|e)?|pwd?|secret|token|key"
    r"|auth(?:orization|2_proxy(?==))?|cookies?|cred(?:ential)?s?|sig(?:nature)?|connect\.sid|sid(?==)"
    r"|sess(?:(?:ion_)?[0-9a-f]{32,100}+(?==)|id|ion(?:_?id)?(?:sso)?|(?==))"
    r"|pin(?:[ _-]code)?|puk|otp|codes?(?:_verifier)?|cv[vc]|mnemonic"
    rf"|{_PASSWORD_NAMES})(?:[_-]?(?:base|value|text|plain|\d{{1,3}}))?+"
)
_SESSION_COOKIES = (
    *("phpsessid", "jsessionid", "aspsessionid", "asp.net_sessionid", "laravel_session"),
    *("ci_session", "__host-session", "__secure-session", "auth_session_id", "jsessionidsso"),
)
_IDS = ("sessionid", "session_id")  # of Loki Mode, too
_SIGNED_BY = ("x-amz-", "x-goog-")  # in a presigned URL
# Before "pass" or "pw": storepass, user/pass.
_OWNERS_OF_PASS = ("store", "key", "user", "require", "bind", "root", "user/", "username/", " /")
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
# What precedes the word "code" in the name of a one-time code.
_CODES = (
    *("2fa", "mfa", "tfa", "otp"),
    *("onetime", "one-time", "one time", "one_time", "login", "sms", "factor"),
    *("sign-in", "signin", "confirmation", "authentication", "authenticator", "recovery"),
    *("backup", "authorization", "activation", "pairing", "reset", "token", "auth", "access"),
    *("your", "enter", "use", "digit"),
)
_CODES_OF_CARDS = ("security", "verification", "cvv", "cvc")
_SURE = {"secret": Kind.PHRASE, "token": Kind.WORD, "cookie": Kind.COOKIE, "connect.sid": Kind.WORD}
_SURE |= {"cookies": Kind.CREDENTIALS, "mnemonic": Kind.PHRASE}
_SURE |= dict.fromkeys(("cred", "creds", "credential", "credentials"), Kind.CREDENTIALS)
_SURE |= dict.fromkeys(_PASSWORD_ABROAD, Kind.PHRASE)
SURE = (Kind.PHRASE, Kind.WORD)  # whatever follows such a name is a secret
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
    if kind not in SURE or qualifier[0].lower().endswith(_ATTRIBUTES):
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
    classify = _CLASSIFIERS.get(word[:3])
    return classify(text, lowered, at, word) if classify else Kind.WEAK


def _classify_key(text: str, lowered: str, at: int, word: str) -> Kind:
    before = lowered[max(0, at - 16) : at].rstrip(" _-")
    return Kind.WORD if before.endswith(_KEYS) else Kind.WEAK


def _classify_foreign(text: str, lowered: str, at: int, word: str) -> Kind | None:
    return None if text[max(0, at - 1) : at].isalpha() else Kind.QUALIFIED


def _classify_number(text: str, lowered: str, at: int, word: str) -> Kind | None:
    """Return the kind of a PIN or CVV; None for a part of another word, and for `pin13`."""
    is_part = at > 0 and text[at - 1].isalpha() and not _is_camel_case(text, at)
    if is_part and not lowered.endswith("totp", 0, at + len("otp")):
        return None
    if word.startswith(("cv", "otp")):
        return Kind.CARD if word.startswith("cv") else Kind.CODE
    return None if text[at + len(word) : at + len(word) + 1].isdigit() else Kind.DIGITS


def _classify_auth(text: str, lowered: str, at: int, word: str) -> Kind:
    if word == "authorization":
        return Kind.AUTHORIZATION
    if word == "auth2_proxy":
        return Kind.SESSION
    if lowered.endswith((".aspx", ".aspxforms", "master"), 0, at):
        return Kind.WORD
    return Kind.BARE if text[max(0, at - 1) : at + 4] == "_AUTH" else Kind.WEAK


def _classify_signature(text: str, lowered: str, at: int, word: str) -> Kind:
    is_signed = word == "signature" and lowered.endswith(_SIGNED_BY, 0, at)
    return Kind.WORD if is_signed else Kind.WEAK


def _classify_session(text: str, lowered: str, at: int, word: str) -> Kind | None:
    """Return the kind of a session cookie; None for `session_id`, `sessionId`: ids of Loki Mode."""
    end = at + len(word)
    if lowered.endswith(_SESSION_COOKIES, 0, end):
        return Kind.WORD
    is_part = at > 0 and text[at - 1].isalnum() and not _is_camel_case(text, at)
    if word in _IDS:
        return _classify_session_id(text, at, end, is_part=is_part)
    if word == "sid":
        is_part = is_part and not text[at - 1 : end].isupper()  # HSID, SSID, DSID
    elif len(word) > 32:  # with a hash in its name
        return Kind.SESSION
    return Kind.SESSION if text[end : end + 1] == "=" and not is_part else None


def _classify_session_id(text: str, at: int, end: int, *, is_part: bool) -> Kind | None:
    """Return the kind of the cookies of Django, `sessionid`, and of Rails, `_session_id`."""
    if text[at:end] == "sessionid" and not is_part:
        return Kind.WORD
    is_of_rails = (
        text[at - 1 : end + 1] == "_session_id=" and not text[max(0, at - 2) : at - 1].isalnum()
    )
    return Kind.SESSION if is_of_rails else None


def _classify_code(text: str, lowered: str, at: int, word: str) -> Kind | None:
    """Return the kind of a one-time code or an OAuth code; None for an exit code and the like."""
    if word == "code_verifier":
        return Kind.RANDOM
    before = lowered[max(0, at - 20) : at].rstrip(" _-")
    if before.endswith(_CODES_OF_CARDS):
        return Kind.CARD
    if before.endswith(_CODES):
        return Kind.CODE
    is_parameter = not at or text[at - 1] in "?&\"'" or lowered.endswith("device_", 0, at)
    return Kind.RANDOM if is_parameter and text.startswith("=", at + len(word)) else None


def _is_camel_case(text: str, at: int) -> bool:
    """Return whether a word of a name begins at `at` with a capital, as in `userPin`."""
    return text[max(0, at - 1) : at].islower() and text[at].isupper()


def _classify_password(text: str, lowered: str, at: int, word: str) -> Kind | None:
    if word == "passe":
        return Kind.PHRASE if lowered.endswith(_PASSE, 0, at) else None
    if len(word) > len("pass"):
        return Kind.PHRASE
    before = text[max(0, at - 1) : at]
    if lowered.endswith(_OWNERS_OF_PASS, 0, at):
        return Kind.PHRASE
    if before in ("_", "-", ".") or _is_camel_case(text, at):
        return Kind.PHRASE
    if before.isalnum():
        is_name = text[at].isupper()
        return Kind.PHRASE if word == "pwd" else Kind.BARE if is_name else None
    return Kind.PATH if word == "pwd" else Kind.BARE


_CLASSIFIERS = {
    "key": _classify_key,
    **dict.fromkeys(("pas", "pw", "pwd"), _classify_password),
    "aut": _classify_auth,
    "cod": _classify_code,
    **dict.fromkeys(("ses", "sid"), _classify_session),
    "sig": _classify_signature,
    **dict.fromkeys(("pin", "puk", "otp", "cvv", "cvc"), _classify_number),
    **dict.fromkeys((word[:3] for word in _MAYBE_PASSWORD), _classify_foreign),
}
