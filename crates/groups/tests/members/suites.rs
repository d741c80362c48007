//! A group and its key packages are of one suite, whatever a liar's library makes.

use crate::liar::Habits;
use crate::lies;
use crate::support::Town;
use keys::Suite;
use letterlock_groups::{Change, GroupError, Role, key_package_of};

const NEWCOMER: u8 = 8;
const STRANGER: u8 = 9;

/// The package is genuine, and its device one that its log names: of a suite lower or higher than the group's.
#[test]
fn a_commit_that_adds_another_suite_is_refused() {
    let suites = [Suite::Hybrid, Suite::Cnsa2];
    for (seed, suite, other) in [(608, suites[0], suites[1]), (609, suites[1], suites[0])] {
        let mut town = Town::new(seed);
        town.suite = suite;
        let (mut scene, mut liar) = lies::scene_in(town, Role::Owner, &Habits::speaking(suite));
        let mut stranger = scene.town.device_of(STRANGER, other);
        let package = scene.town.package(&mut stranger);
        scene.reload();
        assert_eq!(key_package_of(&package), Ok((stranger.us.name, other)));
        let add = liar.adds_blindly(&package);
        assert_eq!(scene.refuse(&add), GroupError::WrongSuite);
        // What it makes by the same means of a package of the group's suite is a commit like others.
        let (newcomer, package) = scene.newcomer(NEWCOMER);
        let add = liar.adds_blindly(&package);
        assert_eq!(scene.take(&add), [Change::Added(newcomer.us.name)]);
    }
}
