"""Formats of well-known secrets, as data.

Origin: the plugins of detect-secrets 1.5 (Apache-2.0) and the rules of gitleaks 8 (MIT), reduced to
formats with a fixed prefix. To add one, add a row: prefix, pattern of the rest, issuer. A pattern
must fail within a bounded number of characters or consume what it has read, so that a text that
consists only of prefixes is searched in linear time. Together, prefix and rest must have a run of
at least `SHORTEST_RUN` letters, digits, dots, dashes and underscores.
"""

import re
from functools import cache

SHORTEST_RUN = 15
_LONG = "[A-Za-z0-9_-]{16,}+"
_ALNUM = "[A-Za-z0-9]{16,}+"
_DISCORD_WEBHOOK = r"(?:v[0-9]{1,2}/)?webhooks/[0-9]{10,24}/[A-Za-z0-9_-]{16,}+"
# The id of a bot, 17 to 19 digits in Base64, then a time and a signature.
_DISCORD_BOT = (
    r"[DTjz][AEIMQUYcgk][w-z0-5](?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){4,5}[A-Za-z]{0,3}"
    r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}+"
)

_ROWS = (
    ("sk-", r"[A-Za-z0-9_-]{12,}+", "OpenAI, Anthropic, OpenRouter, DeepSeek"),
    ("sk_live_", r"[A-Za-z0-9]{10,}+", "Stripe"),
    ("sk_test_", r"[A-Za-z0-9]{10,}+", "Stripe"),
    ("rk_live_", r"[A-Za-z0-9]{10,}+", "Stripe"),
    ("rk_test_", r"[A-Za-z0-9]{10,}+", "Stripe"),
    ("sk_org_", r"(?:live|test)_[A-Za-z0-9]{10,}+", "Stripe"),
    ("whsec_", r"[A-Za-z0-9+/=]{16,}+", "Stripe, Svix"),
    ("ghp_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("gho_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("ghu_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("ghs_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("ghr_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("github_pat_", r"[A-Za-z0-9_]{16,}+", "GitHub"),
    ("glpat-", r"[A-Za-z0-9_.-]{16,}+", "GitLab"),
    ("gldt-", _LONG, "GitLab deploy"),
    ("glft-", _LONG, "GitLab feed"),
    ("glrt-", _LONG, "GitLab runner"),
    ("glsoat-", _LONG, "GitLab SCIM"),
    ("glcbt-", _LONG, "GitLab CI build"),
    ("glimt-", _LONG, "GitLab incoming mail"),
    ("glptt-", _LONG, "GitLab trigger"),
    ("glagent-", _LONG, "GitLab agent"),
    ("gloas-", _LONG, "GitLab OAuth"),
    ("glffct-", _LONG, "GitLab feature flags"),
    ("glwt-", _LONG, "GitLab workspace"),
    ("GR1348941", _LONG, "GitLab runner registration"),
    ("AKIA", r"[A-Z0-9]{16}+", "AWS"),
    ("ASIA", r"[A-Z0-9]{16}+", "AWS"),
    ("ABIA", r"[A-Z0-9]{16}+", "AWS"),
    ("ACCA", r"[A-Z0-9]{16}+", "AWS"),
    ("ABSK", r"[A-Za-z0-9+/=]{40,}+", "AWS Bedrock"),
    ("LTAI", r"[A-Za-z0-9]{16,}+", "Alibaba Cloud"),
    ("AKID", r"[A-Za-z0-9]{32,}+", "Tencent Cloud"),
    ("AQVN", r"[A-Za-z0-9_-]{35,}+", "Yandex Cloud"),
    ("~", r"(?<=[0-9]Q~)[A-Za-z0-9_.~-]{31,40}+", "Azure application"),
    ("xox", r"[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}+", "Slack"),
    ("xapp-", r"[A-Za-z0-9-]{12,}+", "Slack"),
    ("hooks.slack.com/", r"(?:services|workflows|triggers)/[A-Za-z0-9/_-]{16,}+", "Slack webhook"),
    (".webhook.office.com/webhookb2/", r"[A-Za-z0-9@/_-]{36,}+", "Teams webhook"),
    ("outlook.office.com/webhook/", r"[A-Za-z0-9@/_-]{36,}+", "Teams webhook"),
    ("discord.com/api/", _DISCORD_WEBHOOK, "Discord webhook"),
    ("discordapp.com/api/", _DISCORD_WEBHOOK, "Discord webhook"),
    *((first, _DISCORD_BOT, "Discord bot") for first in "MNO"),
    (":AA", r"(?<=[0-9]{8}:AA)[A-Za-z0-9_-]{30,40}+", "Telegram bot"),
    ("AIza", r"[A-Za-z0-9_-]{30,}+", "Google API"),
    ("AQ.A", r"[A-Za-z0-9_-]{40,}+", "Google API"),
    ("ya29.", r"[A-Za-z0-9_.-]{16,}+", "Google OAuth"),
    ("GOCSPX-", _LONG, "Google OAuth client"),
    ("1//0", r"[A-Za-z0-9_-]{30,}+", "Google refresh"),
    ("npm_", _ALNUM, "npm"),
    ("pypi-", r"[A-Za-z0-9_-]{24,}+", "PyPI"),
    ("rubygems_", _ALNUM, "RubyGems"),
    ("CLOJARS_", _ALNUM, "Clojars"),
    ("hf_", _ALNUM, "Hugging Face"),
    ("api_org_", _ALNUM, "Hugging Face organization"),
    ("gsk_", _ALNUM, "Groq"),
    ("xai-", _LONG, "xAI"),
    ("nvapi-", _LONG, "NVIDIA"),
    ("fw_", r"[A-Za-z0-9]{20,}+", "Fireworks"),
    ("csk-", r"[a-z0-9]{32,}+", "Cerebras"),
    ("tgp_v1_", _LONG, "Together"),
    ("jina_", r"[A-Za-z0-9_-]{40,}+", "Jina"),
    ("pa-", r"(?=[a-z_-]{0,42}+[A-Z0-9])[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "Voyage"),
    ("sk_", r"[0-9a-f]{48}+", "ElevenLabs"),
    ("rpa_", r"[A-Za-z0-9]{40,}+", "RunPod"),
    ("wandb_v1_", _LONG, "Weights & Biases"),
    ("crsr_", r"[0-9a-f]{40,}+", "Cursor"),
    ("key_", r"[0-9a-f]{64}+", "Cursor"),
    ("e2b_", r"[0-9a-f]{40}+", "E2B"),
    ("dtn_", r"[0-9a-f]{40,}+", "Daytona"),
    ("fc-", r"[0-9a-f]{32}(?![0-9A-Za-z])", "Firecrawl"),
    ("ctx7sk-", r"[0-9a-f-]{32,}+", "Context7"),
    ("BSA", r"(?=[A-Za-z_-]{0,27}+[0-9])[A-Za-z0-9_-]{28}(?![A-Za-z0-9_-])", "Brave Search"),
    ("apify_api_", _ALNUM, "Apify"),
    ("phx_", r"[A-Za-z0-9_-]{40,}+", "PostHog"),
    ("pplx-", _ALNUM, "Perplexity"),
    ("r8_", _ALNUM, "Replicate"),
    ("tvly-", _LONG, "Tavily"),
    ("lsv2_", r"(?:pt|sk)_[A-Za-z0-9_]{16,}+", "LangSmith"),
    ("SG.", r"[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,}+", "SendGrid"),
    ("xkeysib-", _LONG, "Brevo"),
    ("key-", r"[0-9a-f]{32}+", "Mailgun"),
    ("re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}+", "Resend"),
    ("AC", r"[0-9a-f]{32}(?![0-9a-zA-Z])", "Twilio account"),
    ("SK", r"[0-9a-f]{32}(?![0-9a-zA-Z])", "Twilio"),
    ("sq0", r"(?:csp|atp)-[A-Za-z0-9_-]{20,}+", "Square"),
    ("shpat_", r"[0-9a-fA-F]{32}+", "Shopify"),
    ("shpca_", r"[0-9a-fA-F]{32}+", "Shopify"),
    ("shppa_", r"[0-9a-fA-F]{32}+", "Shopify"),
    ("shpss_", r"[0-9a-fA-F]{32}+", "Shopify"),
    ("dop_v1_", _ALNUM, "DigitalOcean"),
    ("doo_v1_", _ALNUM, "DigitalOcean"),
    ("dor_v1_", _ALNUM, "DigitalOcean"),
    ("dckr_pat_", _LONG, "Docker"),
    ("dckr_oat_", _LONG, "Docker"),
    ("dapi", r"[0-9a-f]{32}(?:-[0-9])?", "Databricks"),
    ("lin_api_", _ALNUM, "Linear"),
    ("lin_oauth_", _ALNUM, "Linear"),
    ("ntn_", _ALNUM, "Notion"),
    ("secret_", r"[A-Za-z0-9]{40,}+", "Notion"),
    ("figd_", _LONG, "Figma"),
    ("PMAK-", _LONG, "Postman"),
    ("pscale_", r"(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{16,}+", "PlanetScale"),
    ("pul-", r"[0-9a-f]{40}+", "Pulumi"),
    ("hvs.", _LONG, "Vault"),
    ("hvb.", _LONG, "Vault"),
    ("hvr.", _LONG, "Vault"),
    ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{24,}+", "Doppler"),
    ("ops_eyJ", r"[A-Za-z0-9+/=_-]{24,}+", "1Password"),
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{40,}+", "age"),
    ("NRAK-", _ALNUM, "New Relic"),
    ("NRJS-", _ALNUM, "New Relic"),
    ("glsa_", r"[A-Za-z0-9_]{24,}+", "Grafana"),
    ("eyJrIjoi", r"[A-Za-z0-9]{60,}+={0,2}", "Grafana API"),
    ("glc_", r"[A-Za-z0-9+/=]{24,}+", "Grafana Cloud"),
    ("sntrys_", r"[A-Za-z0-9+/=_-]{24,}+", "Sentry"),
    ("sntryu_", _ALNUM, "Sentry"),
    ("fm2_", r"[A-Za-z0-9+/=_-]{24,}+", "Fly.io"),
    ("fo1_", _LONG, "Fly.io"),
    ("vercel_blob_rw_", _LONG, "Vercel"),
    *((f"vc{kind}_", r"[A-Za-z0-9]{24,}+", "Vercel") for kind in "piark"),
    *((f"cf{kind}_", r"[A-Za-z0-9]{40,}+", "Cloudflare") for kind in ("ut", "at", "k")),
    ("v1.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}+", "Cloudflare origin CA"),
    ("tskey-", r"[a-z]{2,10}-[A-Za-z0-9-]{16,}+", "Tailscale"),
    ("napi_", r"[a-z0-9]{40,}+", "Neon"),
    ("npg_", r"[A-Za-z0-9]{12,}+", "Neon"),
    ("pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}+", "Airtable"),
    ("CFPAT-", _LONG, "Contentful"),
    ("sdk-", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "LaunchDarkly"),
    ("sl.", r"(?:u\.)?[A-Za-z0-9_-]{100,}+", "Dropbox"),
    (".atlasv1.", r"[A-Za-z0-9_=-]{60,}+", "HCP Terraform"),
    ("sha256~", r"[A-Za-z0-9_-]{43}", "OpenShift"),
    ("sbp_", r"[0-9a-f]{40}+", "Supabase"),
    ("sb_secret_", _LONG, "Supabase"),
    ("nfp_", _ALNUM, "Netlify"),
    ("rnd_", _ALNUM, "Render"),
    ("HRKU-", _LONG, "Heroku"),
    ("CCIPAT_", _LONG, "CircleCI"),
    ("bkua_", _ALNUM, "Buildkite"),
    ("sgp_", r"[A-Za-z0-9_]{24,}+", "Sourcegraph"),
    ("ATATT3", r"[A-Za-z0-9_=-]{24,}+", "Atlassian"),
    ("ATCTT3", r"[A-Za-z0-9_=-]{24,}+", "Atlassian"),
    ("ATBB", r"[A-Za-z0-9_=-]{24,}+", "Bitbucket"),
    ("AKCp", r"[A-Za-z0-9]{32,}+", "Artifactory"),
    ("cmVmdGtu", r"[A-Za-z0-9]{32,}+", "Artifactory"),
    ("dt0c01.", r"[A-Z0-9]{24}\.[A-Z0-9]{24,}+", "Dynatrace"),
    ("EAAA", r"[A-Za-z0-9_-]{40,}+", "Square, Facebook"),
    ("EAA", r"[A-Za-z0-9]{80,}+", "Facebook"),
    ("IGQ", r"[A-Za-z0-9_-]{80,}+", "Instagram"),
    ("oy2", r"[a-z0-9]{43}(?![0-9a-zA-Z])", "NuGet"),
    ("eyJ", r"[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)*+", "JSON Web Token"),
    ("CfDJ8", r"[A-Za-z0-9_-]{16,}+", "ASP.NET Core cookie"),
    ("eyJpdiI6", r"[A-Za-z0-9+/=%_-]{40,}+", "Laravel cookie"),
    ("%7C", r"[0-9]{10}%7C[A-Za-z0-9]{15,}+(?:%7C[0-9a-f]{32,}+)?", "WordPress cookie"),
    ("PHNhbWxw", r"[A-Za-z0-9+/=%]{24,}+", "SAML response"),
    ("ST-", r"[0-9]{1,10}-(?=[a-z]{0,40}+[A-Z0-9])[A-Za-z0-9]{16,}+", "CAS ticket"),
    ("TGT-", r"[0-9]{1,10}-(?=[a-z]{0,40}+[A-Z0-9])[A-Za-z0-9]{16,}+", "CAS ticket"),
    ("$2", r"[aby]\$\d\d\$[A-Za-z0-9./]{50,}+", "hash of a password: bcrypt"),
    ("$apr1$", r"[^\s$:]{1,16}+\$[A-Za-z0-9./]{16,}+", "hash of a password: htpasswd"),
    ("$5$", r"[^\s:]{1,40}?\$[A-Za-z0-9./]{40,}+", "hash of a password: crypt"),
    ("$6$", r"[^\s:]{1,40}?\$[A-Za-z0-9./]{40,}+", "hash of a password: crypt"),
    ("$y$", r"[^\s:]{1,60}?\$[A-Za-z0-9./]{40,}+", "hash of a password: crypt"),
    ("$argon2", r"[a-z]{1,2}\$[^\s:]{1,60}?\$[A-Za-z0-9+/$]{16,}+", "hash of a password: Argon2"),
    ("loki_", r"(?=[a-z_-]{0,64}+[A-Z0-9])[A-Za-z0-9_-]{20,}+", "ours, unlike a metric's name"),
    ("loki_", r"[A-Za-z0-9_-]{40,}+", "ours"),
)


def _write_pattern(prefix: str, rest: str) -> str:
    """Return the pattern of a row. It begins with the prefix, which `re` searches as a literal.

    A prefix that begins with a letter or a digit begins a word, or follows an escaped line end.
    Only a whole run is tried as a web token: its dot may be far away.
    """
    literal = re.escape(prefix)
    if not prefix[0].isalnum():
        return literal + rest
    within = "A-Za-z0-9_-" if prefix == "eyJ" else "A-Za-z0-9"
    return rf"{literal}(?:(?<![{within}]{literal})|(?<=\\[nrt]{literal})){rest}"


TOKENS = tuple((prefix, _write_pattern(prefix, rest)) for prefix, rest, _ in _ROWS)


@cache
def compile_once(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of TOKENS when it is used: all took a sixth of a command's start."""
    return re.compile(pattern)
