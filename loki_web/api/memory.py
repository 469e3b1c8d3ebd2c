"""Memory of the session: episodes, patterns and skills, with search."""

from loki_web.schemas import memory as shapes
from loki_web.services.memory import episodes, overview, patterns, search, skills
from loki_web.services.memory.episodes import EpisodeDict
from loki_web.services.memory.overview import (
    ConsolidationDict,
    EconomicsDict,
    IndexDict,
    SummaryDict,
    TimelineDict,
)
from loki_web.services.memory.patterns import PatternDict
from loki_web.services.memory.search import RetrievalDict
from loki_web.services.memory.skills import SkillDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("memory", __name__)


@blueprint.get("/api/memory/summary")
@blueprint.answers(200, shapes.Summary)
def get_summary() -> SummaryDict:
    """Get memory system summary."""
    return overview.get_summary(sources())


@blueprint.get("/api/memory/episodes")
@blueprint.query(shapes.EpisodesQuery)
@blueprint.answers(200, shapes.Episode, many=True)
def get_episodes(query: Json) -> list[EpisodeDict]:
    """List episodic memory entries, newest first."""
    return episodes.list_episodes(sources(), limit=query["limit"], offset=query["offset"])


@blueprint.get(
    "/api/memory/episodes/<episode_id>",
    parameters=blueprint.identified_by("episode_id", "Id of the episode"),
)
@blueprint.answers(200, shapes.Episode)
@blueprint.errors({404: "Episode not found"})
def get_episode(episode_id: str) -> EpisodeDict:
    """Get a specific episodic memory entry."""
    return episodes.get_episode(sources(), episode_id)


@blueprint.get("/api/memory/patterns")
@blueprint.answers(200, shapes.Pattern, many=True)
def get_patterns() -> list[PatternDict]:
    """List semantic patterns and anti-patterns."""
    return patterns.list_patterns(sources())


@blueprint.get(
    "/api/memory/patterns/<pattern_id>",
    parameters=blueprint.identified_by("pattern_id", "Id of the pattern"),
)
@blueprint.answers(200, shapes.Pattern)
@blueprint.errors({404: "Pattern not found"})
def get_pattern(pattern_id: str) -> PatternDict:
    """Get a specific semantic pattern."""
    return patterns.get_pattern(sources(), pattern_id)


@blueprint.get("/api/memory/skills")
@blueprint.answers(200, shapes.Skill, many=True)
def get_skills() -> list[SkillDict]:
    """List procedural skills."""
    return skills.list_skills(sources())


@blueprint.get(
    "/api/memory/skills/<skill_id>",
    parameters=blueprint.identified_by("skill_id", "Id of the skill, or the name of its file"),
)
@blueprint.answers(200, shapes.Skill)
@blueprint.errors({404: "Skill not found"})
def get_skill(skill_id: str) -> SkillDict:
    """Get a specific procedural skill."""
    return skills.get_skill(sources(), skill_id)


@blueprint.get("/api/memory/economics")
@blueprint.answers(200, shapes.Economics)
def get_economics() -> EconomicsDict:
    """Get token usage economics."""
    return overview.get_economics(sources())


@blueprint.post("/api/memory/consolidate")
@blueprint.query(shapes.ConsolidateQuery)
@blueprint.body(shapes.ConsolidateBody)
@blueprint.answers(200, shapes.Consolidation)
def consolidate(query: Json, body: Json) -> ConsolidationDict:
    """Get what can be consolidated. Nothing is changed; Loki Mode itself consolidates."""
    return overview.preview_consolidation(sources(), body.get("sinceHours") or query["hours"])


@blueprint.post("/api/memory/retrieve")
@blueprint.body(shapes.RetrieveBody)
@blueprint.answers(200, shapes.Retrieval)
def retrieve(body: Json) -> RetrievalDict:
    """Search memories by query."""
    return search.retrieve(sources(), body)


@blueprint.get("/api/memory/index")
@blueprint.answers(200, shapes.Index)
def get_index() -> IndexDict:
    """Get memory index (Layer 1 - lightweight discovery)."""
    return overview.get_index(sources())


@blueprint.get("/api/memory/timeline")
@blueprint.answers(200, shapes.Timeline)
def get_timeline() -> TimelineDict:
    """Get memory timeline (Layer 2 - progressive disclosure)."""
    return overview.get_timeline(sources())
