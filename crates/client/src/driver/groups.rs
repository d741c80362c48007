//! Groups, as people name them.

use super::Loop;
use super::begin::Begun;
use super::calls::{About, Kind, Pending};
use crate::api::{Answer, Request};
use crate::failure::{failure, internal};
use crate::names;
use crate::os;
use crate::view::{self, Failure, FailureKind};
use engine::records::{DataChange, GroupRecord, GroupStanding, Letter};
use engine::{Input, Role};
use keys::{AccountId, GroupId, LetterId};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use tokio::sync::mpsc;

impl Loop {
    pub(super) fn begin_for_groups(
        &mut self,
        answers: mpsc::Sender<Answer>,
        request: Request,
    ) -> Begun {
        match request {
            Request::GroupCreate { name, members } => {
                self.group_name_is_free(&name, None)?;
                let members = self.find_all(&members)?;
                let group = GroupId::from_bytes(crate::os::random());
                self.group_command(answers, group, |command| Input::CreateGroup {
                    command,
                    group,
                    name,
                    members,
                })
            }
            Request::GroupAdd {
                group,
                members,
                share_history,
            } => {
                let group = self.find_group(&group)?.id;
                let members = self.find_all(&members)?;
                self.group_command(answers, group, |command| Input::AddToGroup {
                    command,
                    group,
                    members,
                    history: share_history,
                })
            }
            Request::GroupRemove { group, members } => {
                let group = self.find_group(&group)?.id;
                let members = members
                    .iter()
                    .map(|who| self.find_member(&group, who))
                    .collect::<Result<_, _>>()?;
                self.group_command(answers, group, |command| Input::RemoveFromGroup {
                    command,
                    group,
                    members,
                })
            }
            Request::GroupLeave { group } => {
                let group = self.find_group(&group)?.id;
                self.group_command(answers, group, |command| Input::LeaveGroup {
                    command,
                    group,
                })
            }
            request => self.begin_for_group_data(answers, request),
        }
    }

    /// What the members of a group agree on.
    fn begin_for_group_data(&mut self, answers: mpsc::Sender<Answer>, request: Request) -> Begun {
        match request {
            Request::GroupChange {
                group,
                name,
                timer_seconds,
                picture,
                no_picture,
            } => {
                if let Some(name) = &name {
                    let renamed = self.find_group(&group)?.id;
                    self.group_name_is_free(name, Some(&renamed))?;
                }
                let change = DataChange {
                    name,
                    timer: timer_seconds,
                    role: None,
                    picture: match picture {
                        Some(path) => Some(picture_of(&path)?),
                        None => no_picture.then(Vec::new),
                    },
                };
                self.change_group(answers, &group, change)
            }
            Request::GroupRole {
                group,
                member,
                role,
            } => {
                let id = self.find_group(&group)?.id;
                let member = self.find_member(&id, &member)?;
                let change = DataChange {
                    role: Some((member, meant(role))),
                    ..DataChange::default()
                };
                self.change_group(answers, &group, change)
            }
            Request::GroupList => self.group_list().map(Some),
            Request::GroupShow { group, picture } => {
                let id = self.find_group(&group)?.id;
                let mut shown = self.group_show(&id)?;
                if let Some(path) = picture {
                    shown.push(self.save_picture(&id, &path)?);
                }
                Ok(Some(shown))
            }
            request => self.begin_for_vaults(answers, request),
        }
    }

    fn change_group(
        &mut self,
        answers: mpsc::Sender<Answer>,
        group: &str,
        change: DataChange,
    ) -> Begun {
        let group = self.find_group(group)?.id;
        self.group_command(answers, group, |command| Input::ChangeGroup {
            command,
            group,
            change,
        })
    }

    fn group_command(
        &mut self,
        answers: mpsc::Sender<Answer>,
        group: GroupId,
        input: impl FnOnce(engine::CommandId) -> Input,
    ) -> Begun {
        self.own()?;
        let mut pending = Pending::new(answers, Kind::Command);
        pending.about = Some(About::Group(group));
        self.command(pending, input)
    }

    fn find_all(&self, names: &[String]) -> Result<Vec<AccountId>, Failure> {
        let found = names.iter().map(|who| Ok(self.find(who)?.id));
        found.collect()
    }

