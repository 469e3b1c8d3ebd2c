"""Redaction: secrets are replaced, the words around them stay."""

import gc
import json
import re
from functools import cache
from itertools import count
from pathlib import Path

import pytest

from loki_web.services.redaction import REDACTED, redact, redact_lines, redact_within
from loki_web.services.secrets.patterns import TOKENS, compile_once
from tests.support.recordings import FIXTURE
from tests.support.work import count_calls, tracing_memory

KEY = "9fK2xQ7bVn4TzL8w"
HEX = "0123456789abcdef"
UUID = "01234567-89ab-4cde-8f01-23456789abcd"
_numbers = count()
WEB_TOKEN = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{KEY}"


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        (f"key sk-{KEY} used", [KEY]),
        (f"key sk-ant-api03-{KEY}-{KEY} used", [KEY]),
        (f"line\\nsk-ant-{KEY} in an escaped text", [KEY]),
        (f"pushed with ghp_{KEY}{KEY}", [KEY]),
        (f"pushed with gho_{KEY}{KEY}", [KEY]),
        (f"pushed with github_pat_{KEY}_{KEY}", [KEY]),
        (f"cloned by glpat-{KEY}{KEY}", [KEY]),
        ("aws AKIAIOSFODNN7EXAMPLE here", ["IOSFODNN7"]),
        (f"slack xoxb-123456789012-{KEY} here", [KEY]),
        (f"charged by sk_live_{KEY} today", [KEY]),
        (f"google AIza{KEY}{KEY} here", [KEY]),
        (f"our loki_{KEY}-{KEY}_{KEY} here", [KEY]),
        (f"our loki_{'abcdefgh' * 5}abc here", ["abcdefgh"]),
        (f"jwt {WEB_TOKEN} here", [KEY, "eyJzdWIi"]),
        (f"sent Authorization: Bearer {KEY} to it", [KEY]),
        (f"sent Authorization: Basic {KEY}== to it", [KEY]),
        (f"sent authorization: Custom {KEY} to it", [KEY]),
        (f"sent authorization={KEY}", [KEY]),
        (f'curl -H "Authorization: token {KEY}" https://example.com', [KEY]),
        (f"headers={{'Authorization': 'Bearer {KEY}', 'Accept': '*/*'}}", [KEY]),
        (f'{{"cmd": "curl -H \\"Authorization: Bearer {KEY}\\" host"}} end', [KEY]),
        (f'Authorization: Digest username="bob", nonce="{KEY}", response="{KEY}" end', [KEY]),
        (f"Authorization: AWS4-HMAC-SHA256 Credential=A/b, Signature={KEY} end", [KEY]),
        (f"got a Bearer {KEY} there", [KEY]),
        (f"sent Cookie: session={KEY}; id={KEY} to it", [KEY]),
        (f"Set-Cookie: sid={KEY}; Path=/", [KEY]),
        (f"export PASSWORD={KEY} done", [KEY]),
        (f"password\uff1d{KEY} and token \u21d2 {KEY}9", [KEY]),
        (f'password: "{KEY} and more" done', [KEY, "and more"]),
        (f"password => '{KEY}' done", [KEY]),
        (f"if token == '{KEY}' then", [KEY]),
        (f"OPENAI_API_KEY={KEY} npm start", [KEY]),
        (f"AWS_SECRET_ACCESS_KEY={KEY} aws s3 ls", [KEY]),
        (f"x-api-key: {KEY} sent", [KEY]),
        (f'{{"client_secret": "{KEY}", "name": "demo"}}', [KEY]),
        (f'{{"body": "{{\\"token\\": \\"{KEY}\\", \\"n\\": 1}}"}} end', [KEY]),
        (f"GET /callback?token={KEY}&state=ok", [KEY]),
        (f"tool --token {KEY} run", [KEY]),
        (f"postgres://admin:{KEY}@db/app", [KEY]),
        (f"https://user:a:{KEY}@x@host/path", [KEY]),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----", [KEY]),
        (f"-----BEGIN PGP PRIVATE KEY BLOCK-----\\n{KEY}\\n", [KEY]),
    ],
)
def test_a_secret_is_replaced(text: str, secrets: list[str]) -> None:
    clean = redact(text)
    assert REDACTED in clean
    assert not any(secret in clean for secret in secrets)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: correct HORSE", "HORSE"),
        ("password: correct HORSE battery staple", "staple"),
        ("password = correct HORSE", "HORSE"),
        ("password: hunter2, user: bob", "hunter2"),
        ("pwd: hunter2", "hunter2"),
        ("DB_PASS=hunter2 run", "hunter2"),
        ("dbPass: 'hun ter2'", "ter2"),
        ("DB_PASSWORD=p@ss,w0rd", "w0rd"),
        ("PGPASSWORD=hunter2 psql", "hunter2"),
        ("Passwort: hunter2", "hunter2"),
        ("SECRET_KEY_BASE=hunter2", "hunter2"),
        ("password := `hun ter2`", "ter2"),
        ("passphrase:\n  hunter2", "hunter2"),
        ("user=bob&pass=hunter2&x=1", "hunter2"),
        ('secret: "a\\"hunter2"', "hunter2"),
        ("the password is hunter2", "hunter2"),
        (f"token is {KEY}", KEY),
        (f"API key {KEY} was used", KEY),
        (f"key: {KEY}", KEY),
        (f"auth={KEY}", KEY),
        (f"credentials: {KEY}", KEY),
        (f"AccountName=x;AccountKey={KEY}{KEY}==;EndpointSuffix=core", KEY),
        (f"SharedAccessKey={KEY}=", KEY),
        (f"?se=2026&sig={KEY}%3D", KEY),
        ("apiKey: hunter2", "hunter2"),
        ("config['password'] = 'hunter2'", "hunter2"),
        ('os.environ["API_KEY"] = "hunter2"', "hunter2"),
        ("//registry.npmjs.org/:_authToken=hunter2", "hunter2"),
        ("machine h login bob password hunterx", "hunterx"),
        ("ALTER USER x PASSWORD 'hunter'", "hunter"),
        ("CREATE USER x IDENTIFIED BY 'hunter'", "hunter"),
        ("<db:password>hun ter2</db:password>", "ter2"),
        ("curl -u user:hunter2 http://h", "hunter2"),
        ('curl -s -u "user:hun ter2" http://h', "ter2"),
        ('{"cmd": "curl -u \\"user:hun ter2\\" http://h"} end', "ter2"),
        ("sshpass -p hunter2 ssh h", "hunter2"),
        ("mysql -u root -phunter2 db", "hunter2"),
        ("docker login -u x -p hunter2", "hunter2"),
        ("redis-cli -a hunter2", "hunter2"),
        ("openssl enc -aes-256-cbc -k hunterx -in a", "hunterx"),
        ("openssl dgst -hmac hunterx a", "hunterx"),
        ("openssl rsa -passin pass:hunterx -in a", "hunterx"),
        ("openssl pkcs12 -export -passout 'pass:hun terx'", "terx"),
        ("zip -P hunterx a.zip b", "hunterx"),
        ("zip -r9P hunterx a.zip b", "hunterx"),
        ("unzip -Phunterx a.zip", "hunterx"),
        ("7z a -phunterx a.7z b", "hunterx"),
        ("unrar x -hphunterx a.rar", "hunterx"),
        ("sqlcmd -S h -U sa -P hunterx", "hunterx"),
        ("ipmitool -H h -U a -P hunterx power on", "hunterx"),
        ('["run", "--password", "hunter2"] end', "hunter2"),
        ("redis://:hunter2@h:6379/0", "hunter2"),
        ("postgres://a:hun/ter2@h/db", "ter2"),
        (f"https://{KEY}@host/x", KEY),
        ("https://TOKEN@host/x", "TOKEN"),
        ('{"password": ["hunter2"]}', "hunter2"),
        ('{"secrets": {"a": "hunter2"}}', "hunter2"),
        ('{"name": "password", "value": "hunter2"}', "hunter2"),
        ('{"value": "hunter2", "name": "DB_PASSWORD"}', "hunter2"),
        ('{"Name": "Password", "Value": "hunterx"}', "hunterx"),
        ('{"VALUE": ["hunterx"], "Key": "api_key"}', "hunterx"),
        ('sent {"key": "api_key", "value": "hunter2"} to it', "hunter2"),
        ('sent {"password": {"a": {"b": "hunter2"}}} to it', "hunter2"),
        ('sent {"password": ["a]b", "hunter2"]} to it', "hunter2"),
        ("{'password': ['hunter2']}", "hunter2"),
        ('"password": [\n  "hunter2"\n]', "hunter2"),
        ("- name: DB_PASSWORD\n  value: hunter2", "hunter2"),
        ('{"auth": {"user": "bob", "pass": "hunter2"}}', "hunter2"),
        ('"{\\"a\\": \\"password: |\\\\n  hunter2\\"}"', "hunter2"),
        ('[["X-Api-Key", "hunter2"]]', "hunter2"),
        ("password: |\n  hunter2\n  more\nuser: bob", "hunter2"),
        ("token: >-\n  hunter2", "hunter2"),
        ("setx API_KEY hunter2", "hunter2"),
        ("curl -sSu bob:hunter2 h", "hunter2"),
        ("curl -u \\\n  bob:hunter2 h", "hunter2"),
        ("curl h \\\n  -u bob:hunter2", "hunter2"),
        ("curl --oauth2-bearer hunter2 h", "hunter2"),
        ("http --auth bob:hunter2 h", "hunter2"),
        ("ldapsearch -D cn=x -w hunter2", "hunter2"),
        ("smbclient -U bob%hunter2 //h/x", "hunter2"),
        ("htpasswd -b f bob hunter2", "hunter2"),
        ("htpasswd -nbB bob hunter2 && ls", "hunter2"),
        ("docker login -u x -phunterx", "hunterx"),
        ('client.login("bob", "hunter2")', "hunter2"),
        ("get(url, auth=('bob', 'hunter2'))", "hunter2"),
        ('{"code": "HTTPBasicAuth(\\"bob\\", \\"hunter2\\")"} end', "hunter2"),
        *((f"https://h/x?X-{who}-Signature={HEX * 4}&a=b", HEX) for who in ("Amz", "Goog")),
        ("keytool -storepass hunter2", "hunter2"),
        ("mysql \\\n  --password \\\n  hunter2", "hunter2"),
        ("sshpass -p \\\n hunter2 ssh h", "hunter2"),
        ("SSHPASS=hunter2", "hunter2"),
        ("password=hunter(2)x", "hunter"),
        ("password: hunter2(admin)", "hunter2"),
        ("password: pa()ss", "pa()"),
        ('TOKEN="$(echo hunter2)"', "hunter2"),
        ("password: config.hunter2", "hunter2"),
        ("token: self.a.9hunter", "9hunter"),
        ("Authorization: JWT hunterx", "hunterx"),
        ('password: "$hunter"', "hunter"),
        ('{"password": "${A}hunter"}', "hunter"),
        *(
            (f"{name}: hunterx", "hunterx")
            for name in ("Mot de passe ", "contraseña", "Contrasena")
        ),
        *(
            (f"{name}=hunterx", "hunterx")
            for name in ("db_senha", "Kennwort", "wachtwoord", "ПАРОЛЬ")
        ),
        *((f"{name}: hunter2", "hunter2") for name in ("clave", "Parola", "db_clave")),
        *((f"{name}: hunterx", "hunterx") for name in ("heslo", "passord", "Mật khẩu", "รหัสผ่าน")),
        *((f"{name}：hunterx", "hunterx") for name in ("密码", "口令", "パスワード", "비밀번호")),
        *((f'{{"{name}": "hunterx"}}', "hunterx") for name in ("MOT_DE_PASSE", "ŞİFRE", "dbPw")),
        ("DB_PW=hunterx pw=hunter2", "hunter"),
        ("using credentials: {user: bob, pw: hunterx}", "hunterx"),
        ("creds = {'user': 'bob', 'x': 'hunterx'}", "hunterx"),
        *((f"{name}={HEX * 2}", HEX) for name in ("PHPSESSID", "JSESSIONID", "ASP.NET_SessionId")),
        *((f"/x;jsessionid={HEX * 2}?a=b", HEX), (f"connect.sid=s%3A{KEY}.{KEY}", KEY)),
        (f'jar: {{"laravel_session": "{KEY}"}}', KEY),
        *((f"{name}=hunterx", "hunterx") for name in ("sessionid", "Cookie: a=b; sessionid")),
        *((f"{name}={KEY}", KEY) for name in ("sid", "session", "_rails_session", "?a=b&sid")),
        *((f"Cookie: {name}=hunterx", "hunterx") for name in ("sid", "a", "__Secure-id")),
        *((f"curl {name} a=hunterx h", "hunterx") for name in ("-b", "-sb", "--cookie")),
        ("curl -b 'a=b; sid=hunterx' h", "hunterx"),
        ("('Set-Cookie', 'sid=hunterx; Path=/')", "hunterx"),
        ('[["Set-Cookie", "sid=hunterx; Path=/"]]', "hunterx"),
        ('{"cookies": {"sid": "hunterx"}}', "hunterx"),
        ('{"cookies": [{"name": "sid", "value": "hunterx"}]}', "hunterx"),
        *((f"{name}: 4711", "4711") for name in ("PIN", "pin", "SIM PIN", "PIN code", "OTP")),
        *((f"{name}=471108", "471108") for name in ("card_pin", "userPin", "PUK", "?a=b&otp")),
        *((f"my PIN is {pin}", "4711") for pin in ("4711", "4711.", "'4711'")),
        *(
            (f'{{"{name}": {pin}}}', "4711")
            for name in ("pin", "x_otp")
            for pin in (4711, '"4711"')
        ),
        *(("tool --pin 4711", "4711"), ("PIN 4711", "4711"), ("<pin>4711</pin>", "4711")),
        ("REDISCLI_AUTH=hunter2", "hunter2"),
        ("password%3Dhunter2", "hunter2"),
        ("('password', 'hunter2')", "hunter2"),
        ("define('DB_PASSWORD', 'hunter2');", "hunter2"),
        ("Password for bob: hunter2", "hunter2"),
        ("new password 'hunter2' set", "hunter2"),
        ("password (hunter2)", "hunter2"),
        ("one-time password is 123456", "123456"),
        ("password → hunter2", "hunter2"),
        ("password -> hunter2", "hunter2"),
        ("**password**: hunter2", "hunter2"),
        ("| password | hunter2 |", "hunter2"),
        ("password\u00a0: hunter2", "hunter2"),
        ("\x1b[1mpassword\x1b[0m: \x1b[31mhunter2", "hunter2"),
        ("password: \\u001b[31mhunter2", "hunter2"),
        ("passwordConfirm=hunter2", "hunter2"),
        ("DB_PASSWORD_PROD=hunter2", "hunter2"),
        ("github_token_ci: hunter2", "hunter2"),
        ('{"API_KEY_OPENAI": "hunter2"}', "hunter2"),
        (f"passwordHash: {KEY}", KEY),
        (f"secret (base64) {KEY}==", KEY),
        (f"Authorization: Bearer\n  {KEY}", KEY),
        (f"bob:$6$salt${KEY}{KEY}{KEY}:19000:0", KEY),
        (f"$2b$12${KEY}{KEY}{KEY}abcde", KEY),
        (f"$argon2id$v=19$m=65536,t=3,p=4$c2FsdA${KEY}{KEY}", KEY),
        ('{"a": "-----BEGIN PRIVATE KEY-----\\nhunter2\\n-----END PRIVATE KEY-----"}', "hunter2"),
    ],
)
def test_a_secret_that_its_place_gives_away(text: str, secret: str) -> None:
    clean = redact(text)
    assert secret not in clean
    assert REDACTED in clean
    assert redact(clean) == clean


