//! The program `sandbus`.

/// glibc gives memory back to the system and takes it again under many replies of 64 KiB; this allocator does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sandbus::cli::main()
}
