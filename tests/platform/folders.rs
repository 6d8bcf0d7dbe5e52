//! H49: folders of the host that were granted, and that nothing else is reached through them.

use std::path::Path;

use sandbus::{FileAccess, FileGrant, GuestError, GuestSettings, StartError};

use crate::support::{Asking, beside_a_neighbour, harness, serial, zoo};

fn granted(host: &Path, guest: &str, access: FileAccess) -> GuestSettings {
    let mut settings = zoo("guest", &["t/a"]);
    settings.grants.files.push(FileGrant::new(host, guest, access).unwrap());
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_a_folder_granted_for_reading_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(folder.path().join("a.txt"), "first").unwrap();
    std::fs::write(folder.path().join("below/b.txt"), "second").unwrap();
    let guest = granted(folder.path(), "/data", FileAccess::ReadOnly);
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(guest).start().await.unwrap();
    assert_eq!(harness.answer("t/a", "read-file /data/a.txt").await, "read first");
    assert_eq!(harness.answer("t/a", "read-file /data/below/b.txt").await, "read second");
    assert_eq!(harness.answer("t/a", "read-file /data/below/../a.txt").await, "read first");
    for command in ["write-file /data/a.txt x", "write-file /data/new.txt x"] {
        let answer = harness.answer("t/a", command).await;
        assert!(answer.starts_with("error "), "{command}: {answer}");
    }
    harness.settled().await;
    assert_eq!(std::fs::read_to_string(folder.path().join("a.txt")).unwrap(), "first");
    assert!(!folder.path().join("new.txt").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_a_folder_granted_for_writing_is_written_on_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let guest = granted(folder.path(), "/", FileAccess::ReadWrite);
    let harness = harness().destination(serial("t/a")).guest(guest).start().await.unwrap();
    assert_eq!(harness.answer("t/a", "write-file /new.txt text").await, "written");
    assert_eq!(harness.answer("t/a", "read-file /new.txt").await, "read text");
    harness.settled().await;
    assert_eq!(std::fs::read_to_string(folder.path().join("new.txt")).unwrap(), "text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_nothing_leads_out_of_a_granted_folder() {
    let outer = tempfile::tempdir().unwrap();
    let secret = outer.path().join("secret.txt");
    std::fs::write(&secret, "secret").unwrap();
    let folder = outer.path().join("granted");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&secret, folder.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret.txt", folder.join("relative")).unwrap();
    std::os::unix::fs::symlink("..", folder.join("up")).unwrap();
    std::os::unix::fs::symlink("/", folder.join("root")).unwrap();
    std::fs::write(folder.join("inside.txt"), "inside").unwrap();
    std::os::unix::fs::symlink("inside.txt", folder.join("within")).unwrap();
    let guest = granted(&folder, "/data", FileAccess::ReadWrite);
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(guest).start().await.unwrap();
    // A link that stays inside works, so that the refusals below are not for links as such.
    assert_eq!(harness.answer("t/a", "read-file /data/within").await, "read inside");
    let absolute = secret.display();
    for path in [
        "/data/../secret.txt",
        "/data/../../../../../../../../etc/passwd",
        "/data/absolute",
        "/data/relative",
        "/data/up/secret.txt",
        "/data/root/etc/passwd",
        "/data//../secret.txt",
        "/data/./../secret.txt",
        "../secret.txt",
        "/etc/passwd",
        "/proc/self/environ",
        &absolute.to_string(),
    ] {
        for command in [format!("read-file {path}"), format!("write-file {path} changed")] {
            let answer = harness.answer("t/a", &command).await;
            assert!(answer.starts_with("error "), "{command}: {answer}");
        }
    }
    harness.settled().await;
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_a_granted_folder_that_is_not_there_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for host in [folder.path().join("missing"), file] {
        let guest = granted(&host, "/data", FileAccess::ReadOnly);
        let started = harness().destination(serial("t/a")).guest(guest).start().await;
        let Err(StartError::Guest(error @ GuestError::Folder { .. })) = started else {
            panic!("it started, or failed otherwise")
        };
        let text = error.to_string();
        assert!(text.contains(&host.display().to_string()) && text.contains("`/data`"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h49_a_granted_folder_that_goes_away_later_costs_that_guest_its_calls_and_nobody_else() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("granted");
    std::fs::create_dir(&folder).unwrap();
    let guest = granted(&folder, "/data", FileAccess::ReadOnly);
    let harness = beside_a_neighbour().destination(serial("t/a")).guest(guest).start().await.unwrap();
    // No instance was made yet: the first call makes one.
    std::fs::remove_dir(&folder).unwrap();
    let error = harness.ask("t/a", "read-file /data/a.txt").await.unwrap_err().to_string();
    assert!(error.contains("grants.files"), "{error}");
    harness.settled().await;
}