@pytest.mark.parametrize(
    "token",
    [
        *(f"npm_{KEY}{KEY}", f"hf_{KEY}{KEY}", f"SG.{KEY}aaaaaa.{KEY}{KEY}", f"ya29.{KEY}{KEY}"),
        *(f"glrt-{KEY}{KEY}", f"dckr_pat_{KEY}{KEY}", f"GOCSPX-{KEY}{KEY}", f"pypi-{KEY}{KEY}"),
        *(f"gsk_{KEY}{KEY}", f"xai-{KEY}{KEY}", f"hvs.{KEY}{KEY}", f"whsec_{KEY}{KEY}"),
        *("dapi" + "0123456789abcdef" * 2, "shpat_" + "0123456789abcdef" * 2),
        *(f"123456789:AA{KEY}{KEY}x", f"https://hooks.slack.com/services/T000/B000/{KEY}"),
        *(f"{start}{KEY * 3}" for start in ("nvapi-", "fw_", "tgp_v1_", "jina_", "AQ.Ab8", "rpa_")),
        *(f"{start}{KEY * 3}" for start in ("AKID", "AQVN", "vercel_blob_rw_", "vcp_", "vck_")),
        *(f"{start}{KEY * 3}" for start in ("cfut_", "cfk_", "glffct-", "glwt-", "sk_org_live_")),
        *(f"{start}{KEY * 3}" for start in ("tskey-auth-k123-", "npg_", "apify_api_", "phx_")),
        *(f"{start}{KEY * 7}" for start in ("EAAB", "IGQ", "sl.u.", "CFPAT-", "wandb_v1_")),
        *(f"{start}{HEX * 4}" for start in ("csk-", "crsr_", "key_", "dtn_", "napi_", "ctx7sk-")),
        *(
            f"fc-{HEX * 2}",
            f"sk_{HEX * 3}",
            f"e2b_{HEX * 2}01234567",
            f"v1.0-{HEX}01234567-{HEX * 9}",
        ),
        *(f"pa-{KEY}{KEY}{KEY[:11]}", f"BSA{KEY}{KEY[:12]}", f"pat{KEY[:14]}.{HEX * 4}"),
        *(
            f"a1B8Q~{KEY}{KEY[:15]}",
            f"{KEY[:14]}.atlasv1.{KEY * 4}",
            f"sha256~{KEY}{KEY}{KEY[:11]}",
        ),
        *(f"eyJrIjoi{KEY * 4}", "sdk-01234567-89ab-4cde-8f01-23456789abcd"),
        f"https://ptb.discord.com/api/v10/webhooks/123456789012345678/{KEY}{KEY}",
        *(
            f"{bot}.GabcdE.{KEY}{KEY}"
            for bot in ("MTk4NjIyNDgzNDcxOTI1MjQ4", "MTA4NjIyNDgzNDcxOTI1MjQ4OQ")
        ),
        f"OTk4NjIyNDgzNDcxOTI1MjQ.Cl2FMQ.{KEY}{KEY[:11]}",
        f"https://a.webhook.office.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/{HEX * 2}/{UUID}",
    ],
)
def test_a_token_that_its_format_gives_away(token: str) -> None:
    for text in (f"used {token} here", f"x={token}", f'"{token}"', f"line\\n{token}"):
        assert token[-12:] not in redact(text)


