-- The books of the device simulator: what a judge reads. Described in docs/device-simulator.md.
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,         -- in the order in which calls began; counts on over restarts
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,         -- the id of the resource
    operation TEXT NOT NULL,        -- of the unit; synchronize, synchronize-make, -move, -remove; isolate, isolate-undo
    ticket INTEGER,                 -- NULL: not a call
    life INTEGER,
    owner TEXT,
    started_at REAL NOT NULL,       -- Unix seconds; strictly increasing in one process
    ended_at REAL,                  -- NULL while it is in progress
    effect INTEGER NOT NULL,        -- 1: by this call the operation took effect
    outcome TEXT NOT NULL,
    reason TEXT,
    residue INTEGER NOT NULL DEFAULT 0,     -- 1: it ended halfway and left something behind
    effect_number INTEGER,          -- order of all changes: set where effect or residue is 1
    host TEXT,                      -- the host that the change took from or gave back to; for kind host itself
    from_host TEXT,                 -- a move: the host that got the same back
    cpus_milli INTEGER NOT NULL DEFAULT 0,  -- differences: use of the host; for kind host its capacity
    memory_mib INTEGER NOT NULL DEFAULT 0,
    gpus_milli INTEGER NOT NULL DEFAULT 0,
    disk_gib INTEGER NOT NULL DEFAULT 0,
    fault TEXT,                     -- the injected fault that decided the outcome
    trace TEXT                      -- traceparent of the caller
);
CREATE INDEX IF NOT EXISTS calls_by_resource ON calls (zone, kind, resource, id);
CREATE TABLE IF NOT EXISTS resources (
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    host TEXT,
    state TEXT NOT NULL,            -- present, partial
    definition TEXT NOT NULL,       -- JSON
    observed TEXT NOT NULL,         -- JSON
    attached_to TEXT NOT NULL,      -- JSON: VMs that have this volume or network
    residue_ticket INTEGER,         -- partial: whose call left it so
    residue_operation TEXT,
    cpus_milli INTEGER NOT NULL,    -- what it takes of its host; for kind host what it gives
    memory_mib INTEGER NOT NULL,
    gpus_milli INTEGER NOT NULL,
    disk_gib INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    PRIMARY KEY (zone, kind, resource)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    high INTEGER NOT NULL,
    owner TEXT,
    last INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    reason TEXT,
    begun INTEGER NOT NULL,
    called_in INTEGER NOT NULL,
    PRIMARY KEY (zone, kind, resource)
) WITHOUT ROWID;
-- What a record remembers besides its last ticket; a table of its own, which earlier versions leave alone.
CREATE TABLE IF NOT EXISTS memories (
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,
    remembers INTEGER NOT NULL,     -- so many of the tickets answered last are remembered, `last` included
    recent TEXT NOT NULL,           -- JSON: those before `last`, oldest first
    PRIMARY KEY (zone, kind, resource)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS isolations (
    zone TEXT NOT NULL,
    host TEXT NOT NULL,
    PRIMARY KEY (zone, host)
) WITHOUT ROWID;

-- Each of the following views is empty in a healthy data centre.
CREATE VIEW IF NOT EXISTS order_violations AS
    SELECT * FROM (
        SELECT id, zone, kind, resource, operation, ticket, effect_number,
               max(ticket) OVER (PARTITION BY zone, kind, resource ORDER BY effect_number
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS higher_ticket
        FROM calls WHERE effect = 1 AND ticket IS NOT NULL)
    WHERE ticket < higher_ticket;
CREATE VIEW IF NOT EXISTS life_violations AS
    SELECT * FROM (
        SELECT id, zone, kind, resource, operation, ticket, life, owner, effect_number,
               max(life) OVER (PARTITION BY zone, kind, resource ORDER BY effect_number
                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS higher_life
        FROM calls WHERE effect = 1 AND life IS NOT NULL)
    WHERE life < higher_life;
CREATE VIEW IF NOT EXISTS doubled_effects AS
    SELECT zone, kind, resource, ticket, count(*) AS effects, min(id) AS first_id, max(id) AS last_id
    FROM calls WHERE effect = 1 AND ticket IS NOT NULL
    GROUP BY zone, kind, resource, ticket HAVING count(*) > 1;
CREATE VIEW IF NOT EXISTS overlapping_calls AS
    SELECT * FROM (
        SELECT id, zone, kind, resource, ticket, started_at, ended_at,
               max(coalesce(ended_at, 9e18)) OVER (PARTITION BY zone, kind, resource ORDER BY started_at, id
                                                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier_ended_at
        FROM calls WHERE ticket IS NOT NULL AND outcome IN ('applied', 'refused', 'failed', 'broken_off', 'in_progress'))
    WHERE started_at < earlier_ended_at;
CREATE VIEW IF NOT EXISTS dangling AS
    SELECT r.zone, r.kind, r.resource, 'host ' || r.host || ' does not exist' AS problem
    FROM resources r LEFT JOIN resources h ON h.zone = r.zone AND h.kind = 'host' AND h.resource = r.host
    WHERE r.host IS NOT NULL AND h.resource IS NULL
    UNION ALL
    SELECT r.zone, r.kind, r.resource, 'attached to vm ' || a.value || ', which does not exist'
    FROM resources r, json_each(r.attached_to) a
    LEFT JOIN resources v ON v.zone = r.zone AND v.kind = 'vm' AND v.resource = a.value
    WHERE v.resource IS NULL
    UNION ALL
    SELECT zone, kind, resource, 'half made by ticket ' || residue_ticket
    FROM resources WHERE residue_operation = 'create';
CREATE VIEW IF NOT EXISTS unexplained_resources AS  -- what exists differs from the sum of its calls
    SELECT r.zone, r.kind, r.resource, 'exists, and no call has made it' AS problem
    FROM resources r WHERE NOT EXISTS (
        SELECT 1 FROM calls c WHERE (c.zone, c.kind, c.resource) = (r.zone, r.kind, r.resource)
        AND c.operation IN ('create', 'restore', 'synchronize-make') AND (c.effect = 1 OR c.residue = 1));

-- Use of hosts over time: one row for each change, with what is taken and what there is from then on.
CREATE VIEW IF NOT EXISTS allocations AS
    SELECT effect_number, ended_at AS at, zone, host, kind = 'host' AS is_capacity, cpus_milli, memory_mib, gpus_milli, disk_gib
    FROM calls WHERE effect_number IS NOT NULL AND host IS NOT NULL
    UNION ALL
    SELECT effect_number, ended_at, zone, from_host, 0, -cpus_milli, -memory_mib, -gpus_milli, -disk_gib
    FROM calls WHERE effect_number IS NOT NULL AND from_host IS NOT NULL;
CREATE VIEW IF NOT EXISTS utilisation AS
    SELECT effect_number, at, zone, host,
           sum(cpus_milli * (1 - is_capacity)) OVER so_far AS cpus_milli_used,
           sum(cpus_milli * is_capacity) OVER so_far AS cpus_milli_capacity,
           sum(memory_mib * (1 - is_capacity)) OVER so_far AS memory_mib_used,
           sum(memory_mib * is_capacity) OVER so_far AS memory_mib_capacity,
           sum(gpus_milli * (1 - is_capacity)) OVER so_far AS gpus_milli_used,
           sum(gpus_milli * is_capacity) OVER so_far AS gpus_milli_capacity,
           sum(disk_gib * (1 - is_capacity)) OVER so_far AS disk_gib_used,
           sum(disk_gib * is_capacity) OVER so_far AS disk_gib_capacity
    FROM allocations
    WINDOW so_far AS (PARTITION BY zone, host ORDER BY effect_number ROWS UNBOUNDED PRECEDING);
CREATE VIEW IF NOT EXISTS overcommitted AS
    SELECT * FROM utilisation
    WHERE cpus_milli_used > cpus_milli_capacity OR memory_mib_used > memory_mib_capacity
       OR gpus_milli_used > gpus_milli_capacity OR disk_gib_used > disk_gib_capacity;
