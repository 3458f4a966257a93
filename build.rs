//! Makes cargo rebuild when a migration is added: `include_dir!` alone sees only
//! changes of files that it already knows.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
