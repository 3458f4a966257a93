//! In which form what is written.

use clap::ValueEnum;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text.
    Human,
    /// One object; the keys are in docs/schema.
    Json,
    /// Text with annotations for GitHub Actions; of migrate, status and verify.
    Github,
    /// JUnit XML; of verify.
    Junit,
    /// SARIF 2.1.0; of verify.
    Sarif,
}

/// How standard error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line, for collectors of logs.
    Json,
}