def test_every_row_of_the_formats_is_reached() -> None:
    assert all(pattern.startswith(re.escape(prefix[0])) for prefix, pattern in TOKENS)
    assert len({compile_once(pattern) for _, pattern in TOKENS}) == len(TOKENS) > 80


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"before sk-ant-{KEY} after", f"before {REDACTED} after"),
        (f"call with Authorization: Bearer {KEY} failed", None),
        (f"call with Cookie: a={KEY} failed", None),
        (f"call with password={KEY} failed", None),
        (f'{{"call": 1, "with": "x", "token": "{KEY}", "failed": true}}', None),
        (f'{{"with": "{{\\"token\\": \\"{KEY}\\"}}", "call": "failed"}}', None),
    ],
)
def test_the_words_around_a_secret_stay(text: str, clean: str | None) -> None:
    if clean is not None:
        assert redact(text) == clean
    else:
        assert all(word in redact(text) for word in ("call", "with", "failed"))


@pytest.mark.parametrize(
    "text",
    [
        "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "session 7c1f0a52-3a35-4a5e-9f0c-6f5b1b9f6d2e started",
        "tokens_used=42 max_tokens: 4096",
        "1500 tokens, 3 cache hits",
        "basic authentication enabled",
        "bearer authentication is not configured",
        "secrets: none found, keyboard shortcuts: 12",
        "tokenizer=bpe keys=7 monkey: banana",
        "password reset requested by the user",
        "risk-assessment-of-all-modules done",
        "task-20260220-091200 finished",
        "loki_notifications_unacknowledged_total 3",
        "http://localhost:57374/api/status answered 200",
        'fetch("http://host:80"), mail "a@example.com"',
        "https://example.com:443/users?mail=a@example.com",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "[ERROR] Cannot find module './auth/tokens.js'",
        "npm install --save-dev eslint",
        "----- BEGIN OF REPORT -----",
        "token budget: 5000, tokens: 12000, max_tokens=4096",
        "time to first token: 300ms, time per token: 0.02s, cost per token: $0.003",
        "key_of_the_first_entry pa-rental-leave-and-other-absences-of-a-colleague",
        f"image@sha256:{HEX * 4} task key_{HEX} layer sha256~{HEX}",
        "password reset flow, the password is required",
        "password is base64-encoded",
        "password: string; apiKey?: string; token: null",
        "password:\nusername: bob",
        "secret:\n   name: foo",
        "key: value, primary key: id, cache_key: user-list-v2",
        "key-value store, cookie banner, Authorization header missing",
        "PWD=/home/me make",
        "pw:api => page.goto started, pwsh: 7, session_id: a1b2, sessionId=a1b2 session: b1",
        f"session={UUID} session=20260220-091200 sid=42 sid: abc session=running inside=1",
        f"spinning: 1234, gpio pin: 13, pin=7, pins: 4000, pin13: 1024, pinned: 2026, sid={HEX}",
        "pin: 1.2.3, pin the version 2024, OTP 26, OTP=26.2.1, shopping: 4000, pin is 13",
        "self._cookies = {}; credentials = {}, 'password': [], cookies={} end",
        "palabra clave: seguridad, clave primaria: id, enclave: prod22, parola: ciao",
        "cookies: enabled, the cookies are set, curl -b cookies.txt h, ('cookie', 'banner')",
        "credentials: include, credentials=same-origin, credentials: [optional]",
        "passe: 12 tests, contraseña incorrecta, пароль неверный, mot de passe oublié",
        '{"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "[UNK]"}',
        "pad_token=<pad> mask_token: [MASK]",
        "PASS: 12, FAIL: 3, pass=12 fail=3, bypass: yes",
        "author: Bob Smith, authentication: enabled by default",
        "ssh://git@github.com/x/y git+ssh://git@github.com:org/repo@v1",
        "https://alice@example.com/r.git https://unpkg.com/react@18",
        "http://localhost:5173/@vite/client s3://bucket/key@v1",
        "docker run -u 1000:1000 img && mkdir -p src/app",
        "rsync a.zip -P host: && cp -P b.7z c; mkdir a.rar -parents; 7z a -p a.7z; zip -P",
        "openssl req -key /home/me/k.pem -keyout k.pem",
        "Private-Lines: 14 is the head of a block",
        "model claude-sonnet-4-5-20250929, gpt-4o-2024-08-06",
        "commit key 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "key iteration-7-council in tests/services/test_redaction_of_lines2.py",
    ],
)
def test_a_harmless_line_is_left_alone(text: str) -> None:
    assert redact(text) == text
    assert redact_lines([text]) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "the rule for a password: it must have twelve characters, then save",
        "password: must be at least 8 characters",
        "Invalid password: please try again",
        "secret: see the vault documentation for how to rotate",
        "token: expected ')' but found ';' at line 12",
        "api key: not configured, cookie: enabled",
        "private key: /home/me/.ssh/id_rsa, password file: /run/secrets/db",
        "authorization: handled by the gateway",
        "password: bool = False",
        "PASSWORD=$DB_PASSWORD password: ${DB_PASSWORD}",
        "password: process.env.DB_PASSWORD",
        "password: {{ .Values.password }}",
        "password = os.environ['DB_PASSWORD']",
        'password = os.getenv("X"); secret = getpass.getpass(); key_token = read("f")["a"]',
        "const token = await getToken(); secret = generateSecret(32); api_key = new Key()",
        "password: z.string().min(8), token = response.json()['token'], secret = config['a']",
        "api_key = settings.api_key; token = self.token; password = var.db_password",
        "token = jwt.sign(payload, secret), password: Optional[str] = None",
        "Token: JWT, token: JSON",
        'PASSWORD="$(cat /run/secrets/db)" TOKEN=$(gh auth token) run',
        'password="${PASSWORD}" token: "$TOKEN" password: ${{ secrets.PASSWORD }}',
        '{"env": {"API_KEY": "${API_KEY}"}, "headers": {"token": "{{ token }}"}}',
        "const { password, token } = req.body; fill('password', 'email')",
        "token_type=bearer token_count=512 TOKEN_LIMIT=4k TOKEN_URL=https://h1/x",
        "PASS src/auth/login2.test.ts, bypass=rule12",
        "the password src/login2.ts, a password base64-encoded, password 4b825dc642",
        "docker run -u 1000:1000 img; ls -u a:b",
        "login('email', 'password'), page.login(\"/login\", \"is redirected\"), auth=('a', b)",
    ],
)
def test_words_about_secrets_are_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", ["password", "secret"])
def test_a_sentence_loses_one_word_at_most(name: str) -> None:
    text = f"Show the {name}: prefix was lost when users type it twice. Then commit 4b825dc6."
    assert redact(text) == text.replace("prefix", REDACTED)


