//! Bytes that anybody may send, against a group as it is: for the fuzz target `groups_bytes`, and for tests.

use crate::support::{NOW, Person, Town};
use groups::{Group, GroupError, Stored, Wishes};
use letterlock_groups as groups;

/// What bytes are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    KeyPackage,
    Welcome,
    Tree,
    Info,
    Message,
    /// The private half of a key package, as its device kept it.
    Kept,
}

pub(crate) const FORMS: [Form; 6] = [
    Form::KeyPackage,
    Form::Welcome,
    Form::Tree,
    Form::Info,
    Form::Message,
    Form::Kept,
];

/// A group of three with a fourth about to come in, and real bytes of every form.
pub(crate) struct Stage {
    town: Town,
    /// Owns the group.
    ann: Person,
    bob: Person,
    stored: Stored,
    /// Was added.
    eve: Person,
    welcome: Vec<u8>,
    tree_of_welcome: Vec<u8>,
    info: Vec<u8>,
    tree: Vec<u8>,
    samples: Vec<(Form, Vec<u8>)>,
}

impl Stage {
    pub(crate) fn new(seed: u64) -> Self {
        let mut town = Town::new(seed);
        let [mut ann, mut bob, mut carol] = [1, 2, 3].map(|account| town.device(account));
        let mut eve = town.device(4);
        town.gather(&mut [&mut ann, &mut bob, &mut carol]);
        town.reload(&mut ann);
        let package = town.package(&mut eve);
        let add = ann.commit(Wishes {
            add: vec![package.clone()],
            ..Wishes::default()
        });
        let add = add.unwrap();
        let (info, tree) = (ann.group().info().unwrap(), ann.group().tree().unwrap());
        let door = (&info[..], &tree[..]);
        let back = Group::rejoin(&carol.us, town.directory(), door, NOW, &mut town.rng);
        let letter = carol.write(b"a letter");
        let leaf = carol.leaf_of(&carol.us.name.clone());
        let wish = carol.group().propose_removal(leaf).unwrap();
        let welcome = add.welcomes[0].message.clone();
        let tree_of_welcome = add.next.tree().unwrap();
        let kept = eve.package().secret.to_vec();
        let samples = vec![
            (Form::KeyPackage, package),
            (Form::Welcome, welcome.clone()),
            (Form::Tree, tree_of_welcome.clone()),
            (Form::Info, info.clone()),
            (Form::Message, add.message.clone()),
            (Form::Message, back.unwrap().1),
            (Form::Message, wish),
            (Form::Message, letter),
            (Form::Kept, kept),
        ];
        let stored = bob.group().store().unwrap();
        Self {
            town,
            ann,
            bob,
            stored,
            eve,
            welcome,
            tree_of_welcome,
            info,
            tree,
            samples,
        }
    }

    pub(crate) fn samples(&self) -> &[(Form, Vec<u8>)] {
        &self.samples
    }

    /// The group as Bob has it, anew each time.
    fn group(&mut self) -> Group {
        let id = self.ann.group().id().unwrap();
        let directory = self.town.directory();
        let rng = &mut self.town.rng;
        Group::load(&self.bob.us, directory, &id, &self.stored, rng).unwrap()
    }

    /// Joins with what Eve keeps of her package, or with something else in its place.
    fn join(&mut self, welcome: &[u8], tree: &[u8], kept: Option<&[u8]>) -> Result<(), GroupError> {
        let directory = self.town.directory();
        let rng = &mut self.town.rng;
        let package = self.eve.package();
        let secret = kept.unwrap_or(&package.secret);
        let package = (&package.id[..], secret);
        Group::join(&self.eve.us, directory, (welcome, tree), package, rng).map(drop)
    }

    fn rejoin(&mut self, info: &[u8], tree: &[u8]) -> Result<(), GroupError> {
        let directory = self.town.directory();
        let rng = &mut self.town.rng;
        Group::rejoin(&self.bob.us, directory, (info, tree), NOW, rng).map(drop)
    }

    /// Takes bytes for something, everywhere where they may come in.
    pub(crate) fn take(&mut self, form: Form, bytes: &[u8]) -> Result<(), GroupError> {
        match form {
            Form::KeyPackage => {
                let _ = groups::key_package_of(bytes);
                let wishes = Wishes {
                    add: vec![bytes.to_vec()],
                    ..Wishes::default()
                };
                self.ann.commit(wishes).map(drop)
            }
            Form::Welcome => {
                let _ = groups::packages_of(bytes);
                let tree = self.tree_of_welcome.clone();
                self.join(bytes, &tree, None)
            }
            Form::Tree => {
                let _ = groups::names_of(bytes);
                let info = self.info.clone();
                if bytes != self.tree {
                    assert!(self.rejoin(&info, bytes).is_err());
                }
                let welcome = self.welcome.clone();
                self.join(&welcome, bytes, None)
            }
            Form::Info => {
                let tree = self.tree.clone();
                self.rejoin(bytes, &tree)
            }
            Form::Message => self.group().receive(bytes, NOW).map(drop),
            Form::Kept => {
                let (welcome, tree) = (self.welcome.clone(), self.tree_of_welcome.clone());
                self.join(&welcome, &tree, Some(bytes))
            }
        }
    }

    /// Takes a real sample with bytes changed, cut or added: three bytes an edit.
    pub(crate) fn take_edited(&mut self, sample: u8, edits: &[u8]) {
        let place = usize::from(sample).checked_rem(self.samples.len()).unwrap();
        let (form, sample) = self.samples[place].clone();
        let mut bytes = sample.clone();
        for edit in edits.chunks_exact(3) {
            let place = usize::from(u16::from_be_bytes([edit[0], edit[1]]));
            let length = bytes.len();
            match bytes.get_mut(place) {
                Some(byte) => *byte ^= edit[2],
                None if place & 1 == 0 => bytes.truncate(place.checked_rem(length).unwrap_or(0)),
                None => bytes.push(edit[2]),
            }
        }
        let taken = self.take(form, &bytes);
        // The private half is our own, and a tree is judged by what stands in it.
        let same = match form {
            Form::Tree => bytes.starts_with(&sample),
            Form::Kept => true,
            _ => false,
        };
        assert!(
            taken.is_err() || same,
            "{form:?} was changed and taken: {edits:?} of {}",
            sample.len()
        );
    }
}
