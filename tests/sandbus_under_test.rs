//! The command line under test.

fn main() -> std::process::ExitCode {
    sandbus::cli::main()
}
