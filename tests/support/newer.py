"""Files as Loki Mode 9 writes them."""

import json
import os

from tests.support.places import Place

KINDS = ("transcripts", "reviews", "result_costs", "decisions", "escalations", "assumptions")


def keep_records(place: Place) -> None:
    """Write what a session keeps of its work, at least one record of each kind."""
    for iteration in (9, 10):
        place.write(
            f"council/transcripts/iter-{iteration}-20260504T081500Z.json",
            {
                "iteration_id": f"iter-{iteration}-20260504T081500Z",
                "iteration": iteration,
                "timestamp": "2026-05-04T08:15:00Z",
                "task_or_prd": "# Shop",
                "voters": [
                    {
                        "name": "test_auditor",
                        "role_index": 2,
                        "verdict": "REJECT",
                        "reasoning": "two tests fail",
                        "issues": ["no test of refunds"],
                        "is_contrarian": False,
                    }
                ],
                "outcome": "REJECTED",
                "approve_count": 1,
                "reject_count": 2,
                "threshold": 2,
            },
        )
    review = "quality/reviews/review-20260504T081000Z-2"
    place.write(
        f"{review}/aggregate.json",
        {
            "review_id": "review-20260504T081000Z-2",
            "iteration": 2,
            "pass_count": 3,
            "fail_count": 1,
            "has_blocking": True,
            "inconclusive": False,
            "verdicts": "eng-qa:FAIL architecture:PASS",
            "quality_score": 80,
        },
    )
    place.write("quality/reviews/review-20260504T091000Z-3/eng-qa.txt", "VERDICT: PASS\n")
    place.write("metrics/result-cost-9.json", {"total_cost_usd": None})
    place.write("metrics/result-cost-10.json", {"total_cost_usd": 0.42, "input_tokens": 1200})
    decisions = [
        {
            "duration_ms": "5200",
            "model_id": "sonnet",
            "outcome": "ok",
            "provider": "claude",
            "recorded_at": "2026-05-04T08:02:00Z",
            "stage": stage,
            "tokens_in": "900",
            "tokens_out": "210",
        }
        for stage in ("first", "second")
    ]
    lines = "".join(json.dumps(each) + "\n" for each in decisions)
    place.write("decisions/decisions.jsonl", lines)
    for number in (1, 2):
        path = place.write(f"escalations/handoff-{number}.md", "# Stuck\n")
        os.utime(path, (number, number))
    place.write(
        "assumptions/a-00c0ffee.json",
        {
            "id": "a-00c0ffee",
            "gap": "No error format given",
            "assumption": "JSON errors",
            "why": "usual",
            "severity": "medium",
            "class": "missing",
            "confirmed": False,
            "acknowledged": True,
            "created_at": "2026-05-04T08:00:10Z",
        },
    )
