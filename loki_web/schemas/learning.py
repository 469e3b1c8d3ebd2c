"""Schemas of learning signals."""

from marshmallow import fields

from loki_web.schemas.base import Answer, Query, limit, offset, optional, text
from loki_web.services.learning.queries import TIME_RANGE


class SignalFilter(Query):
    time_range = fields.String(
        load_default="7d",
        data_key="timeRange",
        metadata={
            "description": "Time range: hours, days or minutes (m)",
            "pattern": TIME_RANGE,
            "example": "24h",
        },
    )
    signal_type = text("signalType", description="Only signals of this type")
    source = text(description="Only signals of this source")


class SignalPage(SignalFilter):
    limit = limit(50)
    offset = offset()


class LatestSignals(Query):
    limit = limit(50)


class Preference(Answer):
    preference_key = fields.String()
    preferred_value = fields.Raw(allow_none=True)
    frequency = fields.Integer()
    confidence = fields.Float()


class ErrorPattern(Answer):
    error_type = fields.String()
    resolution_rate = fields.Float()
    frequency = fields.Integer()
    confidence = fields.Float()


class SuccessPattern(Answer):
    pattern_name = fields.String()
    avg_duration_seconds = fields.Float()
    frequency = fields.Integer()
    confidence = fields.Float()


class ToolEfficiency(Answer):
    tool_name = fields.String()
    efficiency_score = fields.Float()
    count = fields.Integer()
    usage_count = fields.Integer()
    avg_execution_time_ms = fields.Float()
    success_rate = fields.Float()
    total_tokens_used = fields.Integer()
    confidence = fields.Float()


class Lessons(Answer):
    preferences = fields.List(fields.Nested(Preference))
    error_patterns = fields.List(fields.Nested(ErrorPattern))
    success_patterns = fields.List(fields.Nested(SuccessPattern))
    tool_efficiencies = fields.List(fields.Nested(ToolEfficiency))


class Aggregation(Lessons):
    aggregated_at = fields.String()


class SignalCounts(Answer):
    success_patterns = fields.Integer()
    tool_efficiency = fields.Integer()
    error_patterns = fields.Integer()
    user_preferences = fields.Integer()


class LatestAggregation(Aggregation):
    signal_counts = fields.Nested(SignalCounts)


class Metrics(Answer):
    total_signals = fields.Integer(
        data_key="totalSignals", metadata={"description": "Signal files and all events"}
    )
    learning_signals = optional(
        fields.Integer(
            data_key="learningSignals",
            metadata={"description": "Those of a learning type, not events of the runner"},
        )
    )
    signals_by_type = fields.Dict(fields.String(), fields.Integer(), data_key="signalsByType")
    signals_by_source = fields.Dict(fields.String(), fields.Integer(), data_key="signalsBySource")
    avg_confidence = fields.Float(data_key="avgConfidence")
    aggregation = fields.Nested(Lessons)


class TrendPoint(Answer):
    label = fields.String(metadata={"description": "The hour in UTC, YYYY-MM-DDTHH"})
    count = fields.Integer()


class Trends(Answer):
    data_points = fields.List(fields.Nested(TrendPoint), data_key="dataPoints")
    max_value = fields.Integer(data_key="maxValue")
    period = fields.String()


class Signal(Answer):
    id = fields.String()
    type = fields.String()
    source = fields.String()
    action = fields.String()
    outcome = fields.String()
    confidence = fields.Float(allow_none=True)
    timestamp = fields.String()


class PreferenceSignal(Signal):
    preference_key = fields.String()
    preference_value = fields.Raw(allow_none=True)
    alternatives_rejected = fields.List(fields.Raw())


class ErrorSignal(Signal):
    error_type = fields.String()
    error_message = fields.String()
    resolution = fields.String()
    recovery_steps = fields.List(fields.Raw())


class SuccessSignal(Signal):
    pattern_name = fields.String()
    action_sequence = fields.List(fields.Raw())
    preconditions = fields.List(fields.Raw())
    postconditions = fields.List(fields.Raw())
    duration_seconds = fields.Float()


class ToolSignal(Signal):
    tool_name = fields.String()
    tokens_used = fields.Integer()
    execution_time_ms = fields.Float()
    success_rate = fields.Float()
    alternative_tools = fields.List(fields.Raw())
