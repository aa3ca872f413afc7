"""Faults on purpose: a whole data centre under load, killed, frozen and cut by a seeded plan, and judged by its books.

`plan` says what goes wrong and when, `link` and `servers` are what can be cut and killed, `site` is all of it together,
`inject` carries the plan out (`programs`, `cuts`, `devices`, `cluster` and `orders` are its hands), `load` are ordinary
clients, `verdict` and `recovery` read the books afterwards.
"""
