"""What each process measures of itself, in Prometheus' terms.

``families`` names everything that is measured, in one place. ``collector`` reads a process's own report when somebody
asks, so that nothing is counted twice. ``worker`` holds what has no place in a report: durations, sizes, and counts by
label. ``working`` tells what the loop works on from what it waits for. ``caches`` counts look-ups in what is kept in
memory. ``latency`` keeps the latest durations for quantiles. ``endpoint`` answers over HTTP, at an ``address``, and
says there by ``loop_life`` whether the process hangs.
"""

__all__: list[str] = []
