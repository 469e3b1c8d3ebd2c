"""What a million tokens cost: `pricing.json`, and the defaults where it says nothing usable."""

from dataclasses import dataclass
from typing import Any

from loki_web.services.redaction import redact_within
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, first_text
from loki_web.store.derived import derived
from loki_web.store.folder import Folder

FALLBACK_MODEL = "sonnet"
_DEFAULTS_DATE = "2026-02-07"
_DEFAULTS: dict[str, Json] = {
    "opus": {"input": 5.0, "output": 25.0, "label": "Opus 4.6", "provider": "claude"},
    "sonnet": {"input": 3.0, "output": 15.0, "label": "Sonnet 4.5", "provider": "claude"},
    "haiku": {"input": 1.0, "output": 5.0, "label": "Haiku 4.5", "provider": "claude"},
    "gpt-5.3-codex": {
        "input": 1.5,
        "output": 12.0,
        "label": "GPT-5.3 Codex",
        "provider": "codex",
    },
    "gemini-3-pro": {
        "input": 1.25,
        "output": 10.0,
        "label": "Gemini 3 Pro",
        "provider": "gemini",
    },
    "gemini-3-flash": {
        "input": 0.1,
        "output": 0.4,
        "label": "Gemini 3 Flash",
        "provider": "gemini",
    },
}
# What the context tracker charges for cached tokens, in prices of fresh input.
_CACHE_READ, _CACHE_CREATION = 0.1, 1.25


@dataclass(frozen=True)
class PriceList:
    """:param models: lower-cased model name → its prices in USD per million tokens."""

    models: dict[str, Json]

    def knows(self, model: str) -> bool:
        return model.lower() in self.models

    def cost(self, model: str, tokens: Json) -> float:
        """USD for the tokens of one record, cached ones too; an unknown model costs as sonnet."""
        prices = self.models.get(model.lower()) or self.models[FALLBACK_MODEL]
        fresh = as_count(tokens.get("input_tokens"))
        read = as_count(tokens.get("cache_read_tokens"))
        created = as_count(tokens.get("cache_creation_tokens"))
        written = as_count(tokens.get("output_tokens"))
        paid_as_input = fresh + _CACHE_READ * read + _CACHE_CREATION * created
        return float(paid_as_input * prices["input"] + written * prices["output"]) / 1e6


def get_pricing(folder: Folder) -> Json:
    """`pricing.json` with its usable models, or the defaults when it has none (`spec` 10.3)."""
    found = redact_within(as_dict(folder.document("pricing.json")))
    models = _models_in(found)
    if not models:
        found, models = {"updated": _DEFAULTS_DATE}, _DEFAULTS
    return {
        **found,
        "provider": first_text(found.get("provider"), state.get_provider(folder)),
        "updated": first_text(found.get("updated")),
        "source": first_text(found.get("source"), default="static"),
        "models": models,
    }


@derived
def get_price_list(folder: Folder) -> PriceList:
    """The prices by which tokens are charged: the file's, model by model, over the defaults."""
    stored = _models_in(as_dict(folder.document("pricing.json")))
    return PriceList(_DEFAULTS | {name.lower(): prices for name, prices in stored.items()})


def _models_in(found: Json) -> dict[str, Json]:
    listed = as_dict(found.get("models")).items()
    models = {name: _model(name, value) for name, value in listed}
    return {name: model for name, model in models.items() if model is not None}


def _model(name: str, value: Any) -> Json | None:
    """One model's prices; an unusable one is the default's, or else the model is left out."""
    found, default = as_dict(value), _DEFAULTS.get(name.lower(), {})
    prices = {}
    for side in ("input", "output"):
        price = as_amount(found.get(side))
        price = default.get(side) if price is None else price
        if price is None:
            return None
        prices[side] = price
    return {
        **found,
        **prices,
        "label": first_text(found.get("label"), default.get("label"), default=name),
        "provider": first_text(found.get("provider"), default.get("provider")),
    }