    /// Finds the group that is meant.
    pub(super) fn find_group(&self, who: &str) -> Result<GroupRecord, Failure> {
        self.own()?;
        names::find_group(self.engine.groups(&self.store)?, who)
    }

    /// Whether no other group has a name.
    fn group_name_is_free(&self, name: &str, renamed: Option<&GroupId>) -> Result<(), Failure> {
        self.own()?;
        let named = names::named(&self.engine.groups(&self.store)?);
        names::is_free(&named, name, renamed, "group")
    }

    /// Finds the conversation that is meant: with a contact, or of a group.
    pub(super) fn find_conversation(&self, who: &str) -> Result<AccountId, Failure> {
        self.own()?;
        let contact = self.find(who).map(|contact| contact.id);
        let group = self.find_group(who).map(|group| {
            let id = AccountId::from_bytes(*group.id.as_bytes());
            (id, group.standing == GroupStanding::Out)
        });
        names::find_conversation(contact, group, who)
    }

    /// Finds a member, who may be no contact.
    pub(super) fn find_member(&self, group: &GroupId, who: &str) -> Result<AccountId, Failure> {
        if let Ok(contact) = self.find(who) {
            return Ok(contact.id);
        }
        let (own, _) = self.own()?;
        if who == "me" {
            return Ok(own.id);
        }
        let typed = who.to_ascii_lowercase();
        let leaves = self.engine.group_leaves(&self.store, group)?;
        let mut accounts = leaves.iter().map(|leaf| leaf.account);
        accounts
            .find(|account| typed.len() >= 8 && account.to_string().starts_with(&typed))
            .ok_or_else(|| {
                let hint = "see `letterlock contact list`, and who is in it: `group show` or `vault members`";
                let message = format!("there is no contact or member {who}");
                failure(FailureKind::NotFound, message, Some(hint))
            })
    }

    pub(super) fn group_list(&self) -> Result<Vec<Answer>, Failure> {
        self.own()?;
        let mut groups = self.engine.groups(&self.store)?;
        groups.sort_by(|a, b| a.data.name.cmp(&b.data.name));
        let shown = groups.iter().map(|group| self.view_group(group));
        shown.collect()
    }

    pub(super) fn group_show(&self, id: &GroupId) -> Result<Vec<Answer>, Failure> {
        let groups = self.engine.groups(&self.store)?;
        let record = groups.into_iter().find(|record| record.id == *id);
        let record = record.ok_or_else(|| internal("a group is gone"))?;
        let mut shown = vec![self.view_group(&record)?];
        let mut members: Vec<view::Member> = self
            .accounts_of(id)?
            .into_iter()
            .map(|(account, devices)| view::Member {
                name: self.member_name(&account),
                account_id: account.to_string(),
                role: self::shown(record.data.role(&account)),
                devices,
            })
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        shown.extend(members.into_iter().map(Answer::Member));
        Ok(shown)
    }