@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        (["db:", "  password:", "    hunter2", "  user: bob"], 2),
        (["db:", "  token: |", "    hunter2", "  user: bob"], 2),
        (['"password":', '  "hunter2"', "}"], 1),
        (['{"name": "DB_PASSWORD",', '"value": "hunter2"', "}"], 1),
        (["- name: DB_PASSWORD", "  value: hunter2", "- name: HOME"], 1),
        (["curl -u \\", "  bob:hunter2 h", "done"], 1),
        (["curl h \\", "  -u bob:hunter2", "done"], 1),
        (["mysql \\", "  --password \\", "  hunter2", "done"], 2),
        (["Authorization: Bearer", f"  {KEY}", "done"], 1),
        (["login bob", "  password hunterx", "done"], 1),
        (["password: [", "  'hunter2',", "  'b'", "]", "done"], 1),
    ],
)
def test_a_value_in_the_line_below_its_name(lines: list[str], hidden: int) -> None:
    clean = redact_lines(lines)
    assert len(clean) == len(lines)
    assert REDACTED in clean[hidden]
    assert clean[-1] == lines[-1]
    assert not any(secret in "".join(clean) for secret in ("hunter", KEY))


SSH2 = [
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
    'Comment: "a key"',
    KEY * 4,
    "---- END SSH2 ENCRYPTED PRIVATE KEY ----",
]
PUTTY = ["Private-Lines: 2", KEY * 4, KEY, f"Private-MAC: {HEX * 4}"]
PEM = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBg", f"{KEY * 4}", "-----END PRIVATE KEY-----"]


