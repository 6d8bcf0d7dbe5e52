//! One mistake each, and what is said about it.

/// The text behind two lines of head, and what is said about it.
pub(super) const MISTAKES: &[(&str, &str)] = &[
    ("[dev]\n", "sandbus.toml:3:2: key `dev` is not known (SB0102)"),
    ("[guest.a]\n", "sandbus.toml:3:2: key `guest` is not known (SB0102)"),
    ("runtime = 3\n", "sandbus.toml:3:11: manifest: `runtime` is a number; it must be a table (SB0103)"),
    ("app.nme = \"x\"\n", "sandbus.toml:3:5: [app]: key `nme` is not known (SB0102)"),
    (
        "runtime.allocator = \"pool\"\n",
        "sandbus.toml:3:21: [runtime]: `allocator` is `pool`; it must be one of `pooling`, `on-demand` (SB0104)",
    ),
    (
        "runtime.shutdown-grace = 5\n",
        "sandbus.toml:3:26: [runtime]: `shutdown-grace` is a number; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
    ),
    (
        "runtime.shutdown-grace = \"5 parsecs\"\n",
        "sandbus.toml:3:26: [runtime]: `shutdown-grace` is \"5 parsecs\"; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
    ),
    (
        "runtime.total-memory = \"64MB\"\n",
        "sandbus.toml:3:24: [runtime]: `total-memory` is \"64MB\"; it must be a size such as \"512KiB\", \"64MiB\" or \"1GiB\" (SB0103)",
    ),
    (
        "[guests.g]\nsource.path = \"g.wasm\"\ninstances.policy = \"per-mesage\"\n",
        "sandbus.toml:5:20: guest `g`: `instances.policy` is `per-mesage`; it must be one of `per-worker`, `per-message`, `single` (SB0104)",
    ),
    (
        "[guests.g]\nsource.path = \"g.wasm\"\ninstances.max-idle = \"ever\"\n",
        "sandbus.toml:5:22: guest `g`: `instances.max-idle` is \"ever\"; it must be a time such as \"200ms\", \"5s\" or \"1h\", or \"unlimited\" (SB0103)",
    ),
    (
        "[guests.g]\nsource.path = \"g.wasm\"\ninstances.max-uses = 0\n",
        "sandbus.toml:5:22: guest `g`: `instances.max-uses` is 0; it must be at least 1 (SB0104)",
    ),
    (
        "[guests.g]\nsource.path = \"g.wasm\"\ninstances.max-use = 1\n",
        "sandbus.toml:5:11: guest `g`: key `instances.max-use` is not known (SB0102)",
    ),
    (
        "runtime.max-hops = -1\n",
        "sandbus.toml:3:20: [runtime]: `max-hops` is -1; it must be from 1 to 1,000 (SB0104)",
    ),
    (
        "runtime.max-hops = 1.5\n",
        "sandbus.toml:3:20: [runtime]: `max-hops` is a number with a fraction; it must be a number (SB0103)",
    ),
    (
        "[destinations.\"sandbus/mine\"]\ntype = \"serial\"\n",
        "sandbus.toml:3:15: destination `sandbus/mine` begins with `sandbus/`, which is reserved for built-in destinations (SB0110)",
    ),
    (
        "[destinations.\"a b\"]\ntype = \"serial\"\n",
        "sandbus.toml:3:15: destination `a b` has a space at byte 1; use letters, digits, `-`, `_`, `.` and `/` (SB0109)",
    ),
    ("destinations.a = 3\n", "sandbus.toml:3:18: manifest: `a` is a number; it must be a table (SB0103)"),
    (
        "[destinations.y]\ntype = \"synchronous\"\nworkers = { core = 1, max = 2 }\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `workers` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nretry.max-attempts = 2\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `retry` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nmax-queue-size = 2\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `max-queue-size` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nrejected-execution = \"abort\"\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `rejected-execution` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\non-no-listener = \"hold\"\n",
        "sandbus.toml:5:18: destination `y`: `on-no-listener` is hold; it must be `reject` or `discard` on a synchronous destination (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\non-failure = \"skip\"\n",
        "sandbus.toml:5:1: destination `p`: a parallel destination has no `on-failure` (SB0108)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nworkers.core = 9\n",
        "sandbus.toml:5:16: destination `p`: `workers` is 9/5; it must be 1 <= core <= max <= 1,024 (SB0104)",
    ),
    (
        "[destinations.s]\ntype = \"serial\"\nworkers.max = 2\n",
        "sandbus.toml:5:15: destination `s`: `workers` is 1/2; it must be 1/1 on a serial destination (SB0104)",
    ),
    (
        "[destinations.s]\ntype = \"serial\"\nrejected-execution = \"caller-runs\"\n",
        "sandbus.toml:5:22: destination `s`: `rejected-execution` is caller-runs; it must be any other policy on a serial destination, whose order it would break (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry.on = [\"retries\"]\n",
        "sandbus.toml:5:13: destination `p`: `retry.on` has `retries`; it may have `refused`, `retry`, `trap`, `out-of-fuel`, `deadline`, `memory`, `instantiate`, `processor` (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry.multiplier = 0.5\n",
        "sandbus.toml:5:20: destination `p`: `retry.multiplier` is 0.5; it must be from 1 to 100 (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nretry = 3\n",
        "sandbus.toml:5:9: destination `p`: `retry` is a number; it must be a table with `max-attempts`, `initial`, `max`, `multiplier`, `jitter`, `on` (SB0103)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nrate-limit = 3\n",
        "sandbus.toml:5:1: destination `p`: key `rate-limit` is not known (SB0102)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\ndurability = \"memory\"\n",
        "sandbus.toml:5:1: destination `p`: key `durability` is not known (SB0102)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\npriority = 4\n",
        "sandbus.toml:5:12: destination `p`: `priority` is a number; it must be true or false (SB0103)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\npriority = true\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `priority` (SB0108)",
    ),
    (
        "[destinations.y]\ntype = \"synchronous\"\nexpires-in = \"1s\"\n",
        "sandbus.toml:5:1: destination `y`: a synchronous destination has no `expires-in` (SB0108)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nexpires-in = \"0s\"\n",
        "sandbus.toml:5:14: destination `p`: `expires-in` is \"0s\"; it must be from 1ms to 366d (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nexpires-in = \"never\"\n",
        "sandbus.toml:5:14: destination `p`: `expires-in` is \"never\"; it must be a time such as \"200ms\", \"5s\" or \"1h\", or \"none\" (SB0103)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\ndedup-window = \"8d\"\n",
        "sandbus.toml:5:16: destination `p`: `dedup-window` is \"8d\"; it must be from 1ms to 7d (SB0104)",
    ),
    (
        "[destinations.p]\ntype = \"parallel\"\nrecord = { messages = 1 }\n",
        "sandbus.toml:5:1: destination `p`: key `record` is not known (SB0102)",
    ),
    (
        "defaults.destination.type = \"serial\"\n",
        "sandbus.toml:3:22: [defaults.destination]: key `type` is not known (SB0102)",
    ),
    (
        "defaults.destination.max-hops = 1\n",
        "sandbus.toml:3:22: [defaults.destination]: key `max-hops` is not known (SB0102)",
    ),
    (
        "defaults.guest.source = { path = \"x\" }\n",
        "sandbus.toml:3:16: [defaults.guest]: key `source` is not known (SB0102)",
    ),
    (
        "defaults.guest.fuel = true\n",
        "sandbus.toml:3:23: [defaults.guest]: `fuel` is a boolean; it must be a number or \"unlimited\" (SB0103)",
    ),
    ("defaults.guests.fuel = 1\n", "sandbus.toml:3:10: key `defaults.guests` is not known (SB0102)"),
    (
        "[guests.host]\nsource.path = \"x\"\n",
        "sandbus.toml:3:9: a guest cannot be called `host`; that name belongs to the platform (SB0110)",
    ),
    (
        "[guests.sandbus-x]\nsource.path = \"x\"\n",
        "sandbus.toml:3:9: a guest cannot be called `sandbus-x`; that name belongs to the platform (SB0110)",
    ),
    (
        "[guests.a]\nsource = \"x\"\n",
        "sandbus.toml:4:10: guest `a`: `source` is text; it must be a table with `path` (SB0103)",
    ),
    (
        "[guests.a]\nsource = { oci = \"x\" }\n",
        "sandbus.toml:4:1: guest `a`: `source.path` is missing (SB0105)\nsandbus.toml:4:12: guest `a`: key `source.oci` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"\"\n",
        "sandbus.toml:4:15: guest `a`: `source.path` is empty; it must be text of at least one character (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nquarantine = \"of\"\n",
        "sandbus.toml:5:14: guest `a`: `quarantine` is \"of\"; it must be a table with `faults`, `ratio`, `window`, `initial`, `max`, or \"off\" (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nquarantine = { faults = 0, cooldown = \"1s\", max = \"2d\" }\n",
        "sandbus.toml:5:25: guest `a`: `quarantine.faults` is 0; it must be from 1 to 10,000 (SB0104)\n\
         sandbus.toml:5:28: guest `a`: key `quarantine.cooldown` is not known (SB0102)\n\
         sandbus.toml:5:51: guest `a`: `quarantine.max` is \"2d\"; it must be from 1ms to 1d (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ndrain = \"2h\"\n",
        "sandbus.toml:5:9: guest `a`: `drain` is \"2h\"; it must be from 0ms to 1h (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ncircuit-breaker = \"of\"\n",
        "sandbus.toml:5:19: guest `a`: `circuit-breaker` is \"of\"; it must be a table with `faults`, `ratio`, `window`, `cooldown`, or \"off\" (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ncircuit-breaker = false\n",
        "sandbus.toml:5:19: guest `a`: `circuit-breaker` is a boolean; it must be a table with `faults`, `ratio`, `window`, `cooldown`, or \"off\" (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ncircuit-breaker = { faults = 0, ratio = 1.5, fault = 1 }\n",
        "sandbus.toml:5:30: guest `a`: `circuit-breaker.faults` is 0; it must be from 1 to 10,000 (SB0104)\n\
         sandbus.toml:5:41: guest `a`: `circuit-breaker.ratio` is 1.5; it must be from 0 to 1 (SB0104)\n\
         sandbus.toml:5:46: guest `a`: key `circuit-breaker.fault` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ncircuit-breaker = { window = \"2d\", cooldown = 3 }\n",
        "sandbus.toml:5:30: guest `a`: `circuit-breaker.window` is \"2d\"; it must be from 1ms to 1d (SB0104)\n\
         sandbus.toml:5:47: guest `a`: `circuit-breaker.cooldown` is a number; it must be a time such as \"200ms\", \"5s\" or \"1h\" (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.files = [{ hosts = \"d\", guest = \"/d\" }, { host = \"\", guest = \"/d\", mode = \"r\" }]\n",
        "sandbus.toml:5:17: guest `a`: `grants.files` lacks `host` (SB0105)\n\
         sandbus.toml:5:19: guest `a`: key `grants.files.hosts` is not known (SB0102)\n\
         sandbus.toml:5:57: guest `a`: `grants.files.host` is empty; it must be text of at least one character (SB0104)\n\
         sandbus.toml:5:82: guest `a`: `grants.files.mode` is `r`; it must be one of `ro`, `rw` (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.files = [\"d\", { host = \"d\", guest = \"d\" }]\n",
        "sandbus.toml:5:17: guest `a`: `grants.files` is text; it must be a list of tables such as { host = \"./data\", guest = \"/data\", mode = \"ro\" } (SB0103)\n\
         sandbus.toml:5:44: guest `a`: `grants.files`: `d` is no name for a folder in a guest: it must begin with `/` (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.files = [{ host = \"d\", guest = \"/d\" }, { host = \"e\", guest = \"/d\" }]\n",
        "sandbus.toml:5:47: guest `a`: `grants.files` has `/d` twice (SB0106)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.http = []\n",
        "sandbus.toml:5:8: guest `a`: key `grants.http` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.send = [\"a//*\"]\n",
        "sandbus.toml:5:16: guest `a`: `grants.send`: pattern `a//*` is not a destination name with `*` or `**` in it: destination `a//x` has the segment ``; a segment is not empty, `.` or `..` (SB0111)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.create = [\"a*\"]\n",
        "sandbus.toml:5:18: guest `a`: `grants.create`: destination `a*` has `*` at byte 1; use letters, digits, `-`, `_`, `.` and `/` (SB0109)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ngrants.send = [\"sandbus/x\"]\n",
        "sandbus.toml:5:16: no destination is called `sandbus/x` (SB0112)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nlistens-to = [\"sandbus/default-response\"]\n",
        "sandbus.toml:5:15: no destination is called `sandbus/default-response` (SB0112)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nmemory = \"1KiB\"\n",
        "sandbus.toml:5:10: guest `a`: `memory` is \"1KiB\"; it must be from 64KiB to 4GiB (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\ndeadline = \"2h\"\n",
        "sandbus.toml:5:12: guest `a`: `deadline` is \"2h\"; it must be from 1ms to 1h (SB0104)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv = [\"A\"]\n",
        "sandbus.toml:5:7: guest `a`: `env` is a list; it must be a table such as { LEVEL = \"info\" } (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = 3\n",
        "sandbus.toml:5:9: guest `a`: `env.A` is a number; it must be text or { env = \"NAME\", default = \"value\" } (SB0103)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { env = \"SANDBUS_TEST_UNSET\" }\n",
        "sandbus.toml:5:9: guest `a`: `env.A` needs the variable `SANDBUS_TEST_UNSET`, which is not set (SB0114)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { default = \"x\" }\n",
        "sandbus.toml:5:9: guest `a`: `env.A` lacks `env`, the variable that it is taken from (SB0105)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenv.A = { env = \"PATH\", defalt = \"x\" }\n",
        "sandbus.toml:5:25: guest `a`: key `env.A.defalt` is not known (SB0102)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nbuild = { workdir = \"x\" }\n",
        "sandbus.toml:5:1: guest `a`: `build.command` is missing (SB0105)",
    ),
    (
        "[guests.a]\nsource.path = \"x\"\nenabled = \"yes\"\n",
        "sandbus.toml:5:11: guest `a`: `enabled` is text; it must be true or false (SB0103)",
    ),
    ("x = [1\n", "sandbus.toml:3:7: not TOML: unclosed array, expected `]` (SB0101)"),
    ("[runtime]\n[runtime]\n", "sandbus.toml:4:2: key `runtime` is defined twice (SB0106)"),
];
