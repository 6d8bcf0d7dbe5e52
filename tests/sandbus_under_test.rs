//! The command line under test: the program `sandbus`, with the allocator that it has.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sandbus::cli::main()
}
