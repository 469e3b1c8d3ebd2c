"""Schemas of the memory and its search."""

from marshmallow import INCLUDE, fields, validate

from loki_web.schemas.base import (
    NOT_BLANK,
    Answer,
    Body,
    Integral,
    OptionalBody,
    Query,
    Whole,
    limit,
    offset,
)

MAX_QUERY = 1000
MAX_RESULTS = 100
MAX_HOURS = 8760


class EpisodesQuery(Query):
    limit = limit(50)
    offset = offset()


class EpisodeCount(Answer):
    count = fields.Integer()
    latestDate = fields.String(metadata={"description": "Empty if no episode has a time"})  # noqa: N815


class PatternCounts(Answer):
    patterns = fields.Integer()
    antiPatterns = fields.Integer()  # noqa: N815


class SkillCount(Answer):
    skills = fields.Integer()


class Economics(Answer):
    EXAMPLE = {"discoveryTokens": 1000, "readTokens": 500, "savingsPercent": 50}

    discoveryTokens = fields.Integer()  # noqa: N815
    readTokens = fields.Integer()  # noqa: N815
    savingsPercent = fields.Float()  # noqa: N815


class Summary(Answer):
    EXAMPLE = {
        "episodic": {"count": 10, "latestDate": "2026-02-02T12:00:00Z"},
        "semantic": {"patterns": 5, "antiPatterns": 2},
        "procedural": {"skills": 3},
        "tokenEconomics": {"discoveryTokens": 1000, "readTokens": 500, "savingsPercent": 50},
    }

    episodic = fields.Nested(EpisodeCount)
    semantic = fields.Nested(PatternCounts)
    procedural = fields.Nested(SkillCount)
    tokenEconomics = fields.Nested(Economics)  # noqa: N815


class Episode(Answer):
    id = fields.String()
    timestamp = fields.String()
    taskId = fields.String()  # noqa: N815
    agent = fields.String()
    phase = fields.String()
    goal = fields.String()
    outcome = fields.String()
    durationSeconds = fields.Float()  # noqa: N815
    tokensUsed = fields.Integer()  # noqa: N815
    actionLog = fields.List(fields.Dict())  # noqa: N815


class Pattern(Answer):
    id = fields.String()
    pattern = fields.String()
    category = fields.String(metadata={"description": "`anti-pattern` for one to avoid"})
    confidence = fields.Float()
    usageCount = fields.Integer()  # noqa: N815
    conditions = fields.List(fields.String())
    correctApproach = fields.String()  # noqa: N815
    incorrectApproach = fields.String()  # noqa: N815


class Skill(Answer):
    id = fields.String()
    name = fields.String()
    description = fields.String()
    prerequisites = fields.List(fields.String())
    steps = fields.List(fields.String())
    exitCriteria = fields.List(fields.String())  # noqa: N815


class Index(Answer):
    topics = fields.List(fields.Dict())
    lastUpdated = fields.String(allow_none=True)  # noqa: N815


class Timeline(Answer):
    entries = fields.List(fields.Dict(), metadata={"description": "Newest first"})
    recent_actions = fields.List(fields.Dict())
    key_decisions = fields.List(fields.Dict())
    active_context = fields.Dict()
    lastUpdated = fields.String(allow_none=True)  # noqa: N815


class ConsolidateQuery(Query):
    hours = Whole(
        load_default=24,
        validate=validate.Range(1, MAX_HOURS),
        metadata={"description": "Hours to look back"},
    )


class ConsolidateBody(OptionalBody):
    EXAMPLE = {"sinceHours": 24}

    sinceHours = Integral(  # noqa: N815
        validate=validate.Range(1, MAX_HOURS),
        metadata={"description": "Same as `hours`; takes precedence"},
    )


class Consolidation(Answer):
    status = fields.String()
    message = fields.String()
    consolidated = fields.Integer()
    patternsCreated = fields.Integer()  # noqa: N815
    patternsMerged = fields.Integer()  # noqa: N815
    episodesProcessed = fields.Integer()  # noqa: N815
    episodesInWindow = fields.Integer()  # noqa: N815
    state = fields.Nested(Summary)


_IS_QUESTION = [validate.Length(max=MAX_QUERY), NOT_BLANK]


class RetrieveBody(Body):
    """Unknown keys are accepted and returned: existing clients send various extra keys."""

    EXAMPLE = {"query": "hash passwords", "taskType": "ACT", "topK": 10}

    class Meta:
        unknown = INCLUDE

    query = fields.String(
        validate=_IS_QUESTION,
        metadata={"description": "Without it and without `goal`, there are no results"},
    )
    goal = fields.String(validate=_IS_QUESTION, metadata={"description": "Another name of `query`"})
    taskType = fields.String(  # noqa: N815
        allow_none=True,
        validate=validate.Length(max=MAX_QUERY),
        metadata={"description": "Phase, category or type of task to rank higher"},
    )
    topK = Integral(  # noqa: N815
        allow_none=True,
        validate=validate.Range(1, MAX_RESULTS),
        metadata={"description": "Maximum number of results, 10 by default"},
    )
    top_k = Integral(
        allow_none=True,
        validate=validate.Range(1, MAX_RESULTS),
        metadata={"description": "Another name of `topK`"},
    )


class Part(Answer):
    text = fields.String()
    match = fields.Boolean()


class Matched(Answer):
    field = fields.String()
    words = fields.List(fields.String(), metadata={"description": "Words of the query"})
    snippet = fields.List(fields.Nested(Part), metadata={"description": "Consecutive parts"})


class Result(Answer):
    type = fields.String(validate=validate.OneOf(["episode", "pattern", "skill"]))
    id = fields.String()
    title = fields.String()
    summary = fields.String()
    score = fields.Float(metadata={"description": "Relevance, above 0 up to 1"})
    matched = fields.List(fields.Nested(Matched), metadata={"description": "Matched fields"})
    entry = fields.Dict(metadata={"description": "The episode, pattern or skill"})


class Retrieval(Answer):
    results = fields.List(fields.Nested(Result), metadata={"description": "Best first"})
    query = fields.Dict(metadata={"description": "The request body"})
    complete = fields.Boolean(metadata={"description": "False while the index is being built"})