@pytest.mark.parametrize(
    ("lines", "hidden"),
    [
        (["one", *PEM, "two"], {1, 2, 3, 4}),
        (["one", *PEM[:-1], "the end is missing here"], {1, 2, 3}),
        ([PEM[2], PEM[2], PEM[3], "two"], {0, 1, 2}),
        (["pattern '-----BEGIN PRIVATE KEY-----' is searched", "one", "two"], {0}),
        (["one", " ".join(PEM), "two"], {1}),
        ([*PEM, "between", *PEM], {0, 1, 2, 3, 5, 6, 7, 8}),
        (["one", *SSH2, "two"], {1, 2, 3, 4}),
        (["one", *SSH2[:-1], "the end is missing here"], {1, 2, 3}),
        (["Public-Lines: 1", "AAAA", *PUTTY, "two"], {2, 3, 4, 5}),
        ([PUTTY[1], PUTTY[3], "two"], {0, 1}),
        (["one", "\\n".join(PUTTY), "two"], {1}),
    ],
)
def test_key_blocks_over_several_lines(lines: list[str], hidden: set[int]) -> None:
    clean = redact_lines(lines)
    assert len(clean) == len(lines)
    assert {index for index, line in enumerate(clean) if REDACTED in line} >= hidden
    kept = set(range(len(lines))) - hidden
    assert all(clean[index] == lines[index] for index in kept if lines[index] not in PEM)
    assert KEY not in "".join(clean)


