//! The node binary for the fault suite's self-test: rules of the protocol can be taken out of it.

fn main() -> std::process::ExitCode {
    annulus::cli::main()
}
