//! The end of a group: as many leaves as one request of the relay has rows, whoever adds them.

use crate::liar::{self, Habits};
use crate::lies::{message, scene_in};
use crate::support::{NOW, Town};
use letterlock_groups::{Group, GroupError, LEAVES, Role, Wishes, names_of};

const LIAR: u8 = 3;
const STRANGER: u8 = 9;
/// The first of those who fill the group, ten devices each.
const GUESTS: u8 = 10;

#[test]
fn a_group_has_an_end() {
    let full = Some(GroupError::TooLarge);
    let habits = Habits::default();
    let (mut scene, mut liar) = scene_in(Town::new(140), Role::Owner, &habits);
    // Ann, Bob and the liar are in.
    let mut guests: Vec<_> = (0..LEAVES - 3)
        .map(|number| {
            scene
                .town
                .device(GUESTS + u8::try_from(number / 10).unwrap())
        })
        .collect();
    let guest = guests[0].us.name;
    let add = guests.iter_mut();
    let add = add.map(|guest| scene.town.package(guest)).collect();
    let (stranger, package) = scene.newcomer(STRANGER);
    let commit = scene.ann_does(Wishes {
        add,
        ..Wishes::default()
    });
    liar.hears(&commit);
    let members = scene.ann.group().members().unwrap();
    assert_eq!(members.len(), LEAVES);
    // Neither we nor anybody else adds one more,
    let one_more = Wishes {
        add: vec![package.clone()],
        ..Wishes::default()
    };
    assert_eq!(scene.ann.commit(one_more).err(), full);
    let add = liar.commit(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(Some(scene.refuse(&add)), full);
    // or comes in from outside beside all,
    let mut tablet = liar::liar(&mut scene.town, LIAR, &habits);
    scene.reload();
    let (info, tree) = scene.door();
    let broken_in = tablet.break_in(&info, &tree, None);
    assert_eq!(Some(scene.refuse(&broken_in)), full);
    // but one may come for one that goes.
    let leaf = scene.ann.leaf_of(&guest);
    let swap = Wishes {
        add: vec![package.clone()],
        remove: vec![leaf],
        ..Wishes::default()
    };
    assert!(scene.ann.commit(swap).is_ok());
    // Who leads a larger one leads nobody into it.
    let (_, welcomes, tree) = liar.lead(|commit| commit.add_member(message(&package)).unwrap());
    assert_eq!(names_of(&tree).err(), full);
    let joined = scene.town.joined(&stranger, &welcomes, &tree);
    assert_eq!(joined.err(), full);
    let info = liar.group().group_info_message_allowing_ext_commit(false);
    let info = info.unwrap().to_bytes().unwrap();
    let directory = scene.town.directory();
    let sent = (&info[..], &tree[..]);
    let back = Group::rejoin(&scene.bob.us, directory, sent, NOW, &mut scene.town.rng);
    assert_eq!(back.err(), full);
}
