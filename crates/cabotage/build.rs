//! Lays the functions that a gateway runs side by side in the optimised binary.
//!
//! Of 30 MB of code a gateway runs 5, spread over all of it, and the system maps 64 KB around each page that is
//! touched. `link/order.txt` names what runs (`cargo xtask order` makes it); here it becomes a linker script that
//! puts those functions first. Only for the linker that rustc brings for this target; `CABOTAGE_LINK_ORDER=off`
//! is for those who bring another one that knows no such scripts.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

const ORDER: &str = "link/order.txt";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ORDER}");
    println!("cargo:rerun-if-env-changed=CABOTAGE_LINK_ORDER");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let wanted = is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && !is("CABOTAGE_LINK_ORDER", "off");
    if wanted {
        let script = PathBuf::from(env::var("OUT_DIR")?).join("order.ld");
        fs::write(&script, linker_script(&fs::read_to_string(ORDER)?)?)?;
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
    Ok(())
}

/// A section of its own before the rest of the code, for the functions that are named, in that order.
fn linker_script(order: &str) -> Result<String, std::fmt::Error> {
    let mut script = String::from("SECTIONS {\n  .text.run : {\n");
    for function in order.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // What is marked as cold stands in sections of another name.
        writeln!(script, "    *(.text.{function} .text.unlikely.{function})")?;
    }
    script.push_str("  }\n} INSERT BEFORE .text;\n");
    Ok(script)
}