def test_values_within_an_object_are_redacted_by_their_look_and_by_their_key() -> None:
    value = {"a": [f"sk-ant-{KEY}", 1, None], "api_key": "short", "n": {"name": "demo"}}
    clean = {"a": [REDACTED, 1, None], "api_key": REDACTED, "n": {"name": "demo"}}
    assert redact_within(value) == clean


def test_values_below_a_secret_name_are_redacted_however_deep() -> None:
    value = {
        "password": ["x", {"y": "z", "n": 1}],
        "token": 5,
        "tokens": {"input": 12000},
        "args": ["--token", "x", "--verbose", "y"],
        "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "HOME", "value": "/root"}],
        f"ghp_{KEY}{KEY}": True,
    }
    assert redact_within(value) == {
        "password": [REDACTED, {"y": REDACTED, "n": REDACTED}],
        "token": 5,
        "tokens": {"input": 12000},
        "args": ["--token", REDACTED, "--verbose", "y"],
        "env": [{"name": "DB_PASSWORD", "value": REDACTED}, {"name": "HOME", "value": "/root"}],
        REDACTED: True,
    }


def test_a_text_that_is_json_stays_json() -> None:
    text = json.dumps({"value": "ü\n", "token": "x", "n": [1.5, None]})
    assert json.loads(redact(text)) == {"value": "ü\n", "token": REDACTED, "n": [1.5, None]}
    assert redact('{"n":1,  "key": "plain"}') == '{"n":1,  "key": "plain"}'


