"""Texts of the demo session, which builds a small web shop."""

from typing import Any

PRD = """# Harbour: a small shop for ship models

Visitors browse models, put them into a basket and order. Staff keep the stock.
"""
PHASES = ("BOOTSTRAP", "ARCHITECTURE", "DEVELOPMENT", "DEVELOPMENT", "TESTING", "REVIEW")
AGENTS = (
    ("eng-backend", "Backend"),
    ("eng-frontend", "Frontend"),
    ("eng-qa", "Quality"),
    ("ops-devops", "Operations"),
)
TASKS = (
    ("Data model for products and stock", "eng-backend", "high"),
    ("Product list with filters", "eng-frontend", "high"),
    ("Basket kept in the session", "eng-backend", "medium"),
    ("Checkout form with validation", "eng-frontend", "high"),
    ("Orders and their states", "eng-backend", "critical"),
    ("Payment provider behind an interface", "eng-backend", "high"),
    ("Mail after an order", "eng-backend", "medium"),
    ("Search over names and descriptions", "eng-backend", "medium"),
    ("Staff page for the stock", "eng-frontend", "medium"),
    ("Images in three sizes", "eng-frontend", "low"),
    ("End-to-end tests of the order", "eng-qa", "high"),
    ("Load test of the product list", "eng-qa", "low"),
    ("Container image and compose file", "ops-devops", "medium"),
    ("Backups of the database", "ops-devops", "medium"),
    ("Health checks and alerts", "ops-devops", "low"),
    ("Accessible forms", "eng-frontend", "medium"),
)
PARTS = ("{}", "Review: {}", "Measure: {}", "Document: {}", "Improve: {}")
FILES = (
    "src/models.py",
    "src/shop.py",
    "src/basket.py",
    "src/orders.py",
    "web/list.ts",
    "tests/test_orders.py",
)
SENTENCES = (
    "Reading the requirements again before I change the order states.",
    "The filter has to keep its place in the address, so that a list can be shared.",
    "Tests pass; I will look at the slow query next.",
    "The stock must not go below zero when two orders meet: using a row lock.",
    "Moving validation into one place, the form and the API agree now.",
    "The mail is sent after the transaction, otherwise a rollback would lie to the customer.",
)
COMMANDS = (
    "pytest -q",
    "npm test -- list",
    "git diff --stat",
    "ruff check src",
    "docker compose build",
)
PATTERNS = (
    ("Keep prices as integers of the smallest unit", "implementation", 0.92),
    ("Send mail only after the transaction is committed", "reliability", 0.85),
    ("Lock the row before the stock is reduced", "concurrency", 0.88),
    ("Mock the payment provider in every test", "anti-pattern", 0.7),
)
SKILLS = (
    ("Database migration", ["Write the SQL", "Apply it in a transaction", "Verify the schema"]),
    ("Add an endpoint", ["Write the schema", "Write the view", "Write the test", "Document it"]),
)
LESSONS = {
    "patterns": "Small interfaces around payment made the switch of the provider a one-day task",
    "mistakes": "Forgot to escape product names in the mail template",
    "successes": "Order flow finished with all end-to-end tests green",
}
TRIGGERS: tuple[dict[str, Any], ...] = (
    {
        "id": "budget-80pct",
        "type": "budget_threshold",
        "threshold_pct": 80,
        "severity": "warning",
        "message": "Budget at {pct}%",
    },
    {
        "id": "context-90pct",
        "type": "context_threshold",
        "threshold_pct": 90,
        "severity": "critical",
        "message": "Context window at {pct}% capacity",
    },
    {
        "id": "sensitive-file",
        "type": "file_access",
        "severity": "critical",
        "patterns": ["\\.env", "credentials", "\\.pem$", "\\.key$", "secret"],
        "message": "Sensitive file accessed: {file}",
    },
    {
        "id": "quality-gate-fail",
        "type": "quality_gate",
        "severity": "warning",
        "message": "Quality gate failed: {gate}",
    },
    {
        "id": "stuck-iteration",
        "type": "stagnation",
        "max_no_progress": 3,
        "severity": "warning",
        "message": "No progress for {count} iterations",
    },
    {
        "id": "compaction-freq",
        "type": "compaction_frequency",
        "max_per_hour": 3,
        "severity": "warning",
        "message": "Frequent compactions: {count} in the last hour",
    },
)
