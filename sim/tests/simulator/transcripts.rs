//! Every file in `tests/transcripts` is run again and must give the same text. `BLESS=1` writes it anew.

use std::path::{Path, PathBuf};

use annulus_sim::transcript;

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

#[test]
fn transcripts_are_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut files: Vec<_> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    let mut changed = Vec::new();
    for file in &files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).unwrap();
        let now = transcript::run(&text, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        if now != text {
            let at = now.lines().zip(text.lines()).position(|(now, then)| now != then);
            let line = at.unwrap_or_else(|| now.lines().count().min(text.lines().count()));
            changed.push(format!("{name}:{}: now {:?}", line + 1, now.lines().nth(line).unwrap_or("(end)")));
            if bless {
                std::fs::write(file, now).unwrap();
            }
        }
    }
    assert!(files.len() >= 20);
    assert!(bless || changed.is_empty(), "changed (write with BLESS=1 once you know why):\n{}", changed.join("\n"));
}
