//! Builds the sample guests and the test guests, so that plain `cargo test` works. Each workspace of guests has a target
//! directory of its own: a nested cargo on the one in use would wait for ever.

#![allow(clippy::expect_used, reason = "a build script that cannot go on says why and ends")]

use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let tests = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let root = tests.parent().expect("the tests folder has a parent").to_owned();
    add_target(&root);
    for (variable, folder) in [
        ("SAMPLE_GUESTS", root.join("sample-guests")),
        ("TEST_GUESTS", tests.join("guests")),
        ("SDK_GUESTS", tests.join("sdk-guests")),
    ] {
        build(&folder);
        let built = folder.join("target").join(TARGET).join("release");
        println!("cargo::rustc-env={variable}={}", built.display());
        watch(&folder);
    }
    let guests = tests.join("guests");
    cargo(&guests, &["build", "--profile", "traced", "-p", "zoo", "--locked", "--target", TARGET]);
    let traced = guests.join("target").join(TARGET).join("traced");
    println!("cargo::rustc-env=TRACED_GUESTS={}", traced.display());
    watch(&root.join("guest-sdk"));
    println!("cargo::rerun-if-changed={}", root.join("wit").display());
}

/// rustup does not add the target by itself where `RUSTUP_AUTO_INSTALL=0` is set.
fn add_target(root: &Path) {
    let rustup = |arguments: &[&str]| Command::new("rustup").args(arguments).current_dir(root).output();
    let Ok(installed) = rustup(&["target", "list", "--installed"]) else { return };
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line.trim() == TARGET) {
        return;
    }
    let added = rustup(&["target", "add", TARGET]).expect("rustup runs");
    assert!(added.status.success(), "rustup target add {TARGET}: {}", String::from_utf8_lossy(&added.stderr));
}

fn build(workspace: &Path) {
    cargo(workspace, &["build", "--release", "--locked", "--target", TARGET]);
}

fn cargo(workspace: &Path, arguments: &[&str]) {
    let mut cargo = Command::new(std::env::var_os("CARGO").expect("cargo sets CARGO"));
    cargo.args(arguments).current_dir(workspace);
    // What the outer cargo says about its own build is not meant for this one.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_") && name != "CARGO_HOME"
            || name == "RUSTFLAGS"
            || name.starts_with("RUSTC_")
        {
            cargo.env_remove(&variable);
        }
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "the guests in {} do not build", workspace.display());
}

/// Has cargo run this script again when a source of the folder changes; what is built there is not a source.
fn watch(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.join("Cargo.toml").display());
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}
