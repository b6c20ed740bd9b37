//! The node binary.

fn main() -> std::process::ExitCode {
    annulus::cli::main()
}
