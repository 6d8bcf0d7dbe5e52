//! On what a table was measured: the machine, what else it did, and the versions. Figures without these say nothing.

use std::process::Command;

/// The machine as it was when the run began.
pub(super) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    load_before: String,
    versions: String,
}

impl Machine {
    pub(super) fn look(versions: &[(&str, &str)]) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let of = |key: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        // Behind some hypervisors the name says little; family and model say more.
        let family = of("cpu family").unwrap_or_default();
        let model = of("model\t").unwrap_or_default();
        let named = of("model name").unwrap_or_else(|| "unknown processor".to_owned());
        let mut all = vec![format!("sandbus {}", env!("CARGO_PKG_VERSION"))];
        all.extend(versions.iter().map(|(name, version)| format!("{name} {version}")));
        all.push(rustc());
        if cfg!(debug_assertions) {
            all.push("an unoptimised build, whose figures mean nothing".to_owned());
        }
        Self {
            processor: format!("{named} (family {family}, model {model})"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: load(),
            versions: all.join(", "),
        }
    }

    /// One line on the machine, one on the versions.
    pub(super) fn lines(&self) -> [String; 2] {
        let Self { processor, cores, kernel, load_before, versions } = self;
        let after = load();
        let hypervisor = if read("/proc/cpuinfo").contains(" hypervisor ") { ", virtual" } else { "" };
        [
            format!(
                "{processor}, {cores} cores{hypervisor}, Linux {kernel}; load {load_before} before, {after} after"
            ),
            versions.clone(),
        ]
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// How many ran or wanted to, on average over the last minute.
fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// The compiler that this folder is built with.
fn rustc() -> String {
    let asked = Command::new("rustc").arg("--version").current_dir(env!("CARGO_MANIFEST_DIR")).output();
    match asked {
        Ok(said) if said.status.success() => String::from_utf8_lossy(&said.stdout).trim().to_owned(),
        _ => "an unknown rustc".to_owned(),
    }
}
