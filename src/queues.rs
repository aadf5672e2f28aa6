//! The queues of a `Sessions`, one an operation, made for the table as it was found; made anew when a column's type
//! changes while the program runs.
//!
//! A call that finds out goes on in the new queues, with the id and the deadline that it has: nothing is done twice.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use tokio::time::{Instant, timeout_at};

use crate::background::{self, Pruner};
use crate::batcher::{Batcher, Others, Pass, Renew};
use crate::error::{Error, Step};
use crate::ids::{Ids, Lookup};
use crate::operations::Operation;
use crate::operations::create::Create;
use crate::operations::destroy::destroy;
use crate::operations::destroy_all::DestroyAll;
use crate::operations::due::Due;
use crate::operations::extend::extend;
use crate::operations::figures::Count;
use crate::operations::list::List;
use crate::operations::locking::Locking;
use crate::operations::refresh::{Refresh, Renewal};
use crate::operations::update::Update;
use crate::operations::validate::Validate;
use crate::options::Options;
use crate::pool::Access;
use crate::road::{Reply, Road, Taken};
use crate::table::{self, Table};

/// Which of the queues it is.
type Pick<O> = fn(&Queues) -> Option<&Arc<Batcher<O>>>;

/// What has been made for the table.
pub(crate) struct Made {
    options: Options,
    road: Arc<Road>,
    queues: RwLock<Option<Arc<Queues>>>,
    /// Held while the table is looked at again.
    looking: tokio::sync::Mutex<()>,
    /// What a queue holds in order to be replaced: they are held in here.
    itself: Weak<Made>,
}

impl Made {
    pub(crate) fn new(options: Options, road: &Arc<Road>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            options,
            road: Arc::clone(road),
            queues: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            itself: Weak::clone(itself),
        })
    }

    /// `None` before the first set-up.
    pub(crate) fn queues(&self) -> Option<Arc<Queues>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The queues for the table; those that there are, after a second set-up.
    pub(crate) fn first(&self, table: Table) -> Arc<Queues> {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.get_or_insert_with(|| {
            let pruner = prune_in_background(&table, &self.options, &self.road);
            Arc::new(self.make(table, pruner))
        }))
    }

    /// The queues for the table as it is now, after those for `outdated` misread it.
    async fn renewed(&self, outdated: &[u32], deadline: Instant) -> Result<Arc<Queues>, Error> {
        let _looking = self.looking.lock().await;
        let queues = self.queues().ok_or_else(Error::changed)?;
        if queues.table.types() != outdated {
            // Somebody else was faster.
            return Ok(queues);
        }
        let connection = self.road.pool.get(Access::Read, deadline).await?;
        let now = table::look_again(&connection, &queues.table, deadline).await?;
        drop(connection);
        let table = now.ok_or_else(Error::changed)?;
        let renewed = Arc::new(self.make(table, Arc::clone(&queues.pruner)));
        let mut place = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(&renewed));
        // Before anybody can ask the new queues.
        self.road.changed();
        drop(place);
        Ok(renewed)
    }

    /// Has calls that failed answered by the queue that takes the place of this one, if there is a reason to make one.
    fn renew<O: Operation>(&self, table: &Table, pick: Pick<O>) -> Renew<O::Call> {
        let (itself, road) = (Weak::clone(&self.itself), Arc::clone(&self.road));
        let outdated: Arc<[u32]> = table.types().into();
        Box::new(move |calls, failure, deadline| {
            let (itself, outdated) = (Weak::clone(&itself), Arc::clone(&outdated));
            let work = Arc::clone(&road);
            road.runtime.spawn(async move {
                let queue = match itself.upgrade() {
                    Some(made) => made.successor(&outdated, pick, deadline).await,
                    // The sessions were dropped with calls under way.
                    None => Err(Error::closed()),
                };
                match queue {
                    Ok(queue) => queue.take_over(calls, deadline),
                    Err(error) => fail(&work, calls, &error.unless_changed(failure)),
                }
            });
        })
    }

    async fn successor<O: Operation>(
        &self,
        outdated: &[u32],
        pick: Pick<O>,
        deadline: Instant,
    ) -> Result<Arc<Batcher<O>>, Error> {
        let renewed = timeout_at(deadline, self.renewed(outdated, deadline)).await;
        let queues = renewed.unwrap_or_else(|_| Err(Error::timeout(Step::WaitingForAnswer)))?;
        pick(&queues).cloned().ok_or_else(Error::changed)
    }

    fn make(&self, table: Table, pruner: Arc<Pruner>) -> Queues {
        let Self { options, road, .. } = self;
        let Options { refresh_interval, refresh_grace, .. } = *options;
        let due = Arc::new(Due::default());
        let refreshed = Arc::clone(&road.counters.refreshed);
        let refresh =
            Refresh::new(&table, refresh_interval, refresh_grace, Arc::clone(&due), refreshed)
                .map(|operation| self.queue(operation, &table, |queues| queues.refresh.as_ref()));
        let refreshing = refresh_interval.filter(|_| refresh.is_some());
        let pass = refresh.clone().map(|refresh| pass_to(refresh, table.ids));
        let renew = Some(self.renew(&table, |queues| Some(&queues.validate)));
        let validate = Validate::new(&table, refreshing, due);
        let create = Create::new(&table, options.session_length);
        let extend = extend(&table, options.session_length, options.extend_interval);
        Queues {
            create: self.queue(create, &table, |queues| Some(&queues.create)),
            validate: Batcher::with_others(validate, road, Others { pass, renew }),
            extend: Batcher::new(extend, road),
            destroy: Batcher::new(destroy(&table), road),
            update: self.queue(Update::new(&table), &table, |queues| Some(&queues.update)),
            refresh,
            list: self.queue(List::new(&table), &table, |queues| Some(&queues.list)),
            destroy_all: DestroyAll::new(&table),
            pruner,
            count: Count::new(&table),
            table,
        }
    }

    /// A queue that is replaced when the table changes.
    fn queue<O: Operation>(&self, operation: O, table: &Table, pick: Pick<O>) -> Arc<Batcher<O>> {
        let renew = Some(self.renew(table, pick));
        Batcher::with_others(operation, &self.road, Others { pass: None, renew })
    }
}

