"""Source text of plugin files."""

from __future__ import annotations

import textwrap

HEAD = "from dataclasses import dataclass\nfrom bench.method import Method\n@dataclass(frozen=True)\nclass C: pass\n"


METHOD = (
    HEAD + "class M(Method):\n    '''A rule.'''\n    name = 'mine'\n    Config = C\n    def fit(self, task, b): ...\n"
)


def write_plugin(folder, *, honest: bool):
    path = folder / "last.py"
    path.write_text(
        textwrap.dedent(f'''
        """Always run to the last exit."""
        from dataclasses import dataclass
        import torch
        from bench import heads
        from bench.method import Infeasible, Method
        from bench.inference import exit_macs
        from bench.rules import HeadsPolicy

        @dataclass(frozen=True)
        class LastConfig:
            """Nothing to set."""

        class Last(HeadsPolicy):
            note = "unreachable: anything but the whole backbone"
            def leave(self, k, logits):
                return torch.zeros(len(logits), dtype=torch.bool)

        class ToTheEnd(Method):
            """Run to the last exit and spend all of it."""
            name = "to_the_end"
            Config = LastConfig
            def fit(self, task, budgets):
                policy = Last(heads.fit("plain", task), task.num_exits)
                cost = exit_macs(policy, task.macs)[-1] / task.macs[-1]
                return [policy if cost <= b or {not honest} else Infeasible(f"runs all, {{cost:.3f}}") for b in budgets]
        ''')
    )
    return path
