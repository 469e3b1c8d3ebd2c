"""Prices per million tokens: `pricing.json` and the defaults (docs/files.md, section 10.3)."""

from dataclasses import dataclass
from typing import Any, TypedDict, cast

from loki_web.services.context import Sources
from loki_web.services.redaction import redact_within
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_amount, as_count, as_dict, first_amount, first_text
from loki_web.store.derived import derived

FALLBACK_MODEL = "sonnet"


class ModelPriceDict(TypedDict):
    """USD per million tokens of one model."""

    input: float
    output: float
    label: str
    provider: str


class PricingDict(TypedDict):
    """The prices of the models, and where they come from."""

    provider: str
    updated: str
    source: str
    models: dict[str, ModelPriceDict]


_DEFAULTS_DATE = "2026-02-07"
_DEFAULTS: dict[str, ModelPriceDict] = {
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
# Of cached tokens: key in the price list, and the context tracker's price without one, as a factor
# of the price of new input.
_CACHED = {
    "cache_read_tokens": ("cache_read", 0.1),
    "cache_creation_tokens": ("cache_write", 1.25),
}


@dataclass(frozen=True)
class PriceList:
    """The prices that costs are computed with.

    :param models: by model name in lower case, in USD per million tokens.
    """

    models: dict[str, ModelPriceDict]

    def has_prices(self, model: str) -> bool:
        """Return True when the list has prices for the model, in any case of letters."""
        return model.lower() in self.models

    def compute_cost(self, model: str, tokens: Json) -> float:
        """Return the cost in USD of a record's tokens, including cached ones.

        An unknown model has the prices of sonnet. Newer price lists have `cache_read` and
        `cache_write`.
        """
        prices = self.models.get(model.lower()) or self.models[FALLBACK_MODEL]
        usd = as_count(tokens.get("input_tokens")) * prices["input"]
        usd += as_count(tokens.get("output_tokens")) * prices["output"]
        for kind, (name, factor) in _CACHED.items():
            count = as_count(tokens.get(kind))
            if count:
                price = as_amount(prices.get(name))
                usd += count * (factor * prices["input"] if price is None else price)
        return float(usd) / 1e6


def get_pricing(sources: Sources) -> PricingDict:
    """Return `pricing.json` with its usable models, or the defaults when it has none."""
    content = redact_within(as_dict(sources.project.document("pricing.json")))
    models = _parse_models(content)
    if not models:
        content, models = {"updated": _DEFAULTS_DATE}, _DEFAULTS
    documented: PricingDict = {
        "provider": first_text(content.get("provider"), state.get_provider(sources)),
        "updated": first_text(content.get("updated")),
        "source": first_text(content.get("source"), default="static"),
        "models": models,
    }
    return cast(PricingDict, {**content, **documented})


@derived
def get_price_list(sources: Sources) -> PriceList:
    """Return the prices that costs are computed with: the defaults, overridden by the file's."""
    models = _parse_models(as_dict(sources.project.document("pricing.json")))
    return PriceList(_DEFAULTS | {name.lower(): prices for name, prices in models.items()})


def _parse_models(content: Json) -> dict[str, ModelPriceDict]:
    entries = as_dict(content.get("models")).items()
    models = {name: _parse_model(name, value) for name, value in entries}
    return {name: model for name, model in models.items() if model is not None}


def _parse_model(name: str, value: Any) -> ModelPriceDict | None:
    """Return the prices of one model.

    An unusable price is replaced by the default; without a default, return None.
    """
    entry, default = as_dict(value), as_dict(_DEFAULTS.get(name.lower()))
    input_price = first_amount(entry.get("input"), default.get("input"))
    output_price = first_amount(entry.get("output"), default.get("output"))
    if input_price is None or output_price is None:
        return None
    documented: ModelPriceDict = {
        "input": input_price,
        "output": output_price,
        "label": first_text(entry.get("label"), default.get("label"), default=name),
        "provider": first_text(entry.get("provider"), default.get("provider")),
    }
    return cast(ModelPriceDict, {**entry, **documented})