/// The table, and what can be asked of it.
pub(crate) struct Queues {
    pub(crate) table: Table,
    pub(crate) create: Arc<Batcher<Create>>,
    pub(crate) validate: Arc<Batcher<Validate>>,
    pub(crate) extend: Arc<Batcher<Locking>>,
    pub(crate) destroy: Arc<Batcher<Locking>>,
    pub(crate) update: Arc<Batcher<Update>>,
    /// Missing where no companion is there to remember replaced ids.
    pub(crate) refresh: Option<Arc<Batcher<Refresh>>>,
    pub(crate) list: Arc<Batcher<List>>,
    pub(crate) destroy_all: DestroyAll,
    pub(crate) pruner: Arc<Pruner>,
    pub(crate) count: Count,
}

impl Queues {
    /// Calls that wait for a batch.
    pub(crate) fn waiting(&self) -> usize {
        self.create.waiting()
            + self.validate.waiting()
            + self.extend.waiting()
            + self.destroy.waiting()
            + self.update.waiting()
            + self.refresh.as_ref().map_or(0, |refresh| refresh.waiting())
            + self.list.waiting()
    }

    /// Calls with these numbers that wait for a batch are settled without one.
    pub(crate) fn withdraw(&self, numbers: &HashSet<u64>) {
        self.create.withdraw(numbers);
        self.validate.withdraw(numbers);
        self.extend.withdraw(numbers);
        self.destroy.withdraw(numbers);
        self.update.withdraw(numbers);
        if let Some(refresh) = &self.refresh {
            refresh.withdraw(numbers);
        }
        self.list.withdraw(numbers);
    }
}

fn fail<C>(road: &Road, calls: Vec<(C, Reply)>, error: &Error) {
    let failed = calls.into_iter().map(|(_, reply)| (reply, Err(error.clone())));
    road.deliver(&[], failed.collect(), Taken::default());
}

/// Sessions that may be due for a new id go from validate to refresh.
fn pass_to(refresh: Arc<Batcher<Refresh>>, ids: Ids) -> Pass<Lookup> {
    Box::new(move |calls, deadline| {
        let renewal = |session| Renewal { session, new: ids.random(), if_due: true };
        refresh.take_over(
            calls.into_iter().map(|(session, reply)| (renewal(session), reply)),
            deadline,
        );
    })
}

fn prune_in_background(table: &Table, options: &Options, road: &Arc<Road>) -> Arc<Pruner> {
    let pruner = Arc::new(Pruner::new(table));
    if let Some(interval) = options.prune_interval {
        let (runtime, road) = (&road.runtime, Arc::downgrade(road));
        let (worker, name) = (Arc::clone(&pruner), &table.sql_name);
        runtime.spawn(background::prune_now_and_then(worker, road, interval, name.clone()));
    }
    pruner
}