# A name and a hash that is no secret, and tokens that the fixture itself calls no secret.
_SECRETS_OF_THE_FIXTURE = ("ANTHROPIC_API_KEY", "loki_FIXTURE", "loki_xxx")


def test_ordinary_lines_of_a_recorded_session_are_left_alone() -> None:
    files = [path for path in FIXTURE.parent.rglob("*") if path.is_file() and path.suffix != ".py"]
    lines = [line for path in files for line in _lines(path)]
    assert len(lines) > 3000
    changed = [line for line in lines if redact(line) != line]
    assert [
        line for line in changed if not any(key in line for key in _SECRETS_OF_THE_FIXTURE)
    ] == []


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        *("-eyJaaaaaaaa", "eyJaaaaaaaa.eyJaaaaaaaa", "loki_", "loki_aaaaaaaaaaaaaaaaaaa.", "sk-"),
        *("a://b:", "aa://a@", "authorization:", "authorization: a=", "authorization: a ,"),
        *("cookie: a;", "cookie:;", "cookie ", "bearer ", "bearer aaaaaaa", "password ", 'token:"'),
        *(
            "token:\\",
            'secret="\\',
            "--token ",
            "-----BEGIN A-----",
            "-----END A-----",
            "-----BEGIN ",
        ),
        *(
            "pin: 4711",
            "sid=",
            "curl -b a=",
            "session=a",
            "AKIA",
            "ghp_",
            "xoxa-",
            "_live_",
            "key: ",
            "key:::",
            "\\n",
            "= ",
            "a",
            " ",
        ),
        *("-", "=", ":", '"', "'", "\\", "{", "[", '{"key":', '"password":[', "password:[\n"),
        *("eyJ", "a=", "://", "x://a:@", "password", "password: ", "password: a ", "password=,a"),
        *("key", "key=", "key='", 'key="\\"', "key\n", "key is ", "key>", "pwd=/", "pass=1,"),
        *("SG.", "npm_", " -u a:b", "curl -u a:b ", " -pa", '"name":"key","value":', "sig=%"),
        *(
            "token=a.",
            "token=a()",
            "token=self.a.",
            "key=$(a ",
            'key="$A',
            "creds: {",
            "Private-Lines: 1\n",
            "пароль: a ",
            "7z -pa ",
            "NTk4NTk4NTk4NTk4NTk4.aaaaaa.",
        ),
        *("\u0130", "identified by '", "login a password ", "hooks.slack.com/services/", "1//0"),
        *("echo a |", "<<< a", "code=", "code: 1234, ", "cvv 1", "1 is your code ", "creds=a:b"),
        *("net use \\\\a /a ", "vault kv put -a ", '"-p","a",', "ENV TOKEN a ", "session="),
        *("password is aaaa ", "setPassword('", "%7C"),
    ],
)
@pytest.mark.parametrize("start", ["", "token", "authorization:", "cookie: ", "http://a:", 'key="'])
def test_the_work_grows_with_the_length_of_a_hostile_text_only(start: str, piece: str) -> None:
    short, long = (_calls((start + piece * size)[:size]) for size in (512, 2048))
    assert long <= 5 * short + 100
    assert long <= 16 * 2048


