//! A short run of every target: its seeds as they are, then mutations of them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::mutate::{Random, mutate};
use crate::{TARGETS, Target};

/// What a smoke run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Mutations of each target.
    pub iterations: u64,
    /// Only the target of this name.
    pub only: Option<String>,
    /// Where inputs that made a target panic are written.
    pub crashes: PathBuf,
}

/// The folder of the seeds of `target`.
pub fn seed_folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// Runs the plan and gives the number of inputs tried.
///
/// # Errors
/// When a target panics (the input is kept in [`Plan::crashes`]), has no seeds, or is not known.
pub fn run(plan: &Plan) -> Result<u64> {
    let mut tried = 0;
    let mut found = false;
    for (name, target) in TARGETS {
        if plan.only.as_deref().is_some_and(|only| only != *name) {
            continue;
        }
        found = true;
        tried += run_target(plan, name, *target)?;
    }
    if !found {
        bail!("there is no fuzz target '{}'", plan.only.as_deref().unwrap_or_default());
    }
    Ok(tried)
}

fn run_target(plan: &Plan, name: &str, target: Target) -> Result<u64> {
    let seeds = read_seeds(name)?;
    for seed in &seeds {
        try_input(plan, name, target, seed)?;
    }
    let mut random = Random::new(name.bytes().map(u64::from).sum());
    let mut data = Vec::new();
    for _ in 0..plan.iterations {
        // Half of the inputs go on from the one before, so that changes pile up.
        if random.below(2) == 0 {
            data.clone_from(&seeds[random.below(seeds.len())]);
        }
        let other = &seeds[random.below(seeds.len())];
        mutate(&mut data, other, &mut random);
        try_input(plan, name, target, &data)?;
    }
    Ok(seeds.len() as u64 + plan.iterations)
}

fn read_seeds(name: &str) -> Result<Vec<Vec<u8>>> {
    let folder = seed_folder(name);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("could not read the seeds in {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).with_context(|| format!("could not read {}", path.display())))
        .collect::<Result<_>>()?;
    if seeds.is_empty() {
        bail!("the fuzz target '{name}' has no seed in {}", folder.display());
    }
    Ok(seeds)
}

fn try_input(plan: &Plan, name: &str, target: Target, data: &[u8]) -> Result<()> {
    if catch_unwind(AssertUnwindSafe(|| target(data))).is_ok() {
        return Ok(());
    }
    fs::create_dir_all(&plan.crashes).with_context(|| format!("could not make {}", plan.crashes.display()))?;
    let path = plan.crashes.join(name);
    fs::write(&path, data).with_context(|| format!("could not write {}", path.display()))?;
    bail!(
        "the fuzz target '{name}' panicked; its input is kept in {}, repair the cause and add the input to fuzz/seeds/{name}/",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { iterations: 50, only: None, crashes: std::env::temp_dir().join("khien-fuzz-test") }
    }

    #[test]
    fn every_target_survives_its_seeds() {
        assert!(run(&plan()).unwrap() > 50 * TARGETS.len() as u64);
    }

    #[test]
    fn a_panic_is_reported_with_its_input() {
        let panics: Target = |data| assert!(data.is_empty(), "on purpose");
        let error = try_input(&plan(), "on_purpose", panics, b"x").unwrap_err();
        assert!(error.to_string().contains("on_purpose"));
        assert_eq!(fs::read(plan().crashes.join("on_purpose")).unwrap(), b"x");
    }

    #[test]
    fn an_unknown_target_is_an_error() {
        let plan = Plan { only: Some("nothing".into()), ..plan() };
        assert!(run(&plan).unwrap_err().to_string().contains("'nothing'"));
    }
}