    /// Writes the picture of a group to a file that is not there yet.
    fn save_picture(&self, id: &GroupId, path: &Path) -> Result<Answer, Failure> {
        let Some(bytes) = self.engine.group_picture(&self.store, id)? else {
            let hint = "if it has one, it comes with: letterlock receive";
            let message = "the picture of the group is not here";
            return Err(failure(FailureKind::NotFound, message, Some(hint)));
        };
        os::write_new(path, &bytes).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            let hint = "name a file that is not there yet, in a directory that you may write to";
            failure(FailureKind::Failed, message, Some(hint))
        })?;
        Ok(Answer::Picture(view::SavedPicture {
            group: id.to_string(),
            path: path.to_string_lossy().into_owned(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }))
    }

    pub(super) fn accounts_of(&self, id: &GroupId) -> Result<BTreeMap<AccountId, u32>, Failure> {
        let mut accounts = BTreeMap::new();
        for leaf in self.engine.group_leaves(&self.store, id)? {
            let devices: &mut u32 = accounts.entry(leaf.account).or_default();
            *devices = devices.saturating_add(1);
        }
        Ok(accounts)
    }

    fn view_group(&self, record: &GroupRecord) -> Result<Answer, Failure> {
        let (own, _) = self.own()?;
        let accounts = self.accounts_of(&record.id)?;
        Ok(Answer::Group(view::Group {
            name: record.data.name.clone(),
            id: record.id.to_string(),
            state: standing(record.standing),
            role: shown(record.data.role(&own.id)),
            members: u32::try_from(accounts.len()).unwrap_or(u32::MAX),
            devices: accounts.values().sum(),
            suite: record.suite.name().to_owned(),
            epoch: record.epoch,
            timer_seconds: record.data.timer,
            picture: self.engine.picture_of(record).map(|picture| view::Picture {
                sha256: data_encoding::HEXLOWER.encode(&picture.hash),
                size: picture.size,
            }),
            pending: record.is_busy(),
        }))
    }

    pub(super) fn member_name(&self, account: &AccountId) -> String {
        match self.engine.account(&self.store) {
            Ok(Some(own)) if own.id == *account => "me".to_owned(),
            _ => self.name_of(account),
        }
    }

    /// What the group is called whose conversation has an id.
    pub(super) fn group_name(&self, id: &AccountId) -> Option<String> {
        let groups = self.engine.groups(&self.store).ok()?;
        let mut groups = groups.into_iter();
        let found = groups.find(|group| group.id.as_bytes() == id.as_bytes())?;
        Some(found.data.name)
    }

    /// Shows a letter with the names that conversation and author have here.
    pub(super) fn view_letter(&self, letter: &Letter) -> view::Letter {
        let name = self.name_of(&letter.contact);
        let author = letter.author.map(|author| self.name_of(&author));
        let mut shown = crate::render::letter(letter, &name, author.as_deref().unwrap_or(&name));
        let reactions = letter.marks.standing().map(|reaction| view::Reaction {
            from: self.member_name(&reaction.author),
            emoji: reaction.emoji.clone(),
        });
        shown.reactions = reactions.collect();
        shown.answers = letter.reply_to.and_then(|id| self.quote(letter, &id));
        let by = letter.marks.shared_by.as_ref();
        shown.shared_by = by.map(|by| self.member_name(by));
        shown
    }
}

impl Loop {
    /// What the letter says that another one answers, where it is here and in the same conversation.
    fn quote(&self, letter: &Letter, id: &LetterId) -> Option<view::Quote> {
        let answered = self.engine.letter(&self.store, id).ok()??;
        // SECURITY: whoever answers is shown no words of another conversation as what it answered;
        // `a_reply_in_a_group_names_the_letter_it_answers` notices.
        if answered.contact != letter.contact || answered.marks.deleted {
            return None;
        }
        let author = answered.author.unwrap_or(answered.contact);
        Some(crate::render::quote(&answered, &self.name_of(&author)))
    }
}

/// The bytes of a file that is to be a group's picture.
fn picture_of(path: &Path) -> Result<Vec<u8>, Failure> {
    let limit = u64::try_from(engine::limits::PICTURE_BYTES).unwrap_or(u64::MAX);
    let read = os::read(path, limit);
    let hint = "name a file that you may read";
    let too_large = |error: &io::Error| error.kind() == io::ErrorKind::FileTooLarge;
    match read {
        Ok(Some(bytes)) if !bytes.is_empty() => Ok(bytes),
        Ok(Some(_)) => Err(engine::EngineError::InvalidPicture.into()),
        Err(error) if too_large(&error) => Err(engine::EngineError::InvalidPicture.into()),
        Ok(None) => {
            let message = format!("there is no file {}", path.display());
            Err(failure(FailureKind::NotFound, message, Some(hint)))
        }
        Err(error) => {
            let message = format!("{}: {error}", path.display());
            Err(failure(FailureKind::Failed, message, Some(hint)))
        }
    }
}

pub(super) fn standing(standing: GroupStanding) -> view::GroupState {
    match standing {
        GroupStanding::In => view::GroupState::In,
        GroupStanding::Leaving => view::GroupState::Leaving,
        GroupStanding::Out => view::GroupState::Out,
        GroupStanding::Lost => view::GroupState::Lost,
    }
}

fn shown(role: Role) -> view::Role {
    match role {
        Role::Member => view::Role::Member,
        Role::Admin => view::Role::Admin,
        Role::Owner => view::Role::Owner,
    }
}

fn meant(role: view::Role) -> Role {
    match role {
        view::Role::Member => Role::Member,
        view::Role::Admin => Role::Admin,
        view::Role::Owner => Role::Owner,
    }
}
