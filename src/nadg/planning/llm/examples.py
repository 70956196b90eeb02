"""Two plans that show a model what a good one looks like; a test holds them to be valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

REVIEWS: Mapping[str, Any] = {
    "subtasks": [
        {
            "id": "moods",
            "title": "Sentiment of each review",
            "inputs": ["shop.csv"],
            "work": {"kind": "skill", "skill": "text.sentiment", "args": {"column": "review"}},
        },
        {
            "id": "aspects",
            "title": "What each review is about",
            "foreach": {"rows_of": "shop.csv"},
            "work": {
                "kind": "prompt",
                "prompt": "Say which part of the shop the text in the column review is about.",
                "output_fields": [
                    {"name": "aspect", "type": "text", "choices": ["delivery", "price", "quality", "other"]}
                ],
                "max_output_tokens": 256,
            },
        },
        {
            "id": "together",
            "title": "Mean sentiment of each aspect",
            "needs": ["moods", "aspects"],
            "work": {
                "kind": "python",
                "code": (
                    "import csv\n"
                    "from collections import defaultdict\n\n"
                    "with open(needs_files['moods'] + '/sentiment.csv', newline='', encoding='utf-8') as file:\n"
                    "    scores = [float(row['compound'] or 0) for row in csv.DictReader(file)]\n"
                    "groups = defaultdict(list)\n"
                    "for score, found in zip(scores, needs['aspects']):\n"
                    "    if isinstance(found, dict) and 'aspect' in found:\n"
                    "        groups[found['aspect']].append(score)\n"
                    "result = [\n"
                    "    {'aspect': name, 'reviews': len(one), 'mean_sentiment': round(sum(one) / len(one), 3)}\n"
                    "    for name, one in sorted(groups.items(), key=lambda pair: -len(pair[1]))\n"
                    "]\n"
                ),
            },
        },
        {
            "id": "report",
            "title": "Report",
            "needs": ["moods", "together"],
            "work": {"kind": "skill", "skill": "report.compose", "args": {"title": "What customers say"}},
        },
    ],
    "answer": "report",
    "goal": "Find out what customers like and dislike",
}
"""Of a table with a column of text: a skill, a prompt for each row, a reduce, a report."""

SENSORS: Mapping[str, Any] = {
    "subtasks": [
        {
            "id": "clean",
            "title": "Fill missing readings",
            "inputs": ["readings.csv"],
            "work": {"kind": "skill", "skill": "table.clean"},
        },
        {
            "id": "parts",
            "title": "Sums of each batch of rows",
            "needs": ["clean"],
            "foreach": {"rows_of": "clean/cleaned.csv", "shard_size": 5000},
            "work": {
                "kind": "python",
                "code": (
                    "values = [float(row['celsius']) for row in rows]\n"
                    "result = {'count': len(values), 'total': sum(values), 'highest': max(values)}\n"
                ),
            },
        },
        {
            "id": "chart",
            "title": "Temperature over time",
            "needs": ["clean"],
            "inputs": ["clean/cleaned.csv"],
            "work": {"kind": "skill", "skill": "chart.line", "args": {"x": "time", "y": ["celsius"]}},
        },
        {
            "id": "summary",
            "title": "Mean and highest reading",
            "needs": ["parts", "chart"],
            "work": {
                "kind": "python",
                "code": (
                    "parts = needs['parts']\n"
                    "count = sum(part['count'] for part in parts)\n"
                    "mean = sum(part['total'] for part in parts) / count\n"
                    "highest = max(part['highest'] for part in parts)\n"
                    "result = {'readings': count, 'mean': mean, 'highest': highest}\n"
                ),
            },
        },
    ],
    "answer": "summary",
    "goal": "Mean and highest temperature of a large table of readings",
}
"""Of a large table: cleaned, cut into batches of rows, drawn, and reduced."""


def example_text(plan: Mapping[str, Any]) -> str:
    """As a model should write it: JSON, a line for each subtask."""
    subtasks = ",\n".join(json.dumps(one, ensure_ascii=False) for one in plan["subtasks"])
    heads = ", ".join(f"{json.dumps(key)}: {json.dumps(plan[key])}" for key in ("answer", "goal"))
    return f'{{"subtasks": [\n{subtasks}\n], {heads}}}'