@pytest.mark.parametrize(
    "opening", ['{"name":"a","key":"b","value":', '{"command":"a","args":[', '["-p","a",']
)
def test_the_work_does_not_double_with_each_level_of_an_object(opening: str) -> None:
    closing = {"{": "}", "[": "]"}
    ends = "".join(closing[mark] for mark in reversed(opening) if mark in closing)
    short, long = (_calls(opening * depth + '"password=a"' + ends * depth) for depth in (3, 8))
    assert long <= 5 * short


@pytest.mark.parametrize("line", ["a token that is redacted once: {}", "password={}xK9vQ2 once"])
def test_a_line_is_redacted_once(line: str) -> None:
    lines = [line.format(index) for index in range(400)]
    first, again, more = (_calls_of_lines(lines[start:]) for start in (200, 200, 0))
    assert again < first / 3
    assert more < 1.5 * first


@pytest.mark.slow
@pytest.mark.parametrize(("step", "most"), [(1000, 100_000), (1, 2_500_000)])
def test_redacted_lines_use_little_memory_and_secrets_stay_hidden(step: int, most: int) -> None:
    lines = [f"line {index} of many" for index in range(40_000)]
    lines[::step] = [f"password={index}xK9vQ2" for index in range(40_000 // step)]
    expected = [f"password={REDACTED}" if "=" in line else line for line in lines]
    redact_lines(lines[:10])
    with tracing_memory() as memory:
        for _ in range(2):
            assert redact_lines(lines) == expected
        gc.collect()
    assert memory.kept < most


@pytest.mark.slow
def test_secrets_in_lines_that_were_redacted_are_forgotten_in_the_end() -> None:
    line = "password=xK9vQ2 of test_secrets_in_lines_that_were_redacted_are_forgotten"
    first, again = _calls_of_lines([line]), _calls_of_lines([line])
    for index in range(80):
        redact_lines([f"password={index}xK9vQ2 {'a b ' * 16384}"])
    assert _calls_of_lines([line]) == first > again


def _calls_of_lines(lines: list[str]) -> int:
    compile_all()
    return count_calls(lambda: redact_lines(lines))


def test_many_beginnings_of_key_blocks_are_read_once() -> None:
    lines = [PEM[0], f"{KEY}{KEY}"] * 1000
    assert KEY not in "".join(redact_lines(lines))
    short, long = (_calls("\n".join(lines[:size])) for size in (500, 2000))
    assert long <= 5 * short


def _calls(text: str) -> int:
    """Count the calls that redacting a text takes, as a text and as lines.

    A number makes the text and its last line new: lines that were redacted before are remembered.
    """
    compile_all()
    text = f"{text} {next(_numbers)}"
    return count_calls(lambda: (redact(text), redact_lines(text.split("\n"))))


@cache
def compile_all() -> None:
    """Compile the formats of tokens, which otherwise adds to the calls of the first text."""
    for _, pattern in TOKENS:
        compile_once(pattern)
